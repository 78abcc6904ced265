"""The interest explorer: some users, what they took, and what four models would have proposed."""

from llmrec.explorer.page import explorer_html, interest_map
from llmrec.explorer.people import Explorer, Person, choose_users, explore, plane, running_mean

__all__ = [
    "Explorer",
    "Person",
    "choose_users",
    "explore",
    "explorer_html",
    "interest_map",
    "plane",
    "running_mean",
]

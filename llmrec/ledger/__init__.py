"""The reproduction ledger: published numbers beside what this package measures on the same data."""

from llmrec.ledger.ledger import Entry, Ledger, run
from llmrec.ledger.measure import Measured
from llmrec.ledger.published import Protocol, Row, load_published
from llmrec.ledger.recipes import RECIPES, Recipe

__all__ = [
    "RECIPES",
    "Entry",
    "Ledger",
    "Measured",
    "Protocol",
    "Recipe",
    "Row",
    "load_published",
    "run",
]

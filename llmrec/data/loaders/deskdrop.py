"""Deskdrop: what the people of a company read, liked, kept and discussed on its shared board."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import read_columns
from llmrec.data.validation import add_items_without_row, row_error

ACTIONS = {
    "VIEW": "viewed",
    "LIKE": "liked",
    "BOOKMARK": "bookmarked",
    "COMMENT CREATED": "commented on",
    "FOLLOW": "followed",
}
EVENTS = {"timestamp": "timestamp", "eventType": "action", "contentId": "item", "personId": "user"}
TITLES = ("titles_content_filtering.csv", "titles_collaborative_filtering.csv")


def load() -> Dataset:
    """Return Deskdrop: 72,312 actions of 1,895 people on 2,987 shared articles, within a year.

    One row an action, and an article that somebody opens twice counts twice; ``action`` is viewed,
    liked, bookmarked, commented on or followed, ``weight`` 1. Items: ``title``, English or
    Portuguese. The public copies of the article texts are too large to pin, so that titles come
    from another project's files, which name the articles it works with: the others keep an empty
    title, and three quarters of the actions are on articles with one.

    References
    ----------
    Moreira 2017, "Articles sharing and reading from CI&T DeskDrop", Kaggle (ODbL, contents DbCL).
    """
    folder = fetch.get("deskdrop")
    interactions = actions(folder / "users_interactions.csv.zip")
    items, added = add_items_without_row(interactions, titles([folder / name for name in TITLES]))
    empty = int((items["title"] == "").sum())
    dropped = {"articles without a title (kept)": empty, "of these, without a row": added}
    return Dataset("deskdrop", interactions, items, dropped=dropped)


def actions(path: Path) -> pd.DataFrame:
    """Read the log of actions, oldest first: the file is in no order."""
    log = read_columns(path, tuple(EVENTS), usecols=lambda name: name in EVENTS)
    log = log.rename(columns=EVENTS)
    known = ", ".join(ACTIONS)
    row_error(path.name, "eventType", ~log["action"].isin(ACTIONS), f"not one of {known}")
    log["action"] = log["action"].map(ACTIONS)
    log["weight"] = 1.0
    return log.sort_values("timestamp", kind="stable", ignore_index=True)


def titles(paths: list[Path]) -> pd.DataFrame:
    """Read articles and titles; the first file that holds an article names it."""
    parts = pd.concat([read_columns(path, ("contentId", "title")) for path in paths])
    known = parts.rename(columns={"contentId": "item"}).drop_duplicates("item", ignore_index=True)
    known["title"] = [tidy_title(text) for text in known["title"]]
    return known


def tidy_title(raw: str) -> str:
    """Return a title on one line; the printout of a table, as some titles are, is none."""
    return "" if raw.startswith("contentId") else " ".join(raw.split())

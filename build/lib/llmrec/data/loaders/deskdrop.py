"""Deskdrop: what the people of a company read, liked, kept and discussed on its shared board."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.validation import DataError, add_items_without_row, row_error

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

    Raises
    ------
    DataError
        When a file is not of the expected form; file and row are named.

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
    """Read the log of actions, oldest first (the file is in no order).

    Raises
    ------
    DataError
        When a column is missing or an event type unknown; file and row are named.
    """
    log = pd.read_csv(path, usecols=lambda name: name in EVENTS).rename(columns=EVENTS)
    if missing := [name for name, ours in EVENTS.items() if ours not in log]:
        raise DataError(f"{path.name} has no column {missing[0]!r}")
    known = ", ".join(ACTIONS)
    row_error(path.name, "eventType", ~log["action"].isin(ACTIONS), f"not one of {known}")
    log["action"] = log["action"].map(ACTIONS)
    log["weight"] = 1.0
    return log.sort_values("timestamp", kind="stable", ignore_index=True)


def titles(paths: list[Path]) -> pd.DataFrame:
    """Read articles and titles; the first file that holds an article names it.

    Raises
    ------
    DataError
        When a file has no such columns.
    """
    parts = []
    for path in paths:
        table = pd.read_csv(path, keep_default_na=False, encoding="utf-8")
        if missing := {"contentId", "title"} - set(table):
            raise DataError(f"{path.name} has no column {min(missing)!r}")
        parts.append(table[["contentId", "title"]].rename(columns={"contentId": "item"}))
    known = pd.concat(parts).drop_duplicates("item", ignore_index=True)
    known["title"] = [tidy_title(text) for text in known["title"]]
    return known


def tidy_title(raw: str) -> str:
    """Return a title on one line; the printout of a table, as some titles are, is none."""
    return "" if raw.startswith("contentId") else " ".join(raw.split())

"""HetRec Last.fm 2k: who listens to whom and how often, with tags and friends."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.validation import DataError, row_error

FIRST_YEAR = 2002  # Last.fm did not exist before: an earlier year is a fault of the record
COLUMNS = {
    "artists.dat": ("id", "name"),
    "tags.dat": ("tagID", "tagValue"),
    "user_artists.dat": ("userID", "artistID", "weight"),
    "user_friends.dat": ("userID", "friendID"),
    "user_taggedartists.dat": ("userID", "artistID", "tagID", "day", "month", "year"),
}


def load(tags: int = 0) -> Dataset:
    """Return HetRec Last.fm 2k: 1,892 listeners, 17,632 artists, 92,834 listening counts.

    One row is a listener and one of at most 50 artists that he listened to most; ``weight`` counts
    how often. There are no times: timestamps are 0. Items: ``title``, the artist's name; with
    ``tags`` also the column ``tags`` (see `tag_texts`). `friendships` and `tag_assignments` return
    the other two tables.

    Beware of the column ``tags``: *all* listeners gave them, those included whose listening is the
    test part, and a listener tags what he listens to. Where a model is judged, write tag texts from
    the assignments of people who are not asked. The template ``"lastfm"`` writes names only,
    ``"lastfm-tags"`` both.

    Parameters
    ----------
    tags:
        How many tags of an artist to list, the most frequent first; 0 leaves the column out.

    Raises
    ------
    ValueError
        When ``tags`` is negative.
    DataError
        When a file is not of the expected form; file and row are named.

    References
    ----------
    Cantador, Brusilovsky and Kuflik 2011, "2nd workshop on information heterogeneity and fusion in
    recommender systems (HetRec 2011)", RecSys. The data come from Last.fm, https://www.last.fm, and
    are offered for non-commercial use.
    """
    if tags < 0:
        raise ValueError(f"tags={tags} is negative: 0 leaves the tags out")
    folder = fetch.get("hetrec-lastfm")
    artists = read(folder / "artists.dat")
    items = pd.DataFrame({"item": artists["id"], "title": artists["name"].str.strip()})
    plays = read(folder / "user_artists.dat")
    interactions = pd.DataFrame(
        {
            "user": plays["userID"],
            "item": plays["artistID"],
            "timestamp": 0,
            "weight": plays["weight"].astype(np.float64),
            "action": "listened to",
        }
    )
    dropped = {}
    if tags:
        given = tag_assignments()
        items["tags"] = tag_texts(given, items["item"], tags)
        dropped = {
            "artists without a tag (kept)": int((items["tags"] == "").sum()),
            "tags given to artists without a row (left out)": int(
                (~given["item"].isin(items["item"])).sum()
            ),
        }
    return Dataset("lastfm", interactions, items, dropped=dropped)


def friendships() -> pd.DataFrame:
    """Return who is whose friend: ``user, friend`` (ids), each of the 12,717 pairs both ways."""
    table = read(fetch.get("hetrec-lastfm") / "user_friends.dat")
    return table.set_axis(["user", "friend"], axis=1)


def tag_assignments() -> pd.DataFrame:
    """Return who tagged which artist with what: ``user, item, tag, timestamp``, 186,479 rows.

    Times are known to the month (the first seconds of a day in it, UTC); five impossible ones are
    0. Some tagged artists have no row among the items: they are left to the reader.
    """
    folder = fetch.get("hetrec-lastfm")
    names = read(folder / "tags.dat").set_index("tagID")["tagValue"]
    given = read(folder / "user_taggedartists.dat")
    unknown = ~given["tagID"].isin(names.index)
    row_error("user_taggedartists.dat", "tagID", unknown, "no such tag in tags.dat")
    date = pd.to_datetime(given[["year", "month", "day"]])
    seconds = (date - pd.Timestamp(0)) // pd.Timedelta(seconds=1)
    return pd.DataFrame(
        {
            "user": given["userID"],
            "item": given["artistID"],
            "tag": given["tagID"].map(names).str.strip(),
            "timestamp": seconds.where(given["year"] >= FIRST_YEAR, 0),
        }
    )


def tag_texts(assignments: pd.DataFrame, items: pd.Series, most: int = 10) -> list[str]:
    """Return each item's tags as one text, "rock, indie, britpop": the most often given first.

    Parameters
    ----------
    assignments:
        Rows of ``user, item, tag``. Which ones is the caller's choice, and what a text may know
        depends on it. Tags given equally often stand in the order of the alphabet.
    items:
        Item ids, ``n``.
    most:
        Tags an item, at most.

    Returns
    -------
    list of n strings; an item without tags gives ``""``.

    Examples
    --------
    >>> given = pd.DataFrame({"item": [7, 7, 7], "tag": ["pop", "rock", "rock"]})
    >>> tag_texts(given, pd.Series([7, 8]))
    ['rock, pop', '']
    """
    count = assignments.groupby(["item", "tag"]).size().rename("n").reset_index()
    count = count.sort_values(["item", "n", "tag"], ascending=[True, False, True])
    kept = count.groupby("item").head(most)
    texts = kept.groupby("item")["tag"].agg(", ".join)
    return items.map(texts).fillna("").tolist()


def read(path: Path) -> pd.DataFrame:
    """Read one tab-separated file of the dataset, the columns that are used.

    Quotes are letters there, as in the artist "Weird Al" Yankovic; tags.dat alone is in Latin-1.

    Raises
    ------
    DataError
        When a column is missing, a row has other columns or a number is none.
    """
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            encoding="latin-1" if path.name == "tags.dat" else "utf-8",
            quoting=csv.QUOTE_NONE,
            keep_default_na=False,
        )
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    wanted = COLUMNS[path.name]
    if missing := [column for column in wanted if column not in table]:
        raise DataError(f"{path.name} has no column {missing[0]!r}")
    for column in wanted:
        if column not in ("name", "tagValue") and table[column].dtype != np.int64:
            numbers = pd.to_numeric(table[column], errors="coerce")
            wrong = numbers.isna() | (numbers % 1 != 0)
            row_error(path.name, column, wrong, "not a whole number")
            table[column] = numbers.astype(np.int64)
    return table[list(wanted)]

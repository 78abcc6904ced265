"""Friends and tags of chapter 10: who knows whom, and who tagged what with what."""

from __future__ import annotations

import pandas as pd

from llmrec import fetch
from llmrec.data.loaders import read_columns
from llmrec.data.loaders.lastfm import read
from llmrec.data.validation import row_error

FIRST_YEAR = 2002  # Last.fm did not exist before: an earlier year is a fault of the record
TAGGED = ("userID", "artistID", "tagID", "day", "month", "year")


def friendships() -> pd.DataFrame:
    """Return who is whose friend: ``user, friend`` (ids), each of the 12,717 pairs both ways."""
    table = read(fetch.get("hetrec-lastfm") / "user_friends.dat", ("userID", "friendID"))
    return table.set_axis(["user", "friend"], axis=1)


def tag_assignments() -> pd.DataFrame:
    """Return who tagged which artist with what: ``user, item, tag, timestamp``, 186,479 rows.

    Times are known to the month (the first seconds of a day in it, UTC); five impossible ones are
    0. Some tagged artists have no row among the items: they are left to the reader.
    """
    folder = fetch.get("hetrec-lastfm")
    names = read(folder / "tags.dat", ("tagID", "tagValue")).set_index("tagID")["tagValue"]
    given = read(folder / "user_taggedartists.dat", TAGGED)
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


def tag_texts(assignments: pd.DataFrame, items: pd.Series, max_tags: int = 10) -> list[str]:
    """Return each item's tags as one text, "rock, indie, britpop": the most often given first.

    Parameters
    ----------
    assignments:
        Rows of ``user, item, tag``. Which ones is the caller's choice, and what a text may know
        depends on it. Tags given equally often stand in the order of the alphabet.
    items:
        Item ids, ``n``.
    max_tags:
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
    kept = count.groupby("item").head(max_tags)
    texts = kept.groupby("item")["tag"].agg(", ".join)
    return items.map(texts).fillna("").tolist()


def film_tags() -> pd.DataFrame:
    """Return who tagged which film of ml-latest-small: ``user, item, tag, timestamp``, 3,683 rows.

    Beware: 58 of the users gave them, and a user tags what he has seen. A model that is judged on
    those users' films must not read their tags.
    """
    path = fetch.get("ml-latest-small") / "tags.csv"
    tags = read_columns(path, ("userId", "movieId", "tag", "timestamp"))
    return tags.set_axis(["user", "item", "tag", "timestamp"], axis=1)

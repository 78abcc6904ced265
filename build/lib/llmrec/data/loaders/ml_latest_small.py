"""MovieLens latest small: 610 people rate films over two decades."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders.ml_100k import split_title
from llmrec.data.validation import DataError

NO_GENRES = "(no genres listed)"


def load() -> Dataset:
    """Return MovieLens latest small: 610 users, 9,742 films, 100,836 ratings, 1996 to 2018.

    ``weight`` is the rating, from half a star to five. Items: ``title`` ("The Godfather"), ``year``
    and ``genres`` (comma-separated). The people who made it call it a set for development, which
    may change: it is pinned here, as of September 2018. `film_tags` returns the tags.

    Raises
    ------
    DataError
        When a file has other columns.

    References
    ----------
    Harper and Konstan 2015, "The MovieLens datasets: history and context", ACM TiiS 5(4). For
    research; may be passed on under the same conditions, no commercial use without permission.
    """
    folder = fetch.get("ml-latest-small")
    ratings = read(folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"))
    films = read(folder / "movies.csv", ("movieId", "title", "genres"))
    interactions = pd.DataFrame(
        {
            "user": ratings["userId"],
            "item": ratings["movieId"],
            "timestamp": ratings["timestamp"],
            "weight": ratings["rating"].astype(np.float64),
            "action": "rated",
        }
    )
    names = [split_title(title) for title in films["title"]]
    genres = films["genres"].where(films["genres"] != NO_GENRES, "")
    items = pd.DataFrame(
        {
            "item": films["movieId"],
            "title": [title for title, _ in names],
            "year": pd.array([year for _, year in names], dtype="Int64"),
            "genres": genres.str.replace("|", ", "),
        }
    )
    dropped = {
        "films that nobody rated (kept)": int((~items["item"].isin(ratings["movieId"])).sum()),
        "films without a year (kept)": int(items["year"].isna().sum()),
        "films without a genre (kept)": int((items["genres"] == "").sum()),
    }
    return Dataset("ml-latest-small", interactions, items, dropped=dropped)


def film_tags() -> pd.DataFrame:
    """Return who tagged which film with what: ``user, item, tag, timestamp``, 3,683 rows.

    Beware: 58 of the users gave them, and a user tags what he has seen. A model that is judged on
    those users' films must not read their tags.
    """
    path = fetch.get("ml-latest-small") / "tags.csv"
    tags = read(path, ("userId", "movieId", "tag", "timestamp"))
    return tags.set_axis(["user", "item", "tag", "timestamp"], axis=1)


def read(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Read the named columns of one of the dataset's files.

    Raises
    ------
    DataError
        When one is missing.
    """
    table = pd.read_csv(path, keep_default_na=False, encoding="utf-8")
    if missing := [column for column in columns if column not in table]:
        raise DataError(f"{path.name} has no column {missing[0]!r}")
    return table[list(columns)]

"""MovieLens latest small: 610 people rate films over two decades."""

from __future__ import annotations

import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of, read_columns
from llmrec.data.loaders.ml_100k import split_title

NO_GENRES = "(no genres listed)"


def load() -> Dataset:
    """Return MovieLens latest small: 610 users, 9,742 films, 100,836 ratings, 1996 to 2018.

    ``weight`` is the rating, from half a star to five. Items: ``title`` ("The Godfather"), ``year``
    and ``genres`` (comma-separated). The people who made it call it a set for development, which
    may change: it is pinned here, as of September 2018.

    References
    ----------
    Harper and Konstan 2015, "The MovieLens datasets: history and context", ACM TiiS 5(4). For
    research; may be passed on under the same conditions, no commercial use without permission.
    """
    folder = fetch.get("ml-latest-small")
    ratings = read_columns(folder / "ratings.csv", ("userId", "movieId", "rating", "timestamp"))
    films = read_columns(folder / "movies.csv", ("movieId", "title", "genres"))
    interactions = events_of(ratings, "rated", user="userId", item="movieId", weight="rating")
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

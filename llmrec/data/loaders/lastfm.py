"""HetRec Last.fm 2k: who listens to whom and how often."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of, read_columns
from llmrec.data.validation import row_error

TEXTS = ("name", "tagValue")  # every other column holds whole numbers


def load() -> Dataset:
    """Return HetRec Last.fm 2k: 1,892 listeners, 17,632 artists, 92,834 listening counts.

    One row is a listener and one of at most 50 artists that he listened to most; ``weight`` counts
    how often. There are no times: timestamps are 0. Items: ``title``, the artist's name.

    References
    ----------
    Cantador, Brusilovsky and Kuflik 2011, "2nd workshop on information heterogeneity and fusion in
    recommender systems (HetRec 2011)", RecSys. The data come from Last.fm, https://www.last.fm, and
    are offered for non-commercial use.
    """
    folder = fetch.get("hetrec-lastfm")
    artists = read(folder / "artists.dat", ("id", "name"))
    plays = read(folder / "user_artists.dat", ("userID", "artistID", "weight"))
    items = pd.DataFrame({"item": artists["id"], "title": artists["name"].str.strip()})
    events = events_of(plays, "listened to", user="userID", item="artistID")
    return Dataset("lastfm", events, items)


def read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of one tab-separated file of the dataset.

    Quotes are letters there, as in the artist "Weird Al" Yankovic; tags.dat alone is in Latin-1.
    """
    encoding = "latin-1" if path.name == "tags.dat" else "utf-8"
    table = read_columns(path, columns, sep="\t", encoding=encoding, quoting=csv.QUOTE_NONE)
    for column in columns:
        if column not in TEXTS and table[column].dtype != np.int64:
            numbers = pd.to_numeric(table[column], errors="coerce")
            wrong = numbers.isna() | (numbers % 1 != 0)
            row_error(path.name, column, wrong, "not a whole number")
            table = table.assign(**{column: numbers.astype(np.int64)})
    return table

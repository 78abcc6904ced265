"""Splits exactly as published papers used them: the ground on which to meet their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset, Split
from llmrec.data.loaders import load, whole_numbers
from llmrec.data.loaders.citeulike_a import saved, taken_by
from llmrec.data.validation import DataError

PUBLISHED = ("ml-1m-spectralcf", "citeulike-a-p1", "citeulike-a-p10")


def published_split(name: str) -> Split:
    """Return a published split, its parts as they stand in the files.

    ``"ml-1m-spectralcf"``
        MovieLens-1M as SpectralCF split it: 6,014 users, 3,232 films, 179,207 and 47,103 events.
        Films have numbers only, no titles. It is faulty: what is popular in train is not in test,
        which no random split would give (Ferrari Dacrema et al. 2021).
    ``"citeulike-a-p1"``, ``"citeulike-a-p10"``
        CiteULike-a as Collaborative VAE split it: 1 or 10 articles of each reader are train, the
        rest test. Items are those of ``load("citeulike-a")``. The ten are faulty, too: its authors'
        script draws them at random, but the file holds each reader's ten *lowest numbers*, so that
        28 % of the test events are with articles that nobody has in train (8 % at random).

    Returns
    -------
    Split
        Without a valid part; ``history`` is ``train``.

    Raises
    ------
    ValueError
        When no split has this name.
    DataError
        When a file is not of the expected form; file and row are named.
    FetchError
        When its files cannot be brought here.

    References
    ----------
    Zheng et al. 2018, "Spectral collaborative filtering", RecSys. Li and She 2017, "Collaborative
    variational autoencoder for recommender systems", KDD.
    """
    if name not in PUBLISHED:
        raise ValueError(
            f"no published split is named {name!r}: choose from {', '.join(PUBLISHED)}"
        )
    if name == "ml-1m-spectralcf":
        folder = fetch.get("spectralcf-split")
        users = [_users(folder / f"{part}_users.dat") for part in ("train", "test")]
        train, test = (taken_by(items, "rated") for items in users)
        numbers = np.unique(np.concatenate([train["item"], test["item"]]))
        return _joined(name, name, train, test, pd.DataFrame({"item": numbers, "title": ""}))
    items, folder = load("citeulike-a").items, fetch.get("citeulike-a-splits")
    given = name.removeprefix("citeulike-a-p")
    paths = [folder / f"cf-{part}-{given}-users.dat" for part in ("train", "test")]
    train, test = (saved(path, len(items)) for path in paths)
    return _joined(name, "citeulike-a", train, test, items)


def _joined(
    name: str, dataset: str, train: pd.DataFrame, test: pd.DataFrame, items: pd.DataFrame
) -> Split:
    """Return the split whose parts are these interactions."""
    both = pd.concat([train, test], ignore_index=True)
    coded = (data := Dataset(dataset, both, items)).coded
    train, test = coded.iloc[: len(train)], coded.iloc[len(train) :].reset_index(drop=True)
    return Split(data, name, 0, train, coded.iloc[:0], test, history=train)


def _users(path: Path) -> dict[int, list[int]]:
    """Read rows of a user's number and the items that he took."""
    taken: dict[int, list[int]] = {}
    for number, (user, *items) in whole_numbers(path):
        if user in taken:
            raise DataError(f"{path.name}, row {number}: user {user} has a row already")
        taken[user] = items
    return taken

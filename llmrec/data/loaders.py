"""Datasets by name.

Introduced in chapter 4.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llmrec.data.amazon_beauty import amazon_beauty
from llmrec.data.citeulike import citeulike_a
from llmrec.data.community import community
from llmrec.data.complete_journey import complete_journey
from llmrec.data.dataset import Dataset
from llmrec.data.deskdrop import deskdrop
from llmrec.data.lastfm import hetrec_lastfm
from llmrec.data.movielens import ml_100k
from llmrec.data.movielens_small import ml_latest_small

_LOADERS: dict[str, Callable[..., Dataset]] = {
    "ml-100k": ml_100k,
    "complete-journey": complete_journey,
    "amazon-beauty": amazon_beauty,
    "citeulike-a": citeulike_a,
    "deskdrop": deskdrop,
    "community": community,
    "lastfm": hetrec_lastfm,
    "ml-latest-small": ml_latest_small,
}


def available() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return tuple(_LOADERS)


def load(name: str, **options: Any) -> Dataset:
    """Load a dataset by name, fetched first when it is not here.

    Parameters
    ----------
    name:
        One of `available()`.
    options:
        What the loader takes: ``min_item_count`` and ``departments`` for ``"complete-journey"``,
        ``tags`` for ``"lastfm"``, ``n_users`` and ``seed`` for ``"community"``.

    Raises
    ------
    ValueError
        When there is no such dataset.
    TypeError
        When the dataset has no such option.
    FetchError
        When its files cannot be brought here.

    Introduced in chapter 4.
    """
    if name not in _LOADERS:
        raise ValueError(
            f"no dataset is named {name!r}: choose from {', '.join(_LOADERS)}, or read your own "
            "with Dataset.from_folder"
        )
    known = tuple(inspect.signature(_LOADERS[name]).parameters)
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(
            f"dataset {name!r} has no option {unknown[0]!r} (it has: {', '.join(known) or 'none'})"
        )
    return _LOADERS[name](**options)

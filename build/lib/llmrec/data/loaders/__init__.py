"""Datasets by name: one module each, imported when its data are asked for.

A file ``name_of_it.py`` with a function ``load`` in this folder is the dataset ``name-of-it``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from typing import Any

from llmrec.data.dataset import Dataset


def available() -> tuple[str, ...]:
    """Return the names that `load` knows."""
    return tuple(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))


def load(name: str, **options: Any) -> Dataset:
    """Load a dataset by name, fetched first when it is not here.

    Parameters
    ----------
    name:
        One of `available()`.
    options:
        What the loader takes: ``min_item_count`` and ``departments`` for ``"complete-journey"``,
        ``tags`` for ``"lastfm"``.

    Raises
    ------
    ValueError
        When there is no such dataset.
    TypeError
        When the dataset has no such option.
    FetchError
        When its files cannot be brought here.
    """
    if name not in available():
        raise ValueError(
            f"no dataset is named {name!r}: choose from {', '.join(available())}, or read your own "
            "with Dataset.from_folder"
        )
    loader = importlib.import_module(f"{__name__}.{name.replace('-', '_')}").load
    known = tuple(inspect.signature(loader).parameters)
    if unknown := sorted(set(options) - set(known)):
        raise TypeError(
            f"dataset {name!r} has no option {unknown[0]!r} (it has: {', '.join(known) or 'none'})"
        )
    return loader(**options)

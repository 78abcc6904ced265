"""Datasets by name: one module each, imported when its data are asked for.

A file ``name_of_it.py`` with a function ``load`` in this folder is the dataset ``name-of-it``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from llmrec.data.dataset import Dataset
from llmrec.data.validation import DataError


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
        What the loader takes: ``min_item_count`` for ``"complete-journey"``.

    Raises
    ------
    ValueError
        When there is no such dataset.
    TypeError
        When the dataset has no such option.
    FetchError
        When its files cannot be brought here.
    DataError
        When a file is not of the expected form; file and row are named.
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


def events_of(table: Mapping[str, Any] | pd.DataFrame, action: str, **names: str) -> pd.DataFrame:
    """Return the interactions of a dataset, all of one action, from the columns of a table.

    ``names`` are the table's, as in ``user="household_id"``; what is not named has our own name.
    Without a column ``timestamp`` all times are 0, unknown, and without ``weight`` all are 1.
    """
    defaults: dict[str, Any] = {"user": None, "item": None, "timestamp": 0, "weight": 1.0}
    columns = {ours: table.get(names.get(ours, ours), other) for ours, other in defaults.items()}
    return pd.DataFrame(columns | {"action": action}).astype({"weight": np.float64})


def read_columns(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    """Read some columns of a CSV file; an empty cell is an empty text, no missing one.

    ``options`` go to ``pandas.read_csv``. `DataError` when the file is malformed or lacks a column.
    """
    reading: dict[str, Any] = {"encoding": "utf-8", "keep_default_na": False, **options}
    try:
        table = pd.read_csv(path, **reading)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(f"{path.name} cannot be read: {error}") from error
    if missing := [column for column in columns if column not in table]:
        has = ", ".join(map(str, table.columns))
        raise DataError(f"{path.name} has no column {missing[0]!r} (it has {has})")
    return table[list(columns)]


def whole_numbers(path: Path) -> Iterator[tuple[int, list[int]]]:
    """Yield the number of each row of a text file, from 1, and its whole numbers, at least one.

    `DataError` names the row that holds anything else.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        if not words or not all(word.isascii() and word.isdigit() for word in words):
            raise DataError(f"{path.name}, row {number}: not whole numbers but {line[:40]!r}")
        yield number, [int(word) for word in words]

"""What a dataset must look like, and one clear line for what does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api import types

INTERACTION_COLUMNS = ("user", "item", "timestamp", "weight", "action")
ITEM_COLUMNS = ("item", "title")
USER_COLUMNS = ("user",)
NO_ROW = "items without a row"


class DataError(ValueError):
    """A table breaks the rules of `Dataset`: the message names table, column and row."""


def validate(
    interactions: pd.DataFrame,
    items: pd.DataFrame,
    users: pd.DataFrame | None = None,
    *,
    names: tuple[str, ...] = ("interactions", "items", "users"),
) -> None:
    """Check the three tables of a dataset; rows are counted from 1, below the header.

    ``names`` is what the messages call the tables, such as their file names.

    Raises
    ------
    DataError
        For an empty table, a column that is missing or of the wrong type, a missing or duplicate
        id, an interaction with an item that has no row, a weight that is not finite or a negative
        timestamp.
    """
    events, catalogue, people = names
    _columns(events, interactions, INTERACTION_COLUMNS)
    _columns(catalogue, items, ITEM_COLUMNS)
    _ids(catalogue, items["item"], unique=True)
    _text(catalogue, items["title"])
    for column in ("user", "item"):
        _ids(events, interactions[column])
    if users is not None:
        _columns(people, users, USER_COLUMNS)
        _ids(people, users["user"], unique=True)
        _same_type(events, interactions["user"], people, users["user"])
    used, known = interactions["item"], items["item"]
    _same_type(events, used, catalogue, known)
    if (unknown := ~used.isin(known)).any():
        first = used[unknown].iloc[0]
        row_error(events, "item", unknown, f"item {first!r} has no row in {catalogue}: add one")
    _numbers(events, interactions["timestamp"], interactions["weight"])
    _text(events, interactions["action"])


def row_error(table: str, column: str, wrong: np.ndarray | pd.Series, fix: str) -> None:
    """Raise a `DataError` at the first true row of a boolean mask, if there is one."""
    mask = np.asarray(wrong, dtype=bool)
    if mask.any():
        count = int(mask.sum())
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise DataError(f"{table}, column {column!r}, row {mask.argmax() + 1}{more}: {fix}")


def once(table: str, columns: Sequence[str] | pd.Index, fix: str = "rename one") -> None:
    """Raise a `DataError` when two columns have one name."""
    if (names := pd.Index(columns)).has_duplicates:
        twice = names[names.duplicated()][0]
        raise DataError(f"{table} has two columns named {twice!r}: {fix}")


def add_items_without_row(
    interactions: pd.DataFrame, items: pd.DataFrame
) -> tuple[pd.DataFrame, int]:
    """Return the items table with a row of empty title for each item known only from interactions.

    Nobody's purchase is lost because a catalogue is incomplete; the number of rows added is
    returned beside the table so that it can be reported.
    """
    used = pd.Series(interactions["item"].unique())
    lacking = used[~used.isin(items["item"])].sort_values()
    if lacking.empty:
        return items, 0
    rows = pd.DataFrame({"item": lacking, "title": ""})
    return pd.concat([items, rows], ignore_index=True), len(lacking)


def _columns(table: str, frame: pd.DataFrame, needed: tuple[str, ...]) -> None:
    if missing := [column for column in needed if column not in frame.columns]:
        has = ", ".join(map(str, frame.columns))
        raise DataError(f"{table} has no column {missing[0]!r} (it has {has}): rename or add it")
    once(table, frame.columns)
    if frame.empty:
        raise DataError(f"{table} has no rows")


def _ids(table: str, ids: pd.Series, *, unique: bool = False) -> None:
    column = str(ids.name)
    row_error(table, column, ids.isna(), f"no {column} id: fill it in or drop the row")
    if (kind := types.infer_dtype(ids)) not in ("integer", "string"):
        wrong = f"ids are {kind}, not whole numbers or text: convert them"
        raise DataError(f"{table}, column {column!r}: {wrong}")
    if unique:
        twice = f"{column} id occurs a second time: keep one row for each {column}"
        row_error(table, column, ids.duplicated(), twice)


def _same_type(events: str, used: pd.Series, other: str, known: pd.Series) -> None:
    """Refuse ids that can never meet, such as 7 and "7"."""
    if types.is_integer_dtype(used) != types.is_integer_dtype(known):
        raise DataError(
            f"column {used.name!r} holds {used.dtype} in {events} and {known.dtype} in {other}: "
            "give both the same type"
        )


def _numbers(table: str, timestamp: pd.Series, weight: pd.Series) -> None:
    if not types.is_integer_dtype(timestamp) or timestamp.isna().any():
        raise DataError(
            f"{table}, column 'timestamp': type {timestamp.dtype}, not whole seconds since 1970: "
            "convert it, with 0 where the time is unknown"
        )
    row_error(table, "timestamp", timestamp < 0, "negative: give seconds since 1970, 0 if unknown")
    if not types.is_numeric_dtype(weight) or types.is_bool_dtype(weight):
        raise DataError(f"{table}, column 'weight': type {weight.dtype}, not numbers: convert it")
    finite = np.isfinite(weight.to_numpy(np.float64, na_value=np.nan))
    row_error(table, "weight", ~finite, "not a finite number: fill it in or drop the row")


def _text(table: str, column: pd.Series) -> None:
    name = str(column.name)
    row_error(table, name, column.isna(), "no text: an unknown one is written as an empty text")
    if types.infer_dtype(column) not in ("string", "categorical"):
        raise DataError(f"{table}, column {name!r}: type {column.dtype}, not text: convert it")

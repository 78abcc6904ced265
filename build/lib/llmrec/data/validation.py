"""What a dataset must look like, and one clear line for what does not."""

from __future__ import annotations

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
    names: tuple[str, str, str] = ("interactions", "items", "users"),
) -> None:
    """Check the three tables of a dataset; rows are counted from 1, below the header.

    Parameters
    ----------
    names:
        What the messages call the tables, such as their file names.

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
    _unique_ids(catalogue, items, "item")
    _text(catalogue, items["title"])
    for column in ("user", "item"):
        _ids(events, interactions[column])
    if users is not None:
        _columns(people, users, USER_COLUMNS)
        _unique_ids(people, users, "user")
        _same_type(events, interactions["user"], people, users["user"])
    _same_type(events, interactions["item"], catalogue, items["item"])
    _known_items(events, interactions["item"], catalogue, items["item"])
    _numbers(events, interactions)
    _text(events, interactions["action"])


def row_error(table: str, column: str, wrong: np.ndarray | pd.Series, mend: str) -> None:
    """Raise a `DataError` at the first true row of a boolean mask, if there is one."""
    mask = np.asarray(wrong, dtype=bool)
    if mask.any():
        count = int(mask.sum())
        more = f" (and {count - 1} more)" if count > 1 else ""
        raise DataError(f"{table}, column {column!r}, row {mask.argmax() + 1}{more}: {mend}")


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
    rows = pd.DataFrame({"item": lacking.astype(items["item"].dtype), "title": ""})
    return pd.concat([items, rows], ignore_index=True), len(lacking)


def _columns(table: str, frame: pd.DataFrame, needed: tuple[str, ...]) -> None:
    for column in needed:
        if column not in frame.columns:
            has = ", ".join(map(str, frame.columns))
            raise DataError(f"{table} has no column {column!r} (it has {has}): rename or add it")
    if len(set(frame.columns)) < len(frame.columns):
        twice = frame.columns[frame.columns.duplicated()][0]
        raise DataError(f"{table} has two columns named {twice!r}: rename one")
    if frame.empty:
        raise DataError(f"{table} has no rows")


def _ids(table: str, ids: pd.Series) -> None:
    column = str(ids.name)
    row_error(table, column, ids.isna(), f"no {column} id: fill it in or drop the row")
    kind = types.infer_dtype(ids, skipna=True)
    if kind not in ("integer", "string"):
        raise DataError(
            f"{table}, column {column!r}: ids are {kind}, not whole numbers or text: convert them"
        )


def _unique_ids(table: str, frame: pd.DataFrame, column: str) -> None:
    _ids(table, frame[column])
    row_error(
        table,
        column,
        frame[column].duplicated(),
        f"{column} id occurs a second time: keep one row for each {column}",
    )


def _same_type(events: str, used: pd.Series, other: str, known: pd.Series) -> None:
    """Refuse ids that can never meet, such as 7 and "7"."""
    if types.is_integer_dtype(used) != types.is_integer_dtype(known):
        raise DataError(
            f"column {used.name!r} holds {used.dtype} in {events} and {known.dtype} in {other}: "
            "give both the same type"
        )


def _known_items(events: str, used: pd.Series, catalogue: str, known: pd.Series) -> None:
    unknown = ~used.isin(known)
    if unknown.any():
        first = used[unknown].iloc[0]
        row_error(events, "item", unknown, f"item {first!r} has no row in {catalogue}: add one")


def _numbers(table: str, frame: pd.DataFrame) -> None:
    timestamp, weight = frame["timestamp"], frame["weight"]
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

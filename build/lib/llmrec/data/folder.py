"""Anybody's tables: a folder of CSV or Parquet files becomes the three tables of a dataset."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from llmrec.data.columns import named, rename, separator_of, titled
from llmrec.data.feedback import feedback_of
from llmrec.data.validation import (
    INTERACTION_COLUMNS,
    NO_ROW,
    DataError,
    add_items_without_row,
    row_error,
    validate,
)

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]

NO_ROW_EVENTS = "events on items without a row"
NO_RATING = "events without a rating, left out"
WHOLE_NUMBER = r"0|-?[1-9]\d{0,17}"  # canonical and inside int64: "007" stays text
NUMBER = r"[-+]?\d+(\.\d*)?([eE]\+?\d+)?"
DECIMAL_COMMA = r"[-+]?\d+,\d+"
THOUSANDS = r",\d{3}\s*$"  # perhaps a thousand and more: nobody guesses
LATEST = 7_258_118_400  # the year 2200: a later median is in a smaller unit than seconds
UNITS = ("milliseconds", "microseconds", "nanoseconds")
DEFAULTS: dict[str, Any] = {"timestamp": 0, "weight": 1.0, "action": "interacted"}


def read_folder(
    path: Path, columns: Mapping[str, str], *, drop_duplicates: bool = False
) -> tuple[Tables, dict[str, int]]:
    """Return the three tables of a folder, and what was removed, filled in or added, by reason.

    `Dataset.from_folder` says what the files may look like and which errors there are.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder: give one that holds interactions and items"
        )
    files = [_find(path, "interactions"), _find(path, "items"), _find(path, "users", needed=False)]
    frames = [None if file is None else _read(file) for file in files]
    rename(frames, files, columns)
    interactions, items, users = frames
    assert interactions is not None
    assert items is not None
    names = tuple(file.name if file else "users" for file in files)

    counts: dict[str, int] = {}
    wanted = {
        "user": None,
        "item": None,
        "timestamp": lambda cells: _seconds(names[0], cells, {}),
        "weight": lambda cells: _weights(names[0], cells, {}),
    }
    interactions = named(names[0], interactions, wanted, counts)
    items = titled(named(names[1], items, {"item": None}, counts), counts)
    users = None if users is None else named(names[2], users, {"user": None}, counts)
    interactions = _complete(names[0], interactions, counts)
    _share_id_type("item", interactions, items)
    _share_id_type("user", interactions, users)
    items, users = _texts(items), None if users is None else _texts(users)
    if {"item", "title"} <= set(items) and len(items) and interactions.get("item") is not None:
        known = interactions[interactions["item"].notna()]  # a missing id is validation's to report
        counts[NO_ROW_EVENTS] = _without_row(known["item"], items["item"], names)
        items, counts[NO_ROW] = add_items_without_row(known, items)
        items = _texts(items)
    validate(interactions, items, users, names=names)  # type: ignore[arg-type]

    repeated = interactions.duplicated(list(INTERACTION_COLUMNS))
    counts["repeated events" if drop_duplicates else "repeated events (kept)"] = int(repeated.sum())
    if drop_duplicates:
        interactions = interactions[~repeated].reset_index(drop=True)
    return (interactions, items, users), {reason: n for reason, n in counts.items() if n}


def _find(folder: Path, stem: str, *, needed: bool = True) -> Path | None:
    found = [path for end in (".csv", ".parquet") if (path := folder / f"{stem}{end}").is_file()]
    if len(found) == 2:
        raise DataError(f"{folder} has both {stem}.csv and {stem}.parquet: keep one")
    if needed and not found:
        raise FileNotFoundError(f"{folder} has neither {stem}.csv nor {stem}.parquet: add one")
    return found[0] if found else None


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        with warnings.catch_warnings():
            # Cells beyond the header's: pandas would warn and drop them, or shift the columns
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # All cells as text: a film named "NA" is not missing, an id "007" is not 7
            text = _decode(path)
            return pd.read_csv(
                io.StringIO(text),
                sep=separator_of(text),
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                index_col=False,
            )
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path.name} is empty: it needs a header and rows") from error
    except pd.errors.ParserWarning as error:
        raise DataError(
            f"{path.name}: a row has more cells than the header: quote what holds a separator"
        ) from error
    except (pd.errors.ParserError, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        reason = str(error).strip().splitlines()[-1]
        raise DataError(f"{path.name} cannot be read as {path.suffix[1:]}: {reason}") from error


def _decode(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = error.start + data.startswith(b"\xef\xbb\xbf") * 3
        line = data.count(b"\n", 0, start) + 1
        raise DataError(
            f"{path.name} is not UTF-8: byte 0x{data[start]:02x} at offset {start} (line {line}): "
            "save the file as UTF-8"
        ) from error


def _without_row(used: pd.Series, known: pd.Series, names: tuple[str, ...]) -> int:
    """Count events on items that the items table lacks; most of all events is a slip."""
    lacking = ~used.isin(known)
    if lacking.mean() > 0.5:
        raise DataError(
            f"{names[0]}: {lacking.mean():.0%} of the events are on items that {names[1]} lacks,"
            f" such as {str(used[lacking].iloc[0])!r}, where {names[1]} has"
            f" {str(known.iloc[0])!r}: write ids alike in both, or give every item a row"
        )
    return int(lacking.sum())


def _complete(table: str, frame: pd.DataFrame, counts: dict[str, int]) -> pd.DataFrame:
    """Fill in what may be absent from interactions and give each column its type."""
    frame = frame.copy()
    gaps: dict[str, pd.Series] = {}
    for column, default in DEFAULTS.items():
        if column not in frame.columns:
            frame[column] = default
        gaps[column] = frame[column].isna()
    frame["timestamp"] = _seconds(table, frame["timestamp"], counts)
    frame["weight"] = _weights(table, frame["weight"], counts)
    frame["action"] = frame["action"].fillna(DEFAULTS["action"])
    unrated = gaps["weight"]
    rated = {"user", "item"} <= set(frame.columns) and unrated.any() and not unrated.all()
    if rated and feedback_of(frame[~unrated]) == "ratings":  # a gap is no rating, low or high
        counts[NO_RATING] = int(unrated.sum())
        frame = frame[~unrated].reset_index(drop=True)
        gaps = {name: gap[~unrated] for name, gap in gaps.items()}
    for column, default in DEFAULTS.items():
        counts[f"cells of {column!r} filled in with {default!r}"] = int(gaps[column].sum())
    return frame


def _seconds(table: str, given: pd.Series, counts: dict[str, int]) -> pd.Series:
    """Whole seconds since 1970 from numbers or dates; 0 where missing."""
    if types.is_datetime64_any_dtype(given):
        moments = pd.to_datetime(given, utc=True)
    elif types.is_numeric_dtype(given):
        return _whole(table, given, counts)
    else:
        cells = given.astype("str").str.strip()
        if (cells.str.fullmatch(WHOLE_NUMBER) | cells.isna()).all():
            return _scaled(cells.fillna("0").astype(np.int64), counts)
        if (cells.str.fullmatch(NUMBER) | cells.isna()).all():
            return _whole(table, cells.astype(np.float64), counts)
        moments = pd.to_datetime(cells, format="ISO8601", utc=True, errors="coerce")
        mend = "neither seconds nor an ISO 8601 date, such as the rest"
        row_error(table, "timestamp", moments.isna() & cells.notna(), mend)
    seconds = (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
    return seconds.fillna(0).astype(np.int64)


def _whole(table: str, given: pd.Series, counts: dict[str, int]) -> pd.Series:
    """Whole seconds from numbers of any kind, rounded down."""
    if types.is_integer_dtype(given):
        return _scaled(given.fillna(0).astype(np.int64), counts)
    far = given.abs() >= 2.0**63  # infinity too
    row_error(table, "timestamp", far, "not a moment: give seconds since 1970")
    counts["fractions of a second cut off"] = int((given.notna() & (given % 1 != 0)).sum())
    return _scaled(np.floor(given).fillna(0).astype(np.int64), counts)


def _scaled(numbers: pd.Series, counts: dict[str, int]) -> pd.Series:
    """Seconds from a smaller unit, where the median would otherwise lie in a far future."""
    known = numbers[numbers > 0]
    median, unit = (known.median() if len(known) else 0), ""
    for smaller in UNITS:
        if median > LATEST:
            median, numbers, unit = median / 1000, numbers // 1000, smaller
    if unit:
        counts[f"timestamps read as {unit}"] = len(known)
    return numbers


def _weights(table: str, given: pd.Series, counts: dict[str, int]) -> pd.Series:
    cells = given
    if types.infer_dtype(given, skipna=True) == "string":
        comma = given.str.strip().str.fullmatch(DECIMAL_COMMA).fillna(value=False).astype(bool)
        if comma.any() and not given[comma].str.contains(THOUSANDS).all():
            counts["cells of 'weight' read with a decimal comma"] = int(comma.sum())
            cells = given.where(~comma, given.str.replace(",", ".", regex=False))
    numbers = pd.to_numeric(cells, errors="coerce")
    row_error(table, "weight", numbers.isna() & given.notna(), "not a number: mend or empty it")
    return numbers.fillna(DEFAULTS["weight"]).astype(np.float64)


def _share_id_type(column: str, first: pd.DataFrame, second: pd.DataFrame | None) -> None:
    """Make an id column whole numbers in both tables if all its texts are, else text in both."""
    frames = [frame for frame in (first, second) if frame is not None and column in frame.columns]
    if all(types.is_integer_dtype(frame[column]) for frame in frames):
        return
    for frame in frames:  # whole floats: pandas' way of storing integers beside a gap
        ids = frame[column]
        if types.is_float_dtype(ids) and (ids.dropna() % 1 == 0).all():
            frame[column] = ids.astype("Int64")
    texts = [frame[column].astype("str").str.strip() for frame in frames]
    if all(cells.notna().all() and cells.str.fullmatch(WHOLE_NUMBER).all() for cells in texts):
        for frame, cells in zip(frames, texts, strict=True):
            frame[column] = cells.astype(np.int64)
    else:
        for frame, cells in zip(frames, texts, strict=True):
            frame[column] = cells


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Write missing texts as empty ones; ids keep their gaps, which validation reports."""
    filled = {
        column: frame[column].fillna("")
        for column in frame.columns
        if column not in ("item", "user")
        and types.infer_dtype(frame[column]) in ("string", "empty")
    }
    return frame.assign(**filled)

"""Anybody's tables: a folder of CSV or Parquet files becomes the three tables of a dataset."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from llmrec.data.validation import (
    INTERACTION_COLUMNS,
    NO_ROW,
    DataError,
    add_items_without_row,
    once,
    row_error,
    validate,
)

Tables = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None]
Counts = dict[str, int]
Feedback = Literal["events", "counts", "ratings"]
Reader = Callable[[str, pd.Series, Counts], pd.Series]

# Reasons in ``dropped`` that a study warns of.
NO_ROW_EVENTS = "events on items without a row"
NO_RATING = "events without a rating, left out"
EARLY = "timestamps with a median before 1990: are they seconds since 1970?"

# Columns.
SEPARATORS = (",", ";", "\t")
ALIASES: Mapping[str, tuple[str, ...]] = {  # as `_plain` writes them
    "user": ("userid", "customerid", "memberid", "uid"),
    "item": ("itemid", "productid", "movieid", "articleid", "bookid", "sku", "asin"),
    "timestamp": ("time", "date", "datetime", "createdat", "eventtime", "ts"),
    "weight": ("rating", "ratings", "stars", "score", "quantity", "qty", "count", "plays"),
    "action": (),
}
TITLES = ("name", "itemname", "productname", "producttitle", "headline")
DEFAULTS: dict[str, Any] = {"timestamp": 0, "weight": 1.0, "action": "interacted"}
LINK = re.compile(r"(https?://|www\.|/)\S*")
WORD = r"[^\W\d_]{2}"  # two letters

# Numbers, in the digits 0 to 9 alone: other scripts' digits stay text.
WHOLE_NUMBER = r"0|-?[1-9][0-9]{0,17}"  # canonical and inside int64: "007" stays text
NUMBER = r"[-+]?[0-9]+(\.[0-9]*)?([eE]\+?[0-9]+)?"
DECIMAL_COMMA = r"[-+]?[0-9]+,[0-9]+"
THOUSANDS = r",[0-9]{3}\s*$"  # perhaps a thousand and more: nobody guesses
MOST_LEVELS = 20  # a rating scale has at most so many steps

# Times.
YEAR_1990, LATEST = 631_152_000, 7_258_118_400  # LATEST: the year 2200
UNITS = ("milliseconds", "microseconds", "nanoseconds")
NO_SECONDS: Mapping[str, str] = {  # numbers that all have this form → what they are
    r"(19|20)[0-9]{2}(\.0*)?": "years",
    r"(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])([0-9]{4}|[0-9]{6})?(\.0*)?": "dates",
    r"[3-5][0-9]{4}(\.[0-9]*)?": "a spreadsheet's days",
}


def read_folder(
    path: Path, columns: Mapping[str, str], *, drop_duplicates: bool = False
) -> tuple[Tables, Counts]:
    """Return the three tables of a folder, and what was removed, filled in or added, by reason.

    `Dataset.from_folder` says what the files may look like and which errors there are.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is not a folder: give one with interactions and items")
    files = [_find(path, "interactions"), _find(path, "items"), _find(path, "users", needed=False)]
    counts: Counts = {}
    frames = [None if file is None else _read(file, counts) for file in files]
    names = tuple(file.name if file else "users" for file in files)  # as messages call them
    interactions, items, users = _renamed(frames, names, columns)
    assert interactions is not None
    assert items is not None

    wanted = {"user": None, "item": None, "timestamp": _seconds, "weight": _weights, "action": None}
    interactions = _named(names[0], interactions, wanted, counts)
    items = _titled(_named(names[1], items, {"item": None}, counts), counts)
    users = None if users is None else _named(names[2], users, {"user": None}, counts)
    interactions = _complete(names[0], interactions, counts)
    _share_id_type("item", {names[0]: interactions, names[1]: items}, counts)
    _share_id_type("user", {names[0]: interactions, names[2]: users}, counts)
    items, users = _texts(items), None if users is None else _texts(users)
    if {"item", "title"} <= set(items) and len(items) and interactions.get("item") is not None:
        known = interactions[interactions["item"].notna()]  # a missing id is validation's to report
        counts[NO_ROW_EVENTS] = _without_row(known["item"], items["item"], names)
        items, counts[NO_ROW] = add_items_without_row(known, items)
        items = _texts(items)
    validate(interactions, items, users, names=names)

    repeated = interactions.duplicated(list(INTERACTION_COLUMNS))
    counts["repeated events" if drop_duplicates else "repeated events (kept)"] = int(repeated.sum())
    if drop_duplicates:
        interactions = interactions[~repeated].reset_index(drop=True)
    return (interactions, items, users), {reason: n for reason, n in counts.items() if n}


def feedback_of(events: pd.DataFrame) -> Feedback:
    """Tell ratings from counts and from plain events, by the weights alone.

    Ratings have few levels in halves, at most ten, one for each user and item, and are not mostly
    ones; all weights equal are plain events; anything else counts.
    """
    weight = events["weight"].to_numpy(np.float64)
    levels = np.unique(weight)
    if len(levels) == 1:
        return "events"
    once = not events.duplicated(["user", "item"]).mean() > 0.01
    scale = 2 < len(levels) <= MOST_LEVELS and levels[0] >= 0 and levels[-1] <= 10
    ones = (weight == levels[0]).mean() > 0.5  # counts fall off from one
    if once and scale and not ones and (levels * 2 % 1 == 0).all():
        return "ratings"
    return "counts"


def _find(folder: Path, stem: str, *, needed: bool = True) -> Path | None:
    found = [path for end in (".csv", ".parquet") if (path := folder / f"{stem}{end}").is_file()]
    if len(found) == 2:
        raise DataError(f"{folder} has both {stem}.csv and {stem}.parquet: keep one")
    if needed and not found:
        raise FileNotFoundError(f"{folder} has neither {stem}.csv nor {stem}.parquet: add one")
    return found[0] if found else None


def _read(path: Path, counts: Counts) -> pd.DataFrame:
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, counts)
    except DataError:
        raise
    except (OSError, ValueError) as error:  # pandas' and pyarrow's own are values' errors
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path.name} cannot be read as {path.suffix[1:]}: {reason}") from error


def _read_csv(path: Path, counts: Counts) -> pd.DataFrame:
    """Read all cells as text: a film named "NA" is not missing, an id "007" is not 7."""
    text = _decode(path)
    separator = separator_of(text)
    _check_rows(path.name, text, separator, counts)
    gaps: dict[str, Any] = {"keep_default_na": False, "na_values": [""]}
    return pd.read_csv(io.StringIO(text), sep=separator, dtype=str, index_col=False, **gaps)


def _check_rows(table: str, text: str, separator: str, counts: Counts) -> None:
    """Refuse what pandas bends in silence: equal names, further cells, quotes inside a row."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    limit = csv.field_size_limit(len(text) + 1)  # a text may be long
    try:
        rows = filter(None, lines)
        if (header := next(rows, None)) is None:
            raise DataError(f"{table} is empty: it needs a header and rows")
        once(table, header)
        width, swallowed = len(header), 0
        for number, row in enumerate(rows, start=1):
            if len(row) > width:
                fix = "quote what holds a separator"
                raise DataError(f"{table}, row {number} has more cells than the header: {fix}")
            swallowed += any("\n" in cell and cell.count(separator) >= width - 1 for cell in row)
    except csv.Error as error:
        fix = "write a quote inside a cell twice, and the cell in quotes"
        raise DataError(f"{table}, line {lines.line_num}: {error}: {fix}") from error
    finally:
        csv.field_size_limit(limit)
    counts[f"rows of {table} with a row inside quotes: a stray quote?"] = swallowed


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


def separator_of(text: str) -> str:
    """Return what stands between the cells of a CSV: a comma, a semicolon or a tab.

    The most frequent of the three in the header, outside quotes.

    Examples
    --------
    >>> separator_of('user;item;"a,b,c"')
    ';'
    """
    header = re.sub(r'"[^"]*"', "", text.lstrip("\r\n").partition("\n")[0])
    return max(SEPARATORS, key=header.count)


def _renamed(
    frames: list[pd.DataFrame | None], names: tuple[str, ...], columns: Mapping[str, str]
) -> list[pd.DataFrame | None]:
    """Apply the files' names → ours; a name that no table has is a slip, so it is refused."""
    present = {column for frame in frames if frame is not None for column in frame}
    if absent := [theirs for theirs in columns if theirs not in present]:
        raise DataError(f"columns= names {absent[0]!r}, which none of {', '.join(names)} has")
    out = [None if frame is None else frame.rename(columns=dict(columns)) for frame in frames]
    for name, frame in zip(names, out, strict=True):
        once(name, [] if frame is None else frame.columns, "let columns= name one alone")
    return out


def _named(
    table: str, frame: pd.DataFrame, wanted: Mapping[str, Reader | None], counts: Counts
) -> pd.DataFrame:
    """Return a table in which a column that is absent is read from the one with a common name.

    Our own name in other letters or with blanks comes first ("Timestamp"). ``wanted`` names our
    columns and, where not any content will do, what raises a `DataError` on the wrong one. Of
    several names the one that can be read is taken; where two can, neither is. Either is counted.
    """
    for ours, reader in wanted.items():
        if ours in frame.columns:
            continue
        found = [name for name in frame.columns if _plain(name) == ours]
        found = found or [name for name in frame.columns if _plain(name) in ALIASES[ours]]
        if len(found) > 1:
            found = [name for name in found if _is_read(reader, frame[name])] or found
        if len(found) > 1:
            both = " and ".join(map(repr, found))
            counts[f"cells of {ours!r} that {both} of {table} could both be: not read"] = len(frame)
        elif found:
            if reader:
                reader(table, frame[found[0]], {})  # a bad cell is named with its own column
            frame = frame.rename(columns={found[0]: ours})
            counts[f"cells of {ours!r} read from column {found[0]!r} of {table}"] = len(frame)
    return frame


def _is_read(reader: Reader | None, cells: pd.Series) -> bool:
    try:
        return reader is None or len(reader("", cells, {})) > 0
    except DataError:
        return False


def _titled(items: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    """Return items with a column ``title``: a column of names, else the first one that holds words.

    Where no column does, titles are empty. Either is counted.
    """
    if "title" in items.columns or "item" not in items.columns:
        return items
    others = [name for name in items.columns if name != "item"]
    others.sort(key=lambda name: (_plain(name) != "title", _plain(name) not in TITLES))
    for name in others:
        if _plain(name) == "title" or holds_words(items[name]):
            counts[f"titles read from column {name!r}"] = len(items)
            return items.rename(columns={name: "title"})
    counts["items without a title: no column of the items holds words"] = len(items)
    return items.assign(title="")


def holds_words(cells: pd.Series) -> bool:
    """Tell whether most cells are texts with letters that are no links, and not all the same."""
    given = cells.dropna()
    if types.infer_dtype(given) != "string" or (given.nunique() < 2 and len(cells) > 1):
        return False
    sample = given.head(500)
    words = sample.str.contains(WORD) & ~sample.str.strip().str.fullmatch(LINK)
    return bool(words.mean() > 0.5)


def _plain(name: object) -> str:
    """Write a column's name in small letters, without blanks, underscores and hyphens."""
    return re.sub(r"[\s_-]", "", str(name)).casefold()


def _complete(table: str, frame: pd.DataFrame, counts: Counts) -> pd.DataFrame:
    """Fill in what may be absent from interactions and give each column its type."""
    frame = frame.assign(**{name: cell for name, cell in DEFAULTS.items() if name not in frame})
    gaps = frame[list(DEFAULTS)].isna()
    frame["timestamp"] = _seconds(table, frame["timestamp"], counts)
    frame["weight"] = _weights(table, frame["weight"], counts)
    frame["action"] = frame["action"].fillna(DEFAULTS["action"])
    unrated = gaps["weight"]
    rated = {"user", "item"} <= set(frame.columns) and unrated.any() and not unrated.all()
    if rated and feedback_of(frame[~unrated]) == "ratings":  # a gap is no rating, low or high
        counts[NO_RATING] = int(unrated.sum())
        frame = frame[~unrated].reset_index(drop=True)
        gaps = gaps[~unrated]
    for column, default in DEFAULTS.items():
        counts[f"cells of {column!r} filled in with {default!r}"] = int(gaps[column].sum())
    return frame


def _seconds(table: str, given: pd.Series, counts: Counts) -> pd.Series:
    """Return whole seconds since 1970 from numbers or dates; 0 where missing."""
    column = str(given.name)
    if types.is_datetime64_any_dtype(given):
        moments = pd.to_datetime(given, utc=True)
    elif types.is_numeric_dtype(given) and not types.is_bool_dtype(given):
        return _scaled(table, given.fillna(0), counts)
    else:
        cells = given.astype("str").str.strip()
        if (cells.str.fullmatch(NUMBER) | cells.isna()).all():
            whole = (cells.str.fullmatch(WHOLE_NUMBER) | cells.isna()).all()
            numbers = cells.fillna("0").astype(np.int64 if whole else np.float64)
            return _scaled(table, numbers.rename(column), counts)
        dates = cells.where(cells.str.match("[0-9]{4}"))  # pandas reads "now" as a moment, too
        moments = pd.to_datetime(dates, format="ISO8601", utc=True, errors="coerce")
        wrong = moments.isna() & cells.notna()
        row_error(table, column, wrong, "neither seconds nor an ISO 8601 date such as 2017-07-14")
    seconds = moments.astype("datetime64[s, UTC]").astype(np.int64).where(moments.notna(), 0)
    row_error(table, column, seconds > LATEST, "after the year 2200: empty it if it is unknown")
    return seconds


def _scaled(table: str, given: pd.Series, counts: Counts) -> pd.Series:
    """Return whole seconds from numbers: in smaller units where a far future would follow."""
    column = str(given.name)
    row_error(table, column, given.abs() >= 2.0**63, "not a moment: give seconds since 1970")
    counts["fractions of a second cut off"] = int((given % 1 != 0).sum())
    seconds = given if types.is_integer_dtype(given) else np.floor(given)
    seconds = seconds.astype(np.int64)
    known = seconds > 0
    sample = given[known].iloc[:: int(known.sum()) // 1000 + 1].astype("str")
    for form, what in NO_SECONDS.items():
        if len(sample) and sample.str.fullmatch(form).all():
            raise DataError(
                f"{table}, column {column!r}: numbers such as {sample.iloc[0]} are {what}, not"
                " seconds since 1970: write dates as 2017-07-14"
            )
    median, unit = (seconds[known].median() if known.any() else 0), "seconds"
    for smaller in UNITS:
        if median > LATEST:
            median, seconds, unit = median / 1000, seconds // 1000, smaller
    if unit != "seconds":
        counts[f"timestamps read as {unit}"] = int(known.sum())
    if 0 < median < YEAR_1990:
        counts[EARLY] = int(known.sum())
    else:  # a hundredth of the median is a moment in 1970, and a thousandth is another unit
        other = (seconds > LATEST) | (known & (seconds < median / 100))
        row_error(table, column, other, "in another unit than most, or no moment: write all alike")
    return seconds


def _weights(table: str, given: pd.Series, counts: Counts) -> pd.Series:
    """Return weights as float64, with a decimal comma as well; 1 where missing."""
    cells = given
    if types.infer_dtype(given, skipna=True) == "string":
        comma = given.str.strip().str.fullmatch(DECIMAL_COMMA).fillna(value=False).astype(bool)
        if comma.any() and not given[comma].str.contains(THOUSANDS).all():
            counts["cells of 'weight' read with a decimal comma"] = int(comma.sum())
            cells = given.where(~comma, given.str.replace(",", ".", regex=False))
    numbers = pd.to_numeric(cells, errors="coerce")
    wrong = numbers.isna() & given.notna()
    row_error(table, str(given.name), wrong, "not a number: fix or empty it, or rename the column")
    return numbers.fillna(DEFAULTS["weight"]).astype(np.float64)


def _share_id_type(column: str, tables: dict[str, pd.DataFrame | None], counts: Counts) -> None:
    """Make an id column whole numbers in both tables if all its texts are, else text in both."""
    frames = {
        name: frame for name, frame in tables.items() if frame is not None and column in frame
    }
    if all(types.is_integer_dtype(frame[column]) for frame in frames.values()):
        return
    texts = [_id_texts(name, frame[column], counts) for name, frame in frames.items()]
    whole = all(ids.notna().all() and ids.str.fullmatch(WHOLE_NUMBER).all() for ids in texts)
    for frame, ids in zip(frames.values(), texts, strict=True):
        frame[column] = ids.astype(np.int64) if whole else ids


def _id_texts(table: str, ids: pd.Series, counts: Counts) -> pd.Series:
    """Return ids as texts without blanks around them, unless that would make two ids one."""
    column = str(ids.name)
    if (kind := types.infer_dtype(ids)) in ("bytes", "mixed"):
        raise DataError(f"{table}, column {column!r}: ids are {kind}, not whole numbers or text")
    if types.is_float_dtype(ids) and (ids.dropna() % 1 == 0).all():
        ids = ids.astype("Int64")  # whole floats: pandas' way of storing integers beside a gap
    cells = ids.astype("str")
    texts = cells.str.strip()
    blanks = (texts != cells) & cells.notna()
    if blanks.any():
        alike = cells.groupby(texts).transform("nunique") > 1
        fix = "differs from another id by blanks alone: write them alike"
        row_error(table, column, blanks & alike, fix)
        counts[f"cells of {column!r} of {table} with blanks around an id"] = int(blanks.sum())
    return texts.where(texts != "")


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


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Write missing texts as empty ones; ids keep their gaps, which validation reports."""
    others = frame.columns.drop(["item", "user"], errors="ignore")
    texts = [name for name in others if types.infer_dtype(frame[name]) in ("string", "empty")]
    return frame.fillna(dict.fromkeys(texts, ""))

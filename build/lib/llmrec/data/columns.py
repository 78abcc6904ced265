"""How the columns of anybody's tables are called, and which of them hold words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from pandas.api import types

from llmrec.data.validation import DataError

SEPARATORS = (",", ";", "\t")
ALIASES: Mapping[str, tuple[str, ...]] = {  # in small letters, without spaces and underscores
    "user": ("userid", "customerid", "memberid", "uid"),
    "item": ("itemid", "productid", "movieid", "articleid", "bookid", "sku", "asin"),
    "timestamp": ("time", "date", "datetime", "createdat", "eventtime", "ts"),
    "weight": ("rating", "ratings", "stars", "score", "quantity", "qty", "count", "plays"),
}
TITLES = ("name", "itemname", "productname", "producttitle", "headline")
LINK = re.compile(r"(https?://|www\.|/)\S*")
WORD = r"[^\W\d_]{2}"  # two letters


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


def rename(
    frames: list[pd.DataFrame | None], files: list[Path | None], columns: Mapping[str, str]
) -> None:
    """Apply the files' names → ours; a name that no table has is a slip, so it is refused."""
    present = {column for frame in frames if frame is not None for column in frame.columns}
    for theirs in columns:
        if theirs not in present:
            names = ", ".join(file.name for file in files if file)
            raise DataError(f"columns= names {theirs!r}, which none of {names} has")
    for index, frame in enumerate(frames):
        if frame is not None:
            frames[index] = frame.rename(columns=dict(columns))


def named(
    table: str,
    frame: pd.DataFrame,
    wanted: Mapping[str, Callable[[pd.Series], object] | None],
    counts: dict[str, int],
) -> pd.DataFrame:
    """Return a table in which a column that is absent is read from the one with a common name.

    ``wanted`` names our columns and, where not any content will do, what raises a `DataError` on
    the wrong one. Where two columns would do, neither is taken. What was taken is counted by its
    cells, and said.
    """
    for ours, reads in wanted.items():
        if ours in frame.columns:
            continue
        found = [name for name in frame.columns if _plain(name) in ALIASES[ours]]
        found = [name for name in found if _is_read(reads, frame[name])]
        if len(found) == 1:
            frame = frame.rename(columns={found[0]: ours})
            counts[f"cells of {ours!r} read from column {found[0]!r} of {table}"] = len(frame)
    return frame


def titled(items: pd.DataFrame, counts: dict[str, int]) -> pd.DataFrame:
    """Return items with a column ``title``: a column of names, else the first one that holds words.

    Where no column does, titles are empty. Either is counted.
    """
    if "title" in items.columns or "item" not in items.columns:
        return items
    others = [name for name in items.columns if name != "item"]
    others.sort(key=lambda name: _plain(name) not in TITLES)
    for name in others:
        if holds_words(items[name]):
            counts[f"titles read from column {name!r}"] = len(items)
            return items.rename(columns={name: "title"})
    counts["items without a title: no column of the items holds words"] = len(items)
    return items.assign(title="")


def holds_words(cells: pd.Series) -> bool:
    """Tell whether most cells are texts with letters that are no links, and not all the same."""
    said = cells.dropna()
    if types.infer_dtype(said) != "string" or (said.nunique() < 2 and len(cells) > 1):
        return False
    sample = said.head(500)
    words = sample.str.contains(WORD) & ~sample.str.strip().str.fullmatch(LINK)
    return bool(words.mean() > 0.5)


def holds_numbers(cells: pd.Series) -> bool:
    """Tell whether most cells are numbers that may weigh an event; a number of each row is none."""
    said = cells.dropna()
    if not len(said) or types.is_bool_dtype(said) or types.is_datetime64_any_dtype(said):
        return False
    if types.infer_dtype(said) == "string":
        said = said.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(said, errors="coerce").dropna()
    if len(numbers) <= len(said) / 2:
        return False
    return not ((numbers % 1 == 0).all() and numbers.is_unique and len(numbers) > 2)


def _plain(name: object) -> str:
    return re.sub(r"[\s_-]", "", str(name)).casefold()


def _is_read(reads: Callable[[pd.Series], object] | None, cells: pd.Series) -> bool:
    if reads is None:
        return True
    try:
        reads(cells)
    except DataError:
        return False
    return True

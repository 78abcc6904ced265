"""What is done to anybody's tables before a study: which events count, which columns are text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pandas.api import types

from llmrec.data import DataError, Dataset
from llmrec.data.feedback import Feedback, feedback_of
from llmrec.text import clean, item_text

FEW_UNDATED = 0.01  # share of events without a time that may be left out
NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*")
LINK = re.compile(r"(https?://|www\.|/)\S*")
SCRIPT_WITHOUT_SPACES = re.compile(  # Han, Kana, Hangul, Thai, Lao, Khmer
    r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)


@dataclass(frozen=True)
class Tables:
    """A dataset ready for a study, and what was done to it.

    Attributes
    ----------
    dataset:
        With the events that count as interest.
    feedback:
        ``"events"``, ``"counts"`` or ``"ratings"``.
    least:
        The smallest weight that counts.
    low:
        Events below it, left out. Their ``refused`` rows ``user, item, timestamp`` hold each pair
        once, with its earliest time, unless another event of the pair counts.
    undated:
        Events without a time, left out because they are few and the others have one.
    merged:
        Further events of the same user, item and time, counted once: models ask who took what.
    columns:
        The items' columns that are text, the title first.
    not_text:
        The other columns → why they are none.
    texts:
        One text an item, in the order of the items table; empty where there is none.
    """

    dataset: Dataset
    feedback: Feedback
    least: float
    low: int
    undated: int
    merged: int
    refused: pd.DataFrame
    columns: tuple[str, ...]
    not_text: Mapping[str, str]
    texts: list[str]


def prepare(dataset: Dataset, least: float | None = None, template: str = "generic") -> Tables:
    """Decide what counts as interest and what is text.

    Ratings below the middle of their scale are no interest; nor are weights of zero or less.
    ``least`` sets another border, 0 or below keeps everything of a rating scale.

    Raises
    ------
    DataError
        When no event is left.
    """
    events = dataset.interactions
    weight = events["weight"].to_numpy(np.float64)
    feedback = feedback_of(events)
    if least is None:
        middle = (weight.min() + weight.max()) / 2
        least = middle if feedback == "ratings" else float(np.nextafter(0, 1))
    counts = weight >= least
    if not counts.any():
        raise DataError(
            f"{dataset.name}: no event has a weight of at least {least:g}: lower least, the"
            " smallest weight that counts as interest"
        )
    good, low = events[counts], events[~counts]
    none = good["timestamp"] == 0
    undated = int(none.sum()) if none.mean() <= FEW_UNDATED else 0
    good = good[~none] if undated else good
    again = good.duplicated(["user", "item", "timestamp"])
    kept = replace(dataset, interactions=good[~again].reset_index(drop=True))
    columns, not_text = text_columns(dataset.items)
    wording = dataset.items[["item", *columns]] if template == "generic" else dataset.items
    texts = item_text(wording, template)
    return Tables(
        kept,
        feedback,
        float(least),
        len(low),
        undated,
        int(again.sum()),
        _refused(low, good),
        columns,
        not_text,
        texts,
    )


def _refused(low: pd.DataFrame, good: pd.DataFrame) -> pd.DataFrame:
    """Return the low pairs of known users that have no good event, at their earliest time."""
    low = low[low["user"].isin(good["user"])].sort_values("timestamp", kind="stable")
    low = low[["user", "item", "timestamp"]].drop_duplicates(["user", "item"])
    if not len(low):
        return low.reset_index(drop=True)
    pairs = pd.MultiIndex.from_frame(low[["user", "item"]])
    taken = pairs.isin(pd.MultiIndex.from_frame(good[["user", "item"]]))
    return low[~taken].sort_index().reset_index(drop=True)


def text_columns(items: pd.DataFrame) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the columns that hold words, the title first, and why each other one does not."""
    words, others = ["title"], {}
    for name in items.columns.drop(["item", "title"]):
        column = items[name]
        if types.is_numeric_dtype(column) or types.is_datetime64_any_dtype(column):
            others[str(name)] = "numbers or dates"
            continue
        sample = column.sample(min(len(column), 500), random_state=0)
        cells = [cell for cell in map(clean, sample) if cell]
        if not cells:
            others[str(name)] = "empty"
        elif _share(NUMBER, cells) > 0.5:
            others[str(name)] = "numbers or dates"
        elif _share(LINK, cells) > 0.5:
            others[str(name)] = "links or paths"
        elif len(set(cells)) == 1 and len(items) > 1:
            others[str(name)] = "the same for every item"
        else:
            words.append(str(name))
    return tuple(words), others


def countable(texts: list[str]) -> list[str]:
    """Return texts whose words can be counted where a script has no spaces: pairs of characters.

    ``"语言模型"`` becomes ``"语言 言模 模型"``; other scripts stay. It lets TF-IDF read Chinese,
    Japanese and Thai.

    Examples
    --------
    >>> countable(["语言模型 v2"])
    ['语言 言模 模型 v2']
    """

    def pairs(match: re.Match[str]) -> str:
        run = match[0]
        parts = [run[i : i + 2] for i in range(len(run) - 1)] or [run]
        return f" {' '.join(parts)} "

    return [" ".join(SCRIPT_WITHOUT_SPACES.sub(pairs, text).split()) for text in texts]


def _share(pattern: re.Pattern[str], cells: list[str]) -> float:
    return sum(bool(pattern.fullmatch(cell)) for cell in cells) / len(cells)

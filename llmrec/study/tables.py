"""Tables before a study: which events count, which columns are text, what they are like."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd
from pandas.api import types

from llmrec.data import DataError, Dataset
from llmrec.data.folder import Feedback, feedback_of
from llmrec.data.validation import INTERACTION_COLUMNS
from llmrec.text import clean, item_text

FEW_UNDATED = 0.01  # share of events without a time that may be left out
NUMBER = re.compile(r"[-+]?\d[\d.,:/ -]*")
LINK = re.compile(r"(https?://|www\.|/)\S*")
SCRIPT_WITHOUT_SPACES = re.compile(  # Han, Kana, Hangul, Thai, Lao, Khmer
    r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+"
)
SAMPLE, POINTS = 3000, 51  # texts whose letters are looked at; points of a curve
SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
FEWEST_KNOWN = 0.05  # share of texts whose language shows, below which none is named
FOREIGN = 0.2  # share of them in one other language that deserves a warning: names alone reach 0.15
LITTLE_WORDS = {
    name: frozenset(words.split())
    for name, words in {
        "English": "the of and in to for with on is by from at how your",
        "German": "der die das und in von mit für ist auf den ein eine zu im",
        "French": "le la les de et des en un une du pour dans est sur au",
        "Spanish": "el la los las de y en un una del para con es por su",
        "Portuguese": "o os as de e do da em um uma para com por não que",
        "Italian": "il lo la gli di e in un una del per con è che sul",
        "Dutch": "de het een en van in op voor met is te dat aan zijn bij",
    }.items()
}


@dataclass(frozen=True)
class Tables:
    """A dataset ready for a study, and what was done to it.

    Attributes
    ----------
    dataset:
        With the events that count as interest.
    feedback:
        ``"events"``, ``"counts"`` or ``"ratings"``.
    min_weight:
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
    min_weight: float
    low: int
    undated: int
    merged: int
    refused: pd.DataFrame
    columns: tuple[str, ...]
    not_text: Mapping[str, str]
    texts: list[str]


def prepare(dataset: Dataset, min_weight: float | None = None, template: str = "generic") -> Tables:
    """Decide what counts as interest and what is text.

    Ratings below the middle of their scale are no interest; nor are weights of zero or less.
    ``min_weight`` sets another border, 0 or below keeps everything of a rating scale.

    Raises
    ------
    DataError
        When no event is left.
    """
    events = dataset.interactions
    weight = events["weight"].to_numpy(np.float64)
    feedback = feedback_of(events)
    if min_weight is None:
        middle = (weight.min() + weight.max()) / 2
        min_weight = middle if feedback == "ratings" else float(np.nextafter(0, 1))
    counts = weight >= min_weight
    if not counts.any():
        raise DataError(
            f"{dataset.name}: no event has a weight of at least {min_weight:g}: lower min_weight,"
            " the smallest weight that counts as interest"
        )
    good, low = events[counts], events[~counts]
    none = good["timestamp"] == 0
    undated = int(none.sum()) if none.mean() <= FEW_UNDATED else 0
    good = good[~none] if undated else good
    again = good.duplicated(["user", "item", "timestamp"])
    columns, not_text = text_columns(dataset.items)
    wording = dataset.items[["item", *columns]] if template == "generic" else dataset.items
    return Tables(
        dataset=replace(dataset, interactions=good[~again].reset_index(drop=True)),
        feedback=feedback,
        min_weight=float(min_weight),
        low=len(low),
        undated=undated,
        merged=int(again.sum()),
        refused=_refused(low, good),
        columns=columns,
        not_text=not_text,
        texts=item_text(wording, template),
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


def _share(pattern: re.Pattern[str], cells: list[str]) -> float:
    return sum(bool(pattern.fullmatch(cell)) for cell in cells) / len(cells)


def countable(texts: list[str]) -> list[str]:
    """Return texts whose words can be counted where a script has no spaces: pairs of characters.

    It lets TF-IDF read Chinese, Japanese and Thai; other scripts stay.

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


@dataclass(frozen=True)
class Profile:
    """What the tables are like.

    Attributes
    ----------
    n_events, n_users, n_items, n_pairs:
        Events that count, users, rows of the catalogue, distinct (user, item) pairs.
    density:
        ``n_pairs / (n_users · n_items)``.
    feedback, min_weight, low, undated, merged:
        As in `Tables`.
    dated:
        Whether every event has a time; ``first`` and ``last`` are its dates.
    repeated:
        Share of events that repeat an earlier choice of the same user.
    one_event_users, never_taken:
        Users with one distinct item; items of the catalogue that nobody took.
    median_history, hot_share:
        Distinct items of the median user; share of pairs on the top fifth of the taken items.
    columns, not_text, unread:
        Text columns; the others and why they are not read; columns of interactions that are not,
        and whether they hold numbers that may weigh an event.
    with_text, median_words:
        Share of items with a text; words of the median text that is there.
    scripts, languages:
        Share of letters by script; share of texts by language, of those whose small words show it.
    dropped:
        What loading removed, filled in or added, by reason.
    tail, histories:
        Two curves for figures: share of pairs on the most popular share of items, and distinct
        items of users at equally spaced quantiles; each has the same number of points.
    """

    name: str
    n_events: int
    n_users: int
    n_items: int
    n_pairs: int
    density: float
    feedback: str
    min_weight: float
    low: int
    undated: int
    merged: int
    dated: bool
    first: str
    last: str
    repeated: float
    one_event_users: int
    never_taken: int
    median_history: float
    hot_share: float
    columns: tuple[str, ...]
    not_text: Mapping[str, str]
    unread: Mapping[str, bool]
    with_text: float
    median_words: float
    scripts: Mapping[str, float]
    languages: Mapping[str, float]
    dropped: Mapping[str, int]
    tail: tuple[float, ...]
    histories: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("columns", "tail", "histories"):  # JSON knows lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def script(self) -> str:
        """The script of most letters, "" when there is none."""
        return max(self.scripts, key=lambda name: self.scripts[name], default="")

    @property
    def foreign(self) -> str:
        """What most texts that are not English are in: a script or a language, "" for none."""
        if self.script != "Latin":
            return f"{self.script} script" if self.script else ""
        others = {name: share for name, share in self.languages.items() if name != "English"}
        most = max(others, key=lambda name: others[name], default="")
        return most if most and others[most] >= FOREIGN else ""


def profile(tables: Tables) -> Profile:
    """Return the portrait of prepared tables."""
    data, events = tables.dataset, tables.dataset.interactions
    pairs = data.coded[["user", "item"]].drop_duplicates()
    taken = np.bincount(pairs["item"], minlength=data.n_items)
    history = np.bincount(pairs["user"], minlength=data.n_users)
    ranked = np.sort(taken[taken > 0])[::-1]
    tail = np.concatenate([[0], np.cumsum(ranked) / ranked.sum()])
    at, along = np.linspace(0, 1, POINTS), np.linspace(0, 1, len(tail))
    time = events["timestamp"].to_numpy()
    dated = bool((time > 0).all() and time.min() < time.max())
    texts = [text for text in tables.texts if text]
    sample = sorted(set(texts))
    sample = sample[:: max(1, -(-len(sample) // SAMPLE))]
    return Profile(
        name=data.name,
        n_events=len(events),
        n_users=data.n_users,
        n_items=data.n_items,
        n_pairs=len(pairs),
        density=len(pairs) / (data.n_users * data.n_items),
        feedback=tables.feedback,
        min_weight=tables.min_weight,
        low=tables.low,
        undated=tables.undated,
        merged=tables.merged,
        dated=dated,
        first=_day(time.min()) if dated else "",
        last=_day(time.max()) if dated else "",
        repeated=1 - len(pairs) / len(events),
        one_event_users=int((history == 1).sum()),
        never_taken=int((taken == 0).sum()),
        median_history=float(np.median(history)),
        hot_share=float(np.interp(0.2, along, tail)),
        columns=tables.columns,
        not_text=dict(tables.not_text),
        unread={
            str(name): holds_numbers(events[name])
            for name in events.columns
            if name not in INTERACTION_COLUMNS
        },
        with_text=len(texts) / len(tables.texts),
        median_words=float(np.median([len(text.split()) for text in texts])) if texts else 0.0,
        scripts=scripts(sample),
        languages=languages(sample),
        dropped=dict(data.dropped),
        tail=tuple(np.interp(at, along, tail).round(4).tolist()),
        histories=tuple(np.quantile(history, at).round(1).tolist()),
    )


def scripts(texts: list[str]) -> dict[str, float]:
    """Return the share of letters by script, the most frequent first.

    Examples
    --------
    >>> scripts(["ab", "语言"])
    {'Latin': 0.5, 'Chinese': 0.5}
    """
    letters = Counter(char for text in texts for char in text if char.isalpha())
    counts: Counter[str] = Counter()
    for char, n in letters.items():
        counts[_script(char)] += n
    del counts[""]
    total = max(counts.total(), 1)
    return {name: round(n / total, 4) for name, n in counts.most_common()}


def languages(texts: list[str]) -> dict[str, float]:
    """Return the share of texts by the language whose small words they hold, most frequent first.

    It tells seven European languages apart and knows no other: a hint for a warning, no more. Texts
    without such a word, or with as many of two languages, are not counted; where they are nearly
    all, nothing is returned.

    Examples
    --------
    >>> languages(["the history of the world", "a vida e os gatos", "no small words here"])
    {'English': 0.5, 'Portuguese': 0.5}
    """
    counts: Counter[str] = Counter()
    for text in texts:
        words = set(re.findall(r"[^\W\d_]+", text.casefold()))
        shared = {name: len(words & little) for name, little in LITTLE_WORDS.items()}
        first, second = sorted(shared, key=lambda name: -shared[name])[:2]
        if shared[first] > shared[second]:
            counts[first] += 1
    if counts.total() < FEWEST_KNOWN * len(texts):
        return {}
    return {name: round(n / counts.total(), 4) for name, n in counts.most_common()}


@cache
def _script(char: str) -> str:
    name = unicodedata.name(char, "UNKNOWN")
    if not re.search("LETTER|IDEOGRAPH|SYLLABLE", name):
        return ""
    first = name.split()[0]
    return SCRIPTS.get(first, first.capitalize())


def holds_numbers(cells: pd.Series) -> bool:
    """Tell whether most cells are numbers that may weigh an event; a number of each row is none."""
    given = cells.dropna()
    if not len(given) or types.is_bool_dtype(given) or types.is_datetime64_any_dtype(given):
        return False
    if types.infer_dtype(given) == "string":
        given = given.str.replace(",", ".", regex=False)
    numbers = pd.to_numeric(given, errors="coerce").dropna()
    if len(numbers) <= len(given) / 2:
        return False
    return not ((numbers % 1 == 0).all() and numbers.is_unique and len(numbers) > 2)


def _day(seconds: int) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))

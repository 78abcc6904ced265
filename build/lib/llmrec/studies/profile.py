"""A portrait of somebody's tables: size, density, long tail, text, languages, and what to mind."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from llmrec.data.columns import holds_numbers
from llmrec.data.validation import INTERACTION_COLUMNS
from llmrec.studies.tables import Tables

SAMPLE = 3000  # texts whose letters are looked at
POINTS = 51  # of a curve
SCRIPTS = {"CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
FEWEST_TOLD = 0.05  # share of texts whose language can be told, below which none is named
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
class Profile:
    """What the tables are like.

    Attributes
    ----------
    n_events, n_users, n_items, n_pairs:
        Events that count, users, rows of the catalogue, distinct (user, item) pairs.
    density:
        ``n_pairs / (n_users · n_items)``.
    feedback, least, low, undated, merged:
        Kind of feedback, smallest weight that counts, events below it that were left out, events
        without a time that were, events that repeat user, item and time and were counted once.
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
        and whether they hold numbers.
    with_text, median_words:
        Share of items with a text; words of the median text that is there.
    scripts, languages:
        Share of letters by script; share of texts by language, of those whose small words tell it.
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
    least: float
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
    data, texts = tables.dataset, tables.texts
    pairs = data.coded[["user", "item"]].drop_duplicates()
    taken = np.bincount(pairs["item"], minlength=data.n_items)
    history = np.bincount(pairs["user"], minlength=data.n_users)
    ranked = np.sort(taken[taken > 0])[::-1]
    tail = np.concatenate([[0], np.cumsum(ranked) / ranked.sum()])
    at = np.linspace(0, 1, POINTS)
    time = data.interactions["timestamp"].to_numpy()
    dated = bool((time > 0).all() and time.min() < time.max())
    said = [text for text in texts if text]
    sample = sorted(set(said))
    sample = sample[:: max(1, -(-len(sample) // SAMPLE))]
    return Profile(
        name=data.name,
        n_events=len(data.interactions),
        n_users=data.n_users,
        n_items=data.n_items,
        n_pairs=len(pairs),
        density=len(pairs) / (data.n_users * data.n_items),
        feedback=tables.feedback,
        least=tables.least,
        low=tables.low,
        undated=tables.undated,
        merged=tables.merged,
        dated=dated,
        first=_day(time.min()) if dated else "",
        last=_day(time.max()) if dated else "",
        repeated=1 - len(pairs) / len(data.interactions),
        one_event_users=int((history == 1).sum()),
        never_taken=int((taken == 0).sum()),
        median_history=float(np.median(history)),
        hot_share=float(np.interp(0.2, np.linspace(0, 1, len(tail)), tail)),
        columns=tables.columns,
        not_text=dict(tables.not_text),
        unread={
            str(name): holds_numbers(data.interactions[name])
            for name in data.interactions.columns
            if name not in INTERACTION_COLUMNS
        },
        with_text=len(said) / len(texts),
        median_words=float(np.median([len(text.split()) for text in said])) if said else 0.0,
        scripts=scripts(sample),
        languages=languages(sample),
        dropped=dict(data.dropped),
        tail=tuple(np.interp(at, np.linspace(0, 1, len(tail)), tail).round(4).tolist()),
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
    told: Counter[str] = Counter()
    for text in texts:
        words = set(re.findall(r"[^\W\d_]+", text.casefold()))
        found = {name: len(words & little) for name, little in LITTLE_WORDS.items()}
        first, second = sorted(found, key=lambda name: -found[name])[:2]
        if found[first] > found[second]:
            told[first] += 1
    if told.total() < FEWEST_TOLD * len(texts):
        return {}
    return {name: round(n / told.total(), 4) for name, n in told.most_common()}


@cache
def _script(char: str) -> str:
    name = unicodedata.name(char, "UNKNOWN")
    if not re.search("LETTER|IDEOGRAPH|SYLLABLE", name):
        return ""
    first = name.split()[0]
    return SCRIPTS.get(first, first.capitalize())


def _day(seconds: int) -> str:
    return str(np.datetime64(int(seconds), "s").astype("datetime64[D]"))

"""Turn items and histories into the article's "descriptive text".

Wordings are data (``templates.yml``, ``prompts.yml``) in one small language, that of `Template`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import yaml

from llmrec.data import Split

CountTokens = Callable[[str], int]
T = TypeVar("T")
_EDGE = " ,.;:-"
_KEPT_FORMAT = "\u200c\u200d"  # joiners: part of Persian, Indic scripts and emoji
_NUMBERS = ("three", "four", "five", "six", "seven", "eight", "nine")
EVENT_FIELDS = ("item", "action", "weight", "times")
_TIMES = ("", "", "twice", *(f"{number} times" for number in _NUMBERS))


class Template:
    """A wording such as ``"{title}[ by {author}]."``: fields, and parts that need all of theirs.

    Values are filled in once and never read as a template again, so braces, brackets or
    instructions inside a title stay what they are: a title. ValueError when a brace or bracket has
    no partner, parts are nested, or a field is not one of ``fields`` (any is, by default).
    """

    def __init__(self, wording: str, fields: Collection[str] | None = None) -> None:
        # Odd places of each split hold what stood between the brackets, or between the braces.
        parts = [re.split(r"\{([^{}]*)\}", part) for part in re.split(r"\[([^][]*)\]", wording)]
        self._parts = parts
        self.fields = [name for part in parts for name in part[1::2]]
        self.required = [name for part in parts[::2] for name in part[1::2]]
        literals = "".join(text for part in parts for text in part[::2])
        if "" in self.fields or set("{}[]") & set(literals):
            raise ValueError(
                f"template {wording!r} is malformed: write {{field}}, and [ ... ] around an "
                "optional part, neither nested nor left open"
            )
        if fields is not None and (unknown := sorted(set(self.fields) - set(fields))):
            raise ValueError(
                f"template {wording!r} has no field {unknown[0]!r}: it has {', '.join(fields)}"
            )

    def fill(self, values: Mapping[str, str], tidy: bool = True) -> str:
        """Fill in the values; a part that lacks one is left out.

        Tidy text has no punctuation at an empty start and no doubled stops, and is empty when it
        has no value at all.
        """
        out = ""
        for place, part in enumerate(self._parts):
            if place % 2 and not all(values.get(name) for name in part[1::2]):
                continue
            for at, text in enumerate(part):
                if at % 2:
                    text = values.get(text, "")
                elif tidy and not out:
                    text = text.lstrip(_EDGE)
                elif tidy and out.endswith("."):
                    text = text.removeprefix(".")
                out += text
        return out if not tidy or any(values.get(name) for name in self.fields) else ""


parse = cache(Template)  # a wording is parsed once


@cache
def wordings(file: str) -> dict[str, Any]:
    """Return what a YAML file beside this module holds."""
    return dict(yaml.safe_load(Path(__file__).with_name(file).read_text(encoding="utf-8")))


def named(kind: str, name: str, known: Mapping[str, T], instead: str) -> T:
    """Return the wording of that name; KeyError lists the known ones."""
    if name not in known:
        raise KeyError(f"no {kind} {name!r}: use one of {', '.join(known)}, or {instead}")
    return known[name]


@dataclass(frozen=True)
class BehaviourTemplate:
    """How one user's history is worded.

    Attributes
    ----------
    item:
        Template that names an item inside a sentence.
    lead, join, end:
        Written before, between and after the events.
    events:
        Template by action verb, with the fields ``item``, ``action``, ``weight``, ``times``.
    other:
        Template of an action that ``events`` does not list.
    left_out:
        Written in front when earlier events did not fit; ``{n}`` counts them. Empty: not said.
    order:
        ``"chronological"`` (oldest kept event first) or ``"recent-first"``.
    """

    item: str = "{title}"
    lead: str = "The user "
    events: Mapping[str, str] = field(default_factory=dict)
    other: str = "{action} {item}[ {times}]"
    join: str = ", then "
    end: str = "."
    left_out: str = ""
    order: Literal["chronological", "recent-first"] = "chronological"

    def __post_init__(self) -> None:
        if self.order not in ("chronological", "recent-first"):
            raise ValueError(
                f"order {self.order!r} of a behaviour template is neither 'chronological' nor "
                "'recent-first'"
            )
        for wording in (*self.events.values(), self.other):
            parse(wording, EVENT_FIELDS)


@cache
def _behaviour() -> dict[str, BehaviourTemplate]:
    entries = wordings("templates.yml")["behaviour"]
    return {name: BehaviourTemplate(**entry) for name, entry in entries.items()}


def clean(value: object) -> str:
    """Return a table cell as one line of text, empty when it is missing.

    Control characters and line breaks become spaces, invisible format characters and lone
    surrogates are removed, lists are joined by commas, 1972.0 becomes 1972.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, list | tuple | set | np.ndarray):
        parts = sorted(value, key=str) if isinstance(value, set) else value
        return ", ".join(part for part in map(clean, parts) if part)
    elif value is None or pd.isna(value):  # type: ignore[call-overload]
        return ""
    elif isinstance(value, float | np.floating):
        number = float(value)
        text = f"{number:.0f}" if number.is_integer() else f"{number:g}"
    else:
        text = str(value)
    if not text.isprintable():  # the fast path: most cells are clean
        text = "".join(map(_printable, text))
    return " ".join(text.split())


def _printable(char: str) -> str:
    kind = unicodedata.category(char)
    if kind in ("Cc", "Zl", "Zp"):
        return " "
    return "" if kind in ("Cf", "Cs") and char not in _KEPT_FORMAT else char


def item_text(items: pd.DataFrame, template: str = "ml-100k") -> list[str]:
    """Describe every item in one line of text: the article's item description.

    Parameters
    ----------
    items:
        The items table, ``n`` rows.
    template:
        A name in ``templates.yml`` (``"title"``, ``"ml-100k"``, ``"complete-journey"``,
        ``"generic"``) or the wording itself, such as ``"{title}[ by {author}]"``: ``[ ... ]`` is
        left out when a field inside it is missing; ``{*}`` is every text column not named.

    Returns
    -------
    list of n strings; an item with nothing to say gives ``""``.

    Raises
    ------
    KeyError
        When the template is unknown, or a field outside ``[ ... ]`` has no column.

    Examples
    --------
    >>> films = pd.DataFrame({"title": ["Heat", "Ran"], "year": [1995, None]})
    >>> item_text(films, "{title}[ ({year})]")
    ['Heat (1995)', 'Ran']
    """
    known = wordings("templates.yml")["items"]
    own = "{" in template  # the wording itself, not its name
    compiled = parse(
        template if own else named("item template", template, known, "write one with {fields}")
    )
    if missing := [name for name in compiled.required if name != "*" and name not in items]:
        raise KeyError(
            f"item template {template!r} needs column {missing[0]!r}; the items table has "
            f"{', '.join(map(str, items.columns))}: rename the column or change the template"
        )
    columns = {name: [clean(v) for v in items[name]] for name in compiled.fields if name in items}
    if "*" in compiled.fields:
        columns["*"] = _all_other_text(items, {"item", *compiled.fields})
    rows = zip(*columns.values(), strict=True) if columns else iter([()] * len(items))
    return [compiled.fill(dict(zip(columns, row, strict=True))) for row in rows]


def _all_other_text(items: pd.DataFrame, used: set[str]) -> list[str]:
    """``"Column: value; Column: value"`` of the text columns that are not ``used``, by row."""
    others = [
        name
        for name in items.columns
        if name not in used
        and not pd.api.types.is_numeric_dtype(items[name])
        and not pd.api.types.is_datetime64_any_dtype(items[name])
    ]
    labels = [clean(str(name)).replace("_", " ").capitalize() for name in others]
    cells = [[clean(value) for value in items[name]] for name in others]
    if not cells:
        return [""] * len(items)
    return [
        "; ".join(f"{label}: {cell}" for label, cell in zip(labels, row, strict=True) if cell)
        for row in zip(*cells, strict=True)
    ]


def count_words(text: str) -> int:
    """Count whitespace-separated words: the default, tokenizer-free measure of a budget."""
    return len(text.split())


def behaviour_text(
    history: pd.DataFrame,
    items: pd.DataFrame | Sequence[str],
    template: str | BehaviourTemplate = "generic",
    budget: int = 256,
    count_tokens: CountTokens = count_words,
) -> str:
    """Write one user's actions as text: "The user rated Heat (1995) 5 out of 5, then ...".

    The most recent events that fit the budget are kept, whole events only. Events with the same
    item and action are merged at the latest one, counted (``{times}``: "twice", "three times"),
    with the latest weight. Equal timestamps keep the order of the rows.

    Parameters
    ----------
    history:
        One user's rows: ``item`` (codes: positions in ``items``), ``action``, ``weight``,
        ``timestamp``.
    items:
        The items table, or one ready text an item, by code.
    template:
        A name in ``templates.yml`` or a `BehaviourTemplate`; its ``order`` says whether the kept
        events are written oldest first (the default) or most recent first.
    budget:
        Largest number of tokens, as ``count_tokens`` counts them.
    count_tokens:
        Such as an encoder's ``count_tokens``; words by default.

    Returns
    -------
    str, empty for an empty history or when not even the latest event fits.

    Raises
    ------
    KeyError
        When the template or a column is missing.
    ValueError
        When the budget is not positive or an item code is not a row of ``items``.
    """
    wording = _behaviour_template(template)
    _check(history, len(items), budget)
    names = item_text(items, wording.item) if isinstance(items, pd.DataFrame) else items
    return _write(_events(history, names, wording), wording, budget, count_tokens)


def behaviour_texts(
    split: Split,
    template: str | BehaviourTemplate | None = None,
    budget: int = 256,
    count_tokens: CountTokens = count_words,
) -> list[str]:
    """Write every user's history as text, by user code, from ``split.history`` only.

    Validation and test rows are never read, so a text cannot hold what is to be predicted.
    ``template=None`` takes the template named like the dataset, else ``"generic"``. The other
    parameters, and the errors, are those of `behaviour_text`.

    Returns
    -------
    list of ``split.n_users`` strings; users without a history get ``""``.
    """
    own = split.dataset.name if split.dataset.name in _behaviour() else "generic"
    wording = _behaviour_template(template or own)
    _check(split.history, split.n_items, budget)
    names = item_text(split.dataset.items, wording.item)
    texts = [""] * split.n_users
    for user, places in split.history.groupby("user", sort=False).indices.items():
        events = _events(split.history.iloc[places], names, wording)
        texts[user] = _write(events, wording, budget, count_tokens)  # type: ignore[call-overload]
    return texts


def _behaviour_template(template: str | BehaviourTemplate) -> BehaviourTemplate:
    if isinstance(template, BehaviourTemplate):
        return template
    return named("behaviour template", template, _behaviour(), "pass a BehaviourTemplate")


def _check(history: pd.DataFrame, n_items: int, budget: int) -> None:
    if budget < 1:
        raise ValueError(f"budget {budget} is not a positive number of tokens")
    for column in ("item", "timestamp", "weight", "action"):
        if column not in history:
            raise KeyError(
                f"history has no column {column!r} (it has {', '.join(map(str, history.columns))})"
            )
    if len(history):
        codes = history["item"]
        if not pd.api.types.is_integer_dtype(codes) or codes.min() < 0 or codes.max() >= n_items:
            raise ValueError(
                f"history's column 'item' must hold item codes 0 … {n_items - 1}, the positions "
                "in the items table: pass rows of a Split, not raw ids"
            )


def _events(history: pd.DataFrame, names: Sequence[str], wording: BehaviourTemplate) -> list[str]:
    """Sentences of the merged events, most recent first."""
    order = np.argsort(history["timestamp"].to_numpy(), kind="stable")[::-1]
    columns = (history[name].to_numpy()[order] for name in ("item", "action", "weight"))
    latest: dict[tuple[int, str], float] = {}  # insertion order = most recent first
    times: dict[tuple[int, str], int] = {}
    for item, action, weight in zip(*columns, strict=True):
        key = (int(item), clean(action))
        latest.setdefault(key, weight)
        times[key] = times.get(key, 0) + 1
    sentences = []
    for (item, action), weight in latest.items():
        n = times[item, action]
        values = {
            "item": clean(names[item]),
            "action": action,
            "weight": clean(float(weight)),
            "times": _TIMES[n] if n < len(_TIMES) else f"{n} times",
        }
        if values["item"]:  # an item without a text says nothing about interest
            sentences.append(
                parse(wording.events.get(action, wording.other), EVENT_FIELDS).fill(values)
            )
    return sentences


def _write(
    events: Sequence[str], wording: BehaviourTemplate, budget: int, count_tokens: CountTokens
) -> str:
    """Join as many of the most recent events as fit: galloping, then bisection, on their number."""

    def render(n: int) -> str:
        if n == 0:
            return ""
        kept: Iterable[str] = events[:n] if wording.order == "recent-first" else events[n - 1 :: -1]
        omitted = len(events) - n
        note = parse(wording.left_out, ("n",)).fill({"n": str(omitted)}) if omitted else ""
        end = wording.end
        body = wording.join.join(kept)
        return note + wording.lead + body + (end[1:] if body.endswith(end[:1] or "\0") else end)

    def fits(n: int) -> bool:
        return count_tokens(render(n)) <= budget

    if wording.left_out and fits(len(events)):  # the note may cost more than the last event
        return render(len(events))
    low, high = 0, 1
    while high <= len(events) and fits(high):
        low, high = high, 2 * high
    high = min(high, len(events) + 1)  # low fits, high does not or is past the end
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return render(low)

"""Every number of the book passes through ``record``: named, typed, toleranced, written down."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from llmrec.cache import write_json

Kind = Literal["exact", "metric", "difference", "choice", "time"]
T = TypeVar("T")

RECORDS_VARIABLE = "LLMREC_RECORDS"
KINDS = ("exact", "metric", "difference", "choice", "time")
TOLERANT = ("metric", "difference")
LONGEST_LIST = 2000  # a longer array belongs in a hash or a summary, not in a reviewed JSON file

_PREFIX = re.compile(r"ch\d\d[a-z]?(\.[a-z0-9_-]+)*")


class Recorder:
    """Receives the numbers of one run of one notebook; ``record`` is the one instance of it.

    With ``$LLMREC_RECORDS`` set, each call rewrites ``<folder>/chNN.json`` atomically, where ``NN``
    is the chapter the key begins with; without it records stay in memory. A new process starts
    empty, so a second run of a notebook replaces what the first one wrote.
    """

    def __init__(self) -> None:
        self.chapters: dict[str, dict[str, Any]] = {}

    def __call__(
        self, key: str, value: T, kind: Kind = "exact", tolerance: float | None = None
    ) -> T:
        """Record one value under a key and return it unchanged.

        Parameters
        ----------
        key:
            Dotted, chapter first: ``"ch04.ml100k.cold.minilm.ndcg10"``.
        value:
            Number, bool, string, or a small (nested) list or array of them; never NaN or infinite.
        kind:
            ``"exact"`` for counts, hashes and closed forms; ``"metric"`` for what may differ by
            ``tolerance`` on another machine; ``"difference"`` for a signed difference or a bound of
            it, where 0 is an answer like any other; ``"choice"`` for the name of what validation
            preferred, which near-equals may turn over on another machine: another name is
            reported, not an error; ``"time"`` for what is reported, never checked.
        tolerance:
            Absolute and positive, for ``"metric"`` and ``"difference"``. A metric's is smaller than
            ``|value|`` (for a list: than its largest ``|value|``) unless the value is 0: otherwise
            a broken 0 would pass.

        Raises
        ------
        ValueError
            When key, kind, value or tolerance break these rules, or a run records the key again
            with another value.
        TypeError
            When the value cannot be written down as JSON.
        """
        if not isinstance(key, str) or "." not in key or not _PREFIX.fullmatch(key):
            raise ValueError(
                f"record: key {key!r} is not of the form 'ch04.part.part' "
                "(small letters, digits, '_' and '-', the chapter first)"
            )
        plain = _plain(key, value)
        entry: dict[str, Any] = {"kind": kind, "value": plain}
        if tolerance is not None:
            entry["tolerance"] = float(tolerance)
        if problem := broken_rule(entry):
            raise ValueError(f"record: {key} {problem}")
        chapter = self._chapter(key)
        before = chapter["records"].get(key)
        # Without a folder a reader is experimenting: a cell run again may well give another value.
        if before is not None and before != entry and os.environ.get(RECORDS_VARIABLE):
            raise ValueError(
                f"record: {key} was recorded as {before['value']!r} and now is {plain!r}: "
                "give the second one its own key"
            )
        chapter["records"][key] = entry
        self._write(key)
        return value

    def skip(self, prefix: str, reason: str) -> None:
        """Report that the keys under ``prefix`` are *not run here*, and why (data out of reach)."""
        if not isinstance(prefix, str) or not _PREFIX.fullmatch(prefix):
            raise ValueError(
                f"record.skip: prefix {prefix!r} does not begin with a chapter: 'ch04'"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise ValueError(f"record.skip: give the reason why {prefix} is not run here")
        self._chapter(prefix)["skipped"][prefix] = reason.strip()
        self._write(prefix)

    def _chapter(self, key: str) -> dict[str, Any]:
        name = key.partition(".")[0]
        if self.chapters and name not in self.chapters and os.environ.get(RECORDS_VARIABLE):
            raise ValueError(
                f"record: {key} is another chapter's than {', '.join(self.chapters)}: "
                "a notebook records keys of its own chapter only"
            )
        return self.chapters.setdefault(name, {"records": {}, "skipped": {}})

    def _write(self, key: str) -> None:
        if folder := os.environ.get(RECORDS_VARIABLE):
            write_json(Path(folder) / f"{key.partition('.')[0]}.json", self._chapter(key))


def broken_rule(entry: Any) -> str:
    """Return which rule of `Recorder.__call__` an entry breaks, in words; "" when it keeps all."""
    kind, value, tolerance = entry["kind"], entry["value"], entry.get("tolerance")
    parts = list(flat(value))
    if kind not in KINDS:
        return f"has kind {kind!r}: use one of {', '.join(KINDS)}"
    if kind == "choice" and not all(isinstance(part, str) for part in parts):
        return f"is a choice and must be a name, not {value!r}"
    if kind not in TOLERANT:
        only = "only a metric or a difference has a tolerance"
        return "" if tolerance is None else f"is {kind}, and {only}"
    if not parts or any(isinstance(part, bool | str) for part in parts):
        return f"is a {kind} and must be a number, not {value!r}"
    if tolerance is None:
        return f"is a {kind}: give its absolute tolerance"
    if not (math.isfinite(tolerance) and tolerance > 0):
        return f"has tolerance {tolerance}: it must be positive and finite"
    largest = max(abs(part) for part in parts)
    if kind == "metric" and largest != 0 and tolerance >= largest:
        return (
            f"= {value!r} has tolerance {tolerance}, which would accept 0: make it smaller than"
            " the value, such as min(tolerance, abs(value) / 2)"
        )
    return ""


def flat(value: Any) -> Iterator[Any]:
    """Yield the scalars of a value or of a nested list, in order."""
    if isinstance(value, list):
        for part in value:
            yield from flat(part)
    else:
        yield value


def _plain(key: str, value: Any) -> Any:
    """Turn numpy, torch and pandas values into what JSON holds, refusing what it cannot."""
    plain = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(plain, list | tuple):
        plain = [_plain(key, part) for part in plain]
        length = sum(1 for _ in flat(plain))
        if length > LONGEST_LIST:
            raise ValueError(
                f"record: {key} holds {length} values, more than {LONGEST_LIST}: "
                "record a summary or a hash"
            )
        return plain
    if not isinstance(plain, bool | int | float | str):
        raise TypeError(
            f"record: {key} is a {type(value).__name__}: "
            "record a number, a string or a list of them"
        )
    if isinstance(plain, float) and not math.isfinite(plain):
        raise ValueError(f"record: {key} is {plain}: a recorded number must be finite")
    return plain


record = Recorder()

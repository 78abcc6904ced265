"""The reference numbers, and the verdict on each number of a new run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmrec.repro.layout import Layout
from llmrec.repro.provenance import Provenance, Snapshot
from llmrec.repro.record import flat, write_json

Verdict = Literal["reproduced", "drifted", "missing", "extra", "stale", "not run here", "reported"]
FAILING = frozenset({"drifted", "missing", "extra", "stale"})
Entry = Mapping[str, Any]  # kind, value and, for a metric, tolerance: as `record` writes it


@dataclass(frozen=True)
class Records:
    """What notebooks recorded: entries by key, prefixes they skipped, modules they loaded."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, list[str]] = field(default_factory=dict)  # by chapter

    def reason(self, key: str) -> str | None:
        """Return why a key is not run here, or None when no skipped prefix covers it."""
        for prefix, reason in self.skipped.items():
            if key == prefix or key.startswith(f"{prefix}."):
                return reason
        return None


@dataclass(frozen=True)
class Reference:
    """The content of ``results/reference.json``: a finished run's numbers and where they are from.

    ``chapters`` holds by chapter: notebook, provenance, seconds, peak_mb, profile and seed.
    """

    profile: str
    entries: Mapping[str, Entry]
    chapters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Reference:
        """Read a reference file.

        Raises
        ------
        FileNotFoundError, ValueError
            When there is none, or it is not one.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"no {path.parent.name}/{path.name}: "
                "`llmrec reproduce`, then `llmrec publish` write it"
            )
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(**content)
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"{path.name} is not a reference file: {error}") from error

    def save(self, path: Path) -> None:
        """Write the file, sorted and indented, so that a change of one number is one line."""
        write_json(path, vars(self))

    def only(self, chapters: Iterable[str]) -> Reference:
        """Return the part of the reference that belongs to some chapters."""
        wanted = set(chapters)
        entries = {key: entry for key, entry in self.entries.items() if key[:4] in wanted}
        about = {name: known for name, known in self.chapters.items() if name in wanted}
        return Reference(self.profile, entries, about, self.environment)

    def stale(self, layout: Layout) -> dict[str, list[str]]:
        """Return chapter → what changed since the reference run, without running anything."""
        now, notebooks = Snapshot.take(layout.package), layout.notebooks()
        out = {}
        for chapter, known in self.chapters.items():
            before = Provenance.from_json(known["provenance"])
            if chapter not in notebooks:
                out[chapter] = ["the notebook is gone"]
            elif changes := before.changes(now.provenance(notebooks[chapter], before.modules)):
                out[chapter] = changes
        return out


@dataclass(frozen=True)
class Row:
    """One key's line in the report; ``difference`` is the largest one when the value is a list."""

    key: str
    reference: Any
    got: Any
    difference: float | None
    tolerance: float | None
    verdict: Verdict
    note: str = ""

    @property
    def failed(self) -> bool:
        return self.verdict in FAILING


def read_records(folder: Path) -> Records:
    """Read every ``chNN.json`` that `record` wrote into a folder.

    Raises
    ------
    FileNotFoundError
        When the folder is absent.
    ValueError
        When a file in it was not written by `record`.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no records folder {folder}: run notebooks with LLMREC_RECORDS set"
        )
    entries: dict[str, Entry] = {}
    skipped: dict[str, str] = {}
    modules: dict[str, list[str]] = {}
    for path in sorted(folder.glob("ch*.json")):
        try:
            chapter = json.loads(path.read_text(encoding="utf-8"))
            entries |= chapter["records"]
            skipped |= chapter["skipped"]
            modules[path.stem] = chapter["modules"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name} is not a file that record() wrote ({error})") from error
    return Records(entries, skipped, modules)


def compare(
    reference: Reference,
    got: Records,
    *,
    strict: bool = False,
    values: bool = True,
    stale: Mapping[str, list[str]] | None = None,
) -> list[Row]:
    """Compare a run's records with the reference, key by key.

    Parameters
    ----------
    strict:
        Count a key that was skipped (*not run here*) as missing.
    values:
        Compare numbers; otherwise (another profile or seed) only which keys there are.
    stale:
        Chapter → what changed since the reference run, as `Reference.stale` returns it.

    Returns
    -------
    One row a key, sorted by key. A key that drifted is called drifted even when it is stale too.
    """
    return [
        _row(key, reference.entries.get(key), got, strict, values, (stale or {}).get(key[:4], []))
        for key in sorted({*reference.entries, *got.entries})
    ]


def _row(
    key: str, ref: Entry | None, got: Records, strict: bool, values: bool, changes: list[str]
) -> Row:
    new = got.entries.get(key)
    if ref is None:
        assert new is not None
        return Row(key, None, new["value"], None, None, "extra", "not in the reference")
    tolerance = ref.get("tolerance")
    if new is None:
        reason = got.reason(key)
        skipped = reason is not None and not strict
        verdict: Verdict = "not run here" if skipped else "missing"
        return Row(key, ref["value"], None, None, tolerance, verdict, reason or "")
    gap = difference(ref["value"], new["value"])
    note = ""
    if ref["kind"] != new["kind"]:
        verdict, note = "drifted", f"was {ref['kind']}, is {new['kind']}"
    elif not values or ref["kind"] == "time":
        verdict = "reported"
    elif ref["kind"] == "choice" and ref["value"] != new["value"]:
        verdict, note = "reported", "another choice"
    elif not (ref["value"] == new["value"] if tolerance is None else _within(gap, tolerance)):
        verdict = "drifted"
    elif changes:
        verdict, note = "stale", "changed: " + ", ".join(changes)
    else:
        verdict = "reproduced"
    return Row(key, ref["value"], new["value"], gap, tolerance, verdict, note)


def _within(gap: float | None, tolerance: float) -> bool:
    return gap is not None and gap <= tolerance


def difference(a: Any, b: Any) -> float | None:
    """Return the largest absolute difference of two numbers or lists; None when not comparable."""
    if _shape(a) != _shape(b):
        return None
    pairs = list(zip(flat(a), flat(b), strict=True))
    if any(isinstance(x, (bool, str)) for pair in pairs for x in pair):
        return None
    return max((abs(x - y) for x, y in pairs), default=0.0)


def _shape(value: Any) -> Any:
    return [_shape(part) for part in value] if isinstance(value, list) else None

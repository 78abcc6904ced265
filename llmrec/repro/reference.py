"""The reference numbers, and the outcome for each number of a new run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from llmrec.cache import write_json
from llmrec.repro.layout import Layout
from llmrec.repro.provenance import Provenance
from llmrec.repro.record import broken_rule, flat

Outcome = Literal[
    "reproduced", "drifted", "flipped", "missing", "extra", "stale", "not run here", "reported"
]
FAILING = frozenset({"drifted", "flipped", "missing", "extra", "stale"})
Entry = Mapping[str, Any]  # kind, value and, for a metric, tolerance: as `record` writes it


@dataclass(frozen=True)
class Records:
    """What notebooks recorded: entries by key, and the prefixes that they skipped, with reasons."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def reason(self, key: str) -> str | None:
        """Return why a key is not run here, or None when no skipped prefix covers it."""
        for prefix, reason in self.skipped.items():
            if key == prefix or key.startswith(f"{prefix}."):
                return reason
        return None

    @classmethod
    def read(cls, folder: Path, chapters: Iterable[str] | None = None) -> Records:
        """Read what `record` wrote into a folder; an unreadable file counts as not written."""
        entries: dict[str, Entry] = {}
        skipped: dict[str, str] = {}
        for path in sorted(folder.glob("ch*.json")):
            if chapters is None or path.stem in set(chapters):
                entries |= (content := read_json(path)).get("records", {})
                skipped |= content.get("skipped", {})
        return cls(entries, skipped)


def read_json(path: Path) -> dict[str, Any]:
    """Return a file's JSON mapping; empty when it is absent, cut short or something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@dataclass(frozen=True)
class Reference:
    """The content of ``results/reference.json``: a finished run's numbers and where they are from.

    ``chapters`` holds by chapter: notebook, provenance, seconds, slowest (the most seconds of any
    published run), peak_mb, profile and seed; ``verdicts`` by claim what `Claim.judged` returns.
    """

    profile: str
    entries: Mapping[str, Entry]
    chapters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

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
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (json.JSONDecodeError, TypeError) as error:
            raise ValueError(f"{path.name} is not a reference file: {error}") from error

    def save(self, path: Path) -> None:
        """Write the file, sorted and indented, so that a change of one number is one line."""
        write_json(path, asdict(self))

    def only(self, chapters: Iterable[str]) -> Reference:
        """Return the part of the reference that belongs to some chapters."""
        wanted = set(chapters)
        entries = {k: entry for k, entry in self.entries.items() if k.partition(".")[0] in wanted}
        about = {name: known for name, known in self.chapters.items() if name in wanted}
        return replace(self, entries=entries, chapters=about)

    def stale(self, layout: Layout) -> dict[str, list[str]]:
        """Return chapter → what changed since the reference run, without running anything."""
        now, notebooks = layout.snapshot(), layout.notebooks()
        out = {}
        for chapter, known in self.chapters.items():
            if chapter not in notebooks:
                out[chapter] = ["the notebook is gone"]
                continue
            before = Provenance.read(known["provenance"])
            if changes := before.changes(Provenance.of(notebooks[chapter], now)):
                out[chapter] = changes
        return out


def longest_first(layout: Layout) -> list[Path]:
    """Return the notebooks, the slowest of the published runs first: none long must begin last.

    The slowest counts because that run had cold caches, which take longest to fill.
    """
    known = read_json(layout.reference).get("chapters", {})
    notebooks = layout.notebooks()
    took = {name: about.get("slowest", about["seconds"]) for name, about in known.items()}
    return [notebooks[name] for name in sorted(notebooks, key=lambda name: -took.get(name, 0.0))]


@dataclass(frozen=True)
class Row:
    """One key's line in the report; ``difference`` is the largest one when the value is a list."""

    key: str
    reference: Any
    got: Any
    difference: float | None
    tolerance: float | None
    outcome: Outcome
    note: str = ""

    @property
    def failed(self) -> bool:
        return self.outcome in FAILING


def compare(
    reference: Reference,
    got: Records,
    *,
    strict: bool = False,
    exact: bool = False,
    values: bool = True,
    stale: Mapping[str, list[str]] | None = None,
) -> list[Row]:
    """Compare a run's records with the reference, key by key.

    Parameters
    ----------
    strict:
        Count a key that was skipped (*not run here*) as missing.
    exact:
        On the same machine: no tolerance, and a choice must be the same.
    values:
        Compare numbers; otherwise (another profile or seed) only which keys there are.
    stale:
        Chapter → what changed since the reference run, as `Reference.stale` returns it.

    Returns
    -------
    One row a key, sorted by key. A key that drifted is called drifted even when it is stale too.
    """
    rows = []
    for key in sorted({*reference.entries, *got.entries}):
        changes = (stale or {}).get(key.partition(".")[0], [])
        ref, new = reference.entries.get(key), got.entries.get(key)
        if ref is None:
            row = Row(
                key, None, got.entries[key]["value"], None, None, "extra", "not in the reference"
            )
        elif new is None:
            reason = got.reason(key)
            outcome: Outcome = "missing" if reason is None or strict else "not run here"
            row = Row(key, ref["value"], None, None, ref.get("tolerance"), outcome, reason or "")
        else:
            gap = difference(ref["value"], new["value"])
            outcome, note = _outcome(ref, new, gap, exact, values)
            if outcome == "reproduced" and changes:
                outcome, note = "stale", "changed: " + ", ".join(changes)
            row = Row(key, ref["value"], new["value"], gap, ref.get("tolerance"), outcome, note)
        rows.append(row)
    return rows


def _outcome(
    ref: Entry, new: Entry, gap: float | None, exact: bool, values: bool
) -> tuple[Outcome, str]:
    before, after = ref.get("tolerance"), new.get("tolerance")
    if ref["kind"] != new["kind"]:
        return "drifted", f"was {ref['kind']}, is {new['kind']}"
    if problem := broken_rule(ref):
        return "drifted", f"the reference {problem}"
    if not values or ref["kind"] == "time":
        return "reported", ""
    same = ref["value"] == new["value"] and before == after
    if exact or before is None or after is None:
        if not same and ref["kind"] == "choice" and not exact:
            return "reported", "another choice"
        return ("reproduced" if same else "drifted"), ""
    # A tolerance may follow the value, as min(0.01, value / 2) does, and by no more than that.
    if abs(before - after) > (gap or 0) / 2 + 1e-12:
        return "drifted", f"recorded with tolerance {after:g}"
    return ("reproduced" if gap is not None and gap <= min(before, after) else "drifted"), ""


def difference(a: Any, b: Any) -> float | None:
    """Return the largest absolute difference of two numbers or lists; None when not comparable."""
    if _shape(a) != _shape(b):
        return None
    pairs = list(zip(flat(a), flat(b), strict=True))
    if any(isinstance(x, bool | str) for pair in pairs for x in pair):
        return None
    return max((abs(x - y) for x, y in pairs), default=0.0)


def _shape(value: Any) -> Any:
    return [_shape(part) for part in value] if isinstance(value, list) else None

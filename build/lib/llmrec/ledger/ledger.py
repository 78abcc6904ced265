"""Re-measure published numbers and keep what came out, resumable and never out of date unseen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from llmrec.fetch import FetchError
from llmrec.ledger.dependencies import provenance
from llmrec.ledger.published import Protocol, Row
from llmrec.ledger.recipe import RECIPES, Measured
from llmrec.repro.provenance import Provenance, Snapshot
from llmrec.repro.record import write_json

Verdict = Literal["equal", "above", "below", "not run"]
FUZZ = 1e-12  # a difference of exactly the tolerance is within it, whatever the last bit


@dataclass(frozen=True)
class Entry:
    """A published number, ours beside it, and what the two say."""

    row: Row
    ours: Measured | None
    ours_model: str

    @property
    def verdict(self) -> Verdict:
        if self.ours is None:
            return "not run"
        difference = self.ours.value - self.row.value
        if abs(difference) <= self.row.tolerance + FUZZ:
            return "equal"
        return "above" if difference > 0 else "below"

    @property
    def failed(self) -> bool:
        return self.row.must and self.verdict != "equal"

    @property
    def note(self) -> str:
        """What explains the difference: what ties can do, then the note of the row."""
        said = "" if self.verdict == "equal" and self.row.same else self.row.note
        if self.ours and self.ours.ties and self.verdict != "equal":
            low, high = self.ours.ties
            if low <= self.row.value <= high:
                ties = f"The order of equally scored items alone gives {low:.4f} to {high:.4f}."
                said = f"{ties} {said}".strip()
        return said

    def to_json(self) -> dict[str, Any]:
        """Return one row of ``results/ledger.json``."""
        ours = self.ours
        return {
            "published": self.row.value,
            "ours": ours and ours.value,
            "low": ours and ours.low,
            "high": ours and ours.high,
            "ours_model": self.ours_model,
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True)
class Ledger:
    """What was measured: by recipe its metrics, the seconds it took and what it depends on."""

    recipes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Ledger:
        """Read ``results/ledger.json``; an empty ledger when there is none.

        Raises
        ------
        ValueError
            When the file is not a ledger.
        """
        if not path.is_file():
            return cls()
        try:
            return cls(json.loads(path.read_text(encoding="utf-8"))["recipes"])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path.name} is not a ledger ({error}): delete it and run llmrec ledger"
            ) from error

    def save(self, path: Path, protocols: Iterable[Protocol]) -> None:
        """Write the file in one step: the rows for readers, the recipes to go on from."""
        rows = {entry.row.id: entry.to_json() for p in protocols for entry in self.entries(p)}
        write_json(path, {"rows": rows, "recipes": self.recipes})

    def entries(self, protocol: Protocol) -> list[Entry]:
        """Return the rows of a protocol with what is measured so far."""
        return [self._entry(row) for row in protocol.rows]

    def _entry(self, row: Row) -> Entry:
        if row.recipe is None:
            return Entry(row, None, "")
        metrics = self.recipes.get(row.recipe, {}).get("metrics", {})
        found = metrics.get(row.metric)
        if found and found["ties"]:
            found = {**found, "ties": tuple(found["ties"])}
        return Entry(row, Measured(**found) if found else None, RECIPES[row.recipe].label)

    def stale(self, recipe: str, now: Snapshot) -> list[str]:
        """Return what changed since a recipe ran; empty when its numbers still hold."""
        known = self.recipes.get(recipe)
        if known is None:
            return ["never run"]
        before = Provenance.from_json(known["provenance"])
        return before.changes(provenance(recipe, RECIPES[recipe].run, now))


def wanted_recipes(protocols: Iterable[Protocol], only: str = "") -> list[str]:
    """Return the recipes behind the rows whose id begins with ``only``, in the order of the rows.

    Raises
    ------
    ValueError
        When no row begins so, or a row names a recipe that does not exist.
    """
    rows = [row for protocol in protocols for row in protocol.rows if row.id.startswith(only)]
    if not rows:
        raise ValueError(f"no row of published.yml begins with {only!r}")
    names = list(dict.fromkeys(row.recipe for row in rows if row.recipe))
    if unknown := [name for name in names if name not in RECIPES]:
        raise ValueError(f"published.yml names {unknown[0]!r}: recipes are {', '.join(RECIPES)}")
    return names


def run(
    path: Path,
    protocols: Iterable[Protocol],
    package: Path,
    only: str = "",
    *,
    force: bool = False,
    say: Callable[[str], None] = print,
) -> Ledger:
    """Measure what is not measured yet or is stale, writing the ledger after each recipe.

    A recipe whose data cannot be reached is said and left as it was.

    Parameters
    ----------
    path:
        ``results/ledger.json``.
    package:
        Folder of the package, whose modules decide what is stale.
    only:
        Beginning of the row ids to measure.
    force:
        Measure again what is up to date.
    """
    protocols = tuple(protocols)
    ledger, now = Ledger.load(path), Snapshot.take(package)
    known = set(wanted_recipes(protocols))
    for name in wanted_recipes(protocols, only):
        if not force and not ledger.stale(name, now):
            say(f"{name}: up to date")
            continue
        source = provenance(name, RECIPES[name].run, now)  # before files change under a long run
        started = time.perf_counter()
        try:
            metrics = RECIPES[name].run()
        except FetchError as error:
            say(f"{name}: not run here: {error}")
            continue
        seconds = time.perf_counter() - started
        done = {
            "metrics": {metric: asdict(measured) for metric, measured in metrics.items()},
            "provenance": source.to_json(),
            "seconds": round(seconds, 1),
        }
        kept = {key: value for key, value in ledger.recipes.items() if key in known}
        ledger = Ledger({**kept, name: done})
        ledger.save(path, protocols)
        say(f"{name}: measured in {seconds:.0f} s")
    ledger.save(path, protocols)
    return ledger

"""Re-measure published numbers and keep what came out, resumable and never out of date unseen."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llmrec.cache import write_json
from llmrec.evaluation import Estimate
from llmrec.fetch import FetchError
from llmrec.fingerprint import code_of
from llmrec.ledger.published import Protocol, Row
from llmrec.repro.layout import Layout

Over = Literal["users", "splits", "prompts"]
Run = Callable[[], Mapping[str, "Measured"]]
FUZZ = 1e-12  # a difference of exactly the tolerance is within it, whatever the last bit


@dataclass(frozen=True)
class Measured:
    """A number of ours with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int  # so many users, splits or prompts (`over`) behind the interval
    over: Over = "users"
    ties: tuple[float, ...] | None = None  # least and most that another order of ties could give

    @classmethod
    def of(cls, estimate: Estimate, over: Over) -> Measured:
        """Return an estimate with what it runs over."""
        return cls(estimate.value, estimate.low, estimate.high, estimate.n, over)


class Recipe(NamedTuple):
    """What measures some rows: a label for our model, and the function that runs it."""

    label: str
    run: Run


RECIPES: dict[str, Recipe] = {}


def recipe(protocol: str, label: str) -> Callable[[Run], Run]:
    """Register a function as ``protocol/name``."""

    def register(run: Run) -> Run:
        RECIPES[f"{protocol}/{run.__name__.strip('_')}"] = Recipe(label, run)
        return run

    return register


def load_recipes(layout: Layout) -> Mapping[str, Recipe]:
    """Return the clone's recipes by name; importing ``chapters.ledger_recipes`` makes them."""
    notebooks = str(layout.root / "notebooks")
    if notebooks not in sys.path:
        sys.path.append(notebooks)
    importlib.import_module("chapters.ledger_recipes")
    return RECIPES


@dataclass(frozen=True)
class Entry:
    """A published number, ours beside it, and how they differ."""

    row: Row
    ours: Measured | None
    ours_model: str

    @property
    def verdict(self) -> Literal["equal", "above", "below", "not run"]:
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
        words = "" if self.verdict == "equal" and self.row.same else self.row.note
        if self.ours and self.ours.ties and self.verdict != "equal":
            low, high = self.ours.ties
            if low <= self.row.value <= high:
                ties = f"The order of equally scored items alone gives {low:.4f} to {high:.4f}."
                words = f"{ties} {words}".strip()
        return words

    def to_json(self) -> dict[str, Any]:
        """Return one row of ``results/ledger.json``."""
        return {
            "published": self.row.value,
            "ours": self.ours and self.ours.value,
            "low": self.ours and self.ours.low,
            "high": self.ours and self.ours.high,
            "ours_model": self.ours_model,
            "verdict": self.verdict,
            "note": self.note,
        }


@dataclass(frozen=True)
class Ledger:
    """What was measured: by recipe its label, metrics, seconds and the hash of its code."""

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
        write_json(path, {"rows": self.rows(protocols), "recipes": self.recipes})

    def rows(self, protocols: Iterable[Protocol]) -> dict[str, Any]:
        """Return what readers get, by row id."""
        return {entry.row.id: entry.to_json() for p in protocols for entry in self.entries(p)}

    def entries(self, protocol: Protocol) -> list[Entry]:
        """Return the rows of a protocol with what is measured so far."""
        return [self._entry(row) for row in protocol.rows]

    def _entry(self, row: Row) -> Entry:
        if row.recipe is None:
            return Entry(row, None, "")
        known = self.recipes.get(row.recipe, {})
        found = known.get("metrics", {}).get(row.metric)
        if found and found["ties"]:
            found = {**found, "ties": tuple(found["ties"])}
        return Entry(row, Measured(**found) if found else None, known.get("label", ""))

    def stale(self, recipe: str) -> str:
        """Return why a recipe is to be run; empty when its numbers still hold."""
        known = self.recipes.get(recipe)
        if known is None:
            return "never run"
        same = known.get("code") == code_of(RECIPES[recipe].run)
        return "" if same else "its code or the data that it names changed"


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
    only: str = "",
    *,
    force: bool = False,
    log: Callable[[str], None] = print,
) -> Ledger:
    """Measure what is not measured yet or is stale, writing the ledger after each recipe.

    A recipe whose data cannot be reached is logged and left as it was.

    Parameters
    ----------
    path:
        ``results/ledger.json``.
    only:
        Beginning of the row ids to measure.
    force:
        Measure again what is up to date.
    """
    protocols = tuple(protocols)
    ledger, known = Ledger.load(path), set(wanted_recipes(protocols))
    for name in wanted_recipes(protocols, only):
        if not force and not ledger.stale(name):
            log(f"{name}: up to date")
            continue
        code = code_of(RECIPES[name].run)  # before files change under a long run
        started = time.perf_counter()
        try:
            metrics = RECIPES[name].run()
        except FetchError as error:
            log(f"{name}: not run here: {error}")
            continue
        seconds = time.perf_counter() - started
        done = {
            "metrics": {metric: asdict(measured) for metric, measured in metrics.items()},
            "code": code,
            "label": RECIPES[name].label,
            "seconds": round(seconds, 1),
        }
        kept = {key: value for key, value in ledger.recipes.items() if key in known}
        ledger = Ledger({**kept, name: done})
        ledger.save(path, protocols)
        log(f"{name}: measured in {seconds:.0f} s")
    ledger.save(path, protocols)
    return ledger

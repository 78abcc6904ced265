"""What a recipe is: a function that measures some published rows again, and its numbers."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from llmrec.evaluation import Estimate
from llmrec.repro.layout import Layout


@dataclass(frozen=True)
class Measured:
    """A number of ours with its 95 % interval.

    Attributes
    ----------
    value, low, high:
        Mean and interval.
    n, over:
        What the interval runs over: so many ``"users"``, ``"splits"`` or ``"prompts"``.
    ties:
        The least and the most that another order of equally scored items could give.
    """

    value: float
    low: float
    high: float
    n: int
    over: Literal["users", "splits", "prompts"] = "users"
    ties: tuple[float, ...] | None = None

    @classmethod
    def of(cls, estimate: Estimate, over: Literal["users", "splits", "prompts"]) -> Measured:
        """Return an estimate with what it runs over."""
        return cls(estimate.value, estimate.low, estimate.high, estimate.n, over)


Run = Callable[[], Mapping[str, Measured]]


@dataclass(frozen=True)
class Recipe:
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

"""Search spaces: what may be tried for each model, as data in ``search_spaces.yml``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from llmrec import models
from llmrec.cache import key_of
from llmrec.models import Recommender

TABLE = Path(__file__).parents[1] / "search_spaces.yml"
DIGITS = 3  # significant ones of a float that is tried: what is written down is what ran


@dataclass(frozen=True)
class SearchSpace:
    """What may be tried for one model: ``fixed`` arguments, and ``free`` ones with their ranges.

    Attributes
    ----------
    defaults : mapping
        The model's own values of the free arguments: the first trial.
    hash : str
        16 hex digits that change with the space.
    """

    fixed: Mapping[str, Any]
    free: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    hash: str

    @classmethod
    def of(
        cls, model: type[Recommender], entry: Mapping[str, Any], name: str | None = None
    ) -> SearchSpace:
        """Check one entry, argument → fixed value, choices, or range.

        A list is a choice, ``{low: …, high: …, log: true}`` a range (whole numbers if the model's
        default is one), anything else a fixed value.

        Raises
        ------
        ValueError
            On an argument that the model lacks, a range that is none, or one that leaves out the
            model's default.
        """
        where = f"search space of {name or model.__name__}"
        known = inspect.signature(model).parameters
        fixed, free, defaults = {}, {}, {}
        for key, given in entry.items():
            if key not in known:
                have = ", ".join(known) or "no argument"
                raise ValueError(f"{where}: {model.__name__} has no {key!r}, it takes {have}")
            if not isinstance(given, (list, Mapping)):
                fixed[key] = given
                continue
            default = known[key].default
            try:
                free[key] = _distribution(given, default)
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(
                    f"{where}: {key}: {given!r} is no range ({error}): give a list of choices or"
                    " {low: …, high: …, log: true}"
                ) from None
            if not _holds(free[key], default):
                raise ValueError(
                    f"{where}: {key}: the default {default!r} is not in {given!r}: widen it"
                )
            defaults[key] = default
        return cls(fixed, free, defaults, key_of(dict(entry))[:16])

    def values(self, drawn: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of one trial, sorted: the fixed ones and the drawn ones, rounded."""
        rounded = {
            key: float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
            for key, value in drawn.items()
        }
        return dict(sorted({**self.fixed, **rounded}.items()))


@cache
def spaces() -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of ``search_spaces.yml`` by name; `SearchSpace.of` checks one."""
    return MappingProxyType(yaml.safe_load(TABLE.read_text(encoding="utf-8")))


def model_of(name: str) -> type[Recommender]:
    """Return the class an entry is for: ``"TwoTower-text"`` is a variant of ``TwoTower``.

    Raises
    ------
    ValueError
        When ``llmrec.models`` has no such class.
    """
    model = name.partition("-")[0]
    found = getattr(models, model, None)
    if not (inspect.isclass(found) and issubclass(found, Recommender)):
        raise ValueError(f"search space of {name}: llmrec.models has no recommender {model!r}")
    return found


def _distribution(given: list | Mapping[str, Any], default: Any) -> BaseDistribution:
    if isinstance(given, list):
        return CategoricalDistribution(given)
    if unknown := sorted(set(given) - {"low", "high", "log"}):
        raise ValueError(f"unknown key {unknown[0]!r}")
    if isinstance(default, bool) or not isinstance(default, (int, float)):
        raise TypeError(f"the default {default!r} is no number")
    low, high, log = given["low"], given["high"], given.get("log", False)
    if isinstance(default, float):
        return FloatDistribution(low, high, log=log)
    if not (isinstance(low, int) and isinstance(high, int)):  # Optuna would cut them short
        raise TypeError("its ends are no whole numbers")
    return IntDistribution(low, high, log=log)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    return distribution.low <= value <= distribution.high  # type: ignore[attr-defined]

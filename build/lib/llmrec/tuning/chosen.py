"""What was chosen: ``tuned.yml``, written by ``llmrec tune`` and read by the chapters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from llmrec.data import Dataset, Split, cold_item_split, random_split

RECORDED = Path(__file__).parents[1] / "tuned.yml"

# Each has the test part that the same split without ``valid`` has: fit the chosen model on that.
REGIMES: Mapping[str, Callable[[Dataset], Split]] = MappingProxyType(
    {
        "warm": lambda dataset: random_split(dataset, test=0.25, valid=0.1, seed=0),
        "cold-items": lambda dataset: cold_item_split(dataset, share=0.2, valid=0.15, seed=0),
    }
)


def recorded(path: Path = RECORDED) -> dict[str, Any]:
    """Return the file's content: dataset → regime → model → what `Tuned.entry` says."""
    return (yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None) or {}


def tuned(dataset: str, regime: str, model: str) -> dict[str, Any]:
    """Return the recorded arguments, as in ``EASE(**tuned("ml-100k", "warm", "EASE"))``.

    Parameters
    ----------
    dataset, regime:
        Such as ``"ml-100k"``, and one of `REGIMES`.
    model:
        An entry of ``search_spaces.yml``, such as ``"EASE"`` or ``"TwoTower-text"``.

    Raises
    ------
    ValueError
        When nothing of that name is recorded; the message lists what is.
    """
    here = recorded()
    for what, name in {"dataset": dataset, "regime": regime, "model": model}.items():
        if name not in here:
            raise ValueError(
                f"tuned: no {what} {name!r} is recorded, only {', '.join(here) or 'nothing'}: run"
                f" llmrec tune --dataset {dataset} --regime {regime} --models {model}"
            )
        here = here[name]
    return dict(here["values"])

"""Evaluate what is bought next when buying again counts: seen items stay candidates and targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from numpy.typing import ArrayLike

from llmrec.evaluation.metrics import METRICS
from llmrec.evaluation.ranking import Evaluation, evaluate

if TYPE_CHECKING:
    from llmrec.data import Split
    from llmrec.models.base import Recommender


def evaluate_baskets(
    model: Recommender,
    split: Split,
    ks: Sequence[int] = (10,),
    metrics: Sequence[str] = tuple(METRICS),
    users: ArrayLike | None = None,
    items: ArrayLike | None = None,
    part: Literal["test", "valid"] = "test",
    seed: int = 0,
    *,
    name: str | None = None,
) -> Evaluation:
    """Rank the full catalogue for each user, what the user already has included.

    It is `evaluate` without its one rule for discovery, that items of the history are neither
    candidates nor targets. Everything else is the same: ties in expectation, one value a user, an
    item bought twice counts once. All users are scored by ``model.score``.

    Parameters, result and errors as in `evaluate`; ``split.test`` holds what is to be predicted,
    such as each user's next basket (`llmrec.data.first_baskets`).
    """
    nothing_seen = replace(split, history=split.history.iloc[:0])
    return evaluate(model, nothing_seen, ks, metrics, users, items, part, seed, name=name)

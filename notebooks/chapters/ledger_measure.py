"""Measure a model as a published protocol asks: means with intervals over users or splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse

from llmrec.data import Dataset, Split, load, random_split
from llmrec.encoders import get_encoder
from llmrec.evaluation import bootstrap, evaluate, student
from llmrec.ledger import Measured
from llmrec.models.base import Features, Recommender
from llmrec.text import item_text

# MAP@k over all relevant items, not over the k at most that fit: ``map_total@10``.
TOTAL = "map_total"


def ranking(
    model: Recommender,
    split: Split,
    metrics: Iterable[str],
    features: Features | None = None,
    *,
    ties: bool = False,
) -> dict[str, Measured]:
    """Fit a model and rank the full catalogue for each test user.

    Parameters
    ----------
    metrics:
        Such as ``"recall@50"``; ``"map_total@10"`` divides the average precision by all relevant
        items.
    ties:
        Tell, too, how far the order of equally scored items can move each mean.
    """
    model.fit(split, features)
    out = {}
    extremes = [_per_user(_Leaning(model, split, sign), split, metrics) for sign in (-1, 1) if ties]
    for metric, values in _per_user(model, split, metrics).items():
        span = tuple(float(extreme[metric].mean()) for extreme in extremes)
        out[metric] = replace(Measured.of(bootstrap(values), "users"), ties=span or None)
    return out


def five_splits() -> Iterator[Split]:
    """Yield MovieLens-100K with a random quarter of each user's ratings held out, seeds 0 to 4."""
    dataset = load("ml-100k")
    for seed in range(5):
        yield random_split(dataset, test=0.25, seed=seed)


def text_of(dataset: Dataset, encoder: str, template: str = "") -> Features:
    """Return the items' text as vectors; the default template is the one named like the dataset."""
    texts = item_text(dataset.items, template or dataset.name)
    options: dict[str, Any] = {"corpus": texts} if encoder in ("tfidf", "bm25") else {}
    return Features(items=get_encoder(encoder, **options).encode(texts))


def over_splits(
    make: Callable[[int], Recommender],
    splits: Iterable[Split],
    metrics: Iterable[str],
    features: Features | None = None,
) -> dict[str, Measured]:
    """Return the mean over splits with Student's t interval; ``make(seed)`` gives a model."""
    names = list(metrics)
    means: dict[str, list[float]] = {metric: [] for metric in names}
    for seed, split in enumerate(splits):
        model = make(seed).fit(split, features)
        for metric, values in _per_user(model, split, names).items():
            means[metric].append(float(values.mean()))
    return {metric: Measured.of(student(values), "splits") for metric, values in means.items()}


class _Leaning(Recommender):
    """A fitted model whose equal scores are ordered for (+1) or against (−1) the test items."""

    def __init__(self, model: Recommender, split: Split, sign: int) -> None:
        self.model, self.sign = model, sign
        self.targets: sparse.csr_matrix = split.matrix("test")

    def _fit(self, split: Split, features: Features) -> None:
        raise NotImplementedError("a leaning model wraps a fitted one")

    def score(self, users: np.ndarray) -> np.ndarray:
        scores = self.model.score(users).astype(np.float64)
        cells = self.targets[users].nonzero()
        # The next double is nearer than any other float32: it passes the item's equals, no more.
        scores[cells] = np.nextafter(scores[cells], self.sign * np.inf)
        return scores


def _per_user(model: Recommender, split: Split, metrics: Iterable[str]) -> dict[str, np.ndarray]:
    asked = [metric.split("@") for metric in metrics]
    names = {"map" if name == TOTAL else name for name, _ in asked}
    ks = sorted({int(k) for _, k in asked})
    found = evaluate(model, split, ks=ks, metrics=sorted(names))
    values: Mapping[str, np.ndarray] = found.values
    relevant = (split.matrix("test") > split.matrix("history"))[found.users].getnnz(axis=1)
    return {
        f"{name}@{k}": values[f"map@{k}"] * np.minimum(int(k), relevant) / relevant
        if name == TOTAL
        else values[f"{name}@{k}"]
        for name, k in asked
    }

"""Beyond accuracy: all measures of a model's lists at once, with intervals over users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri

from llmrec.evaluation.lists import (
    coverage,
    diversity,
    gini,
    miscalibration,
    novelty,
    popularity_lift,
)
from llmrec.evaluation.statistics import Estimate, bootstrap

if TYPE_CHECKING:
    from llmrec.data import Split

GROUPS = 100  # of users, left out in turn: more of them change an interval by a few per cent


@dataclass(frozen=True)
class BeyondAccuracy:
    """What the lists of one model are like, beside being accurate.

    Attributes
    ----------
    name : str
        The model.
    users : (n,) int
        Codes of the users whose lists these are.
    values : mapping
        ``"novelty@10"`` → ``(n,)`` float64, NaN where undefined, in the order of ``users``.
    catalogue : mapping
        ``"coverage@10"`` → Estimate: a property of all lists together.
    seed : int
        Of the bootstrap intervals.

    Notes
    -----
    It has ``name, users, per_user`` as an Evaluation has: `compare` and `group_gaps` take it too.
    """

    name: str
    users: np.ndarray
    values: Mapping[str, np.ndarray]
    catalogue: Mapping[str, Estimate]
    seed: int = 0

    def per_user(self, metric: str) -> np.ndarray:
        """Return ``values[metric] (n,)``; the KeyError of an unknown metric lists the known."""
        if metric not in self.values:
            raise KeyError(f"{self.name} has no {metric!r}: it has {', '.join(self.values)}")
        return self.values[metric]

    def mean(self, metric: str) -> Estimate:
        """Return the mean, with its 95 % interval, over the ``n`` users for whom it is defined."""
        if metric in self.catalogue:
            return self.catalogue[metric]
        values = self.per_user(metric)
        defined = values[~np.isnan(values)]
        if not len(defined):
            return Estimate(np.nan, np.nan, np.nan, 0)
        return bootstrap(defined, self.seed)

    def table(self) -> pd.DataFrame:
        """Return one row a measure: ``value, low, high, n``."""
        rows = {metric: vars(self.mean(metric)) for metric in [*self.catalogue, *self.values]}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def beyond(
    lists: ArrayLike,
    split: Split,
    item_vectors: ArrayLike | None = None,
    categories: ArrayLike | None = None,
    users: ArrayLike | None = None,
    seed: int = 0,
    *,
    name: str = "lists",
) -> BeyondAccuracy:
    """Measure the lists of a model: coverage, Gini, novelty, diversity, popularity, calibration.

    Parameters
    ----------
    lists : (n, k) int array
        Item codes, such as ``model.recommend(split.test_users, k=10)[0]``.
    split : Split
        Popularity is counted in its train part; a user's taste is read from its history.
    item_vectors : (n_items, d) array, optional
        Adds ``diversity``: the meaning of "alike", such as text vectors. Compare models by one and
        the same vectors.
    categories : (n_items, c) array, optional
        Adds ``miscalibration``: nonzero where an item has a category; see `category_matrix`.
    users : (n,) int array, optional
        Whose lists these are, in order. Default: ``split.test_users``.
    seed : int
        Of the intervals.
    name : str
        The model's name.

    Raises
    ------
    ValueError
        When lists and users differ in number, a code is no item or user, a list holds an item
        twice, or vectors or categories are not finite or do not have one row an item.
    """
    codes = split.test_users if users is None else np.asarray(users)
    items = np.asarray(lists)
    if len(items) != len(codes):
        raise ValueError(
            f"{len(items)} lists for {len(codes)} users: pass users= with one code a list"
        )
    if not np.isin(codes, np.arange(split.n_users)).all():
        raise ValueError(f"users hold a code that is none: codes run from 0 to {split.n_users - 1}")
    history = split.matrix("history")[codes]
    train = split.matrix("train")
    counts = train.getnnz(axis=0)
    values = {
        "novelty": novelty(items, counts, int((train.getnnz(axis=1) > 0).sum())),
        "popularity_lift": popularity_lift(items, history, counts),
    }
    if item_vectors is not None:
        values["diversity"] = diversity(items, _rows(item_vectors, split.n_items, "item_vectors"))
    if categories is not None:
        values["miscalibration"] = miscalibration(
            items, history, _rows(categories, split.n_items, "categories")
        )
    k = items.shape[1]
    return BeyondAccuracy(
        name,
        codes,
        {f"{measure}@{k}": array for measure, array in values.items()},
        {
            f"coverage@{k}": _jackknife(coverage, items, split.n_items, seed),
            f"gini@{k}": _jackknife(gini, items, split.n_items, seed),
        },
        seed,
    )


def _rows(table: ArrayLike, n_items: int, what: str) -> np.ndarray:
    array = np.asarray(table)
    if array.ndim != 2 or len(array) != n_items:
        raise ValueError(f"{what} have shape {array.shape}, expected ({n_items}, …): a row an item")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} hold NaN or infinity: encode those items again")
    return array


def _jackknife(
    statistic: Callable[[np.ndarray, int], float], lists: np.ndarray, n_items: int, seed: int
) -> Estimate:
    """Return a statistic of all lists with its 95 % interval over users: value ± 1.96 errors.

    ``error² = (g - 1)/g Σ (θ_(j) - θ̄)²`` over g random groups of users left out in turn. Not a
    bootstrap: a resample holds only some 63 % of the users, so that it covers fewer items and its
    interval misses the value itself; the jackknife errs, if at all, on the wide side.
    """
    value, n = statistic(lists, n_items), len(lists)
    groups = min(n, GROUPS)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, n)
    label = np.random.default_rng(seed).permutation(n) % groups
    left = np.array([statistic(lists[label != group], n_items) for group in range(groups)])
    half = ndtri(0.975) * np.sqrt((groups - 1) * left.var())
    return Estimate(value, float(max(value - half, 0)), float(min(value + half, 1)), n)

"""Evaluate a recommender on the full catalogue: per-user values first, then means with
intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse

from llmrec.data import histories_of
from llmrec.evaluation.metrics import METRICS, tie_groups
from llmrec.evaluation.statistics import Estimate, bootstrap

if TYPE_CHECKING:
    from llmrec.data import Split
    from llmrec.models.base import Recommender

CELLS = 4_000_000  # scores held at once: 16 MB, and a sorted copy


@dataclass(frozen=True)
class Evaluation:
    """What one model reached for each user.

    Attributes
    ----------
    name : str
        The model.
    ks : tuple of int
        Cuts.
    users : (n,) int
        Codes of the evaluated users, sorted.
    values : mapping
        ``"ndcg@10"`` → ``(n,)`` float64, in the order of ``users``.
    left_out : int
        Users asked for that have no relevant item among the candidates, hence no metric.
    seed : int
        Of the bootstrap intervals.
    """

    name: str
    ks: tuple[int, ...]
    users: np.ndarray
    values: Mapping[str, np.ndarray]
    left_out: int = 0
    seed: int = 0

    def per_user(self, metric: str) -> np.ndarray:
        """Return ``values[metric] (n,)``; the KeyError of an unknown metric lists the known."""
        if metric not in self.values:
            raise KeyError(f"{self.name} has no {metric!r}: it has {', '.join(self.values)}")
        return self.values[metric]

    def mean(self, metric: str) -> Estimate:
        """Return the mean over users with its 95 % bootstrap interval (see `bootstrap`)."""
        values = self.per_user(metric)
        if not len(values):
            raise ValueError(f"{self.name} has no evaluated user here: {metric} has no mean")
        return bootstrap(values, self.seed)

    def slice(self, users: ArrayLike) -> Evaluation:
        """Return the part for these user codes; codes that were not evaluated are ignored."""
        keep = np.isin(self.users, np.asarray(users))
        values = {metric: array[keep] for metric, array in self.values.items()}
        return replace(self, users=self.users[keep], values=values)

    def table(self) -> pd.DataFrame:
        """Return one row a metric: ``value, low, high, n``."""
        rows = {metric: vars(self.mean(metric)) for metric in self.values}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


@dataclass(frozen=True)
class Slices:
    """Named groups of user codes and of item codes; see `slices`."""

    users: Mapping[str, np.ndarray]
    items: Mapping[str, np.ndarray]


def evaluate(
    model: Recommender,
    split: Split,
    ks: Sequence[int] = (10,),
    metrics: Sequence[str] = tuple(METRICS),
    users: ArrayLike | None = None,
    items: ArrayLike | None = None,
    part: Literal["test", "valid"] = "test",
    seed: int = 0,
    *,
    repeats: bool = False,
    name: str | None = None,
) -> Evaluation:
    """Rank the full catalogue for each user and measure where the held-out items stand.

    Items of ``split.history`` are no candidates and no targets, unless ``repeats``; an item taken
    twice counts once; ties count in expectation. Users without a train row but with a history are
    scored by ``model.fold_in`` on it, all others by ``model.score``.

    Parameters
    ----------
    model : Recommender
        Fitted on this split.
    split : Split
    ks : sequence of int
        Cuts; one may exceed the catalogue.
    metrics : sequence of str
        Among ``ndcg, recall, precision, map, mrr, hit``.
    users : array of user codes, optional
        Default: every user with an interaction in ``part``.
    items : array of item codes, optional
        Candidates and targets, such as ``split.cold_items``. Default: the whole catalogue.
    part : "test" or "valid"
    seed : int
        Of the intervals that `Evaluation.mean` gives.
    repeats : bool
        Ask what is taken next, whether again or for the first time: seen items stay candidates and
        targets.
    name : str, optional
        Default: ``model.name``, else the class name.

    Raises
    ------
    ValueError
        On an unknown metric, part or code, a k below 1, NaN scores, scores of a wrong shape, or
        when no user has a target.
    NotImplementedError
        When the model cannot fold in the cold users asked for.

    Notes
    -----
    Users are scored in batches, so memory is bounded whatever their number.
    """
    _check(ks, metrics, part)
    label = name or getattr(model, "name", None) or type(model).__name__
    frame = getattr(split, part)
    asked = frame["user"].to_numpy() if users is None else users
    rows = _codes(asked, split.n_users, "users")
    columns = None if items is None else _codes(items, split.n_items, "items")

    history = split.matrix("history")
    hidden = sparse.csr_matrix(history.shape, dtype=history.dtype) if repeats else history
    targets = split.matrix(part) > hidden  # boolean: taken in this part, not hidden
    seen = hidden if columns is None else hidden[:, columns]
    targets = targets if columns is None else targets[:, columns]
    kept = rows[targets[rows].getnnz(axis=1) > 0]
    if not len(kept):
        raise ValueError(f"no user has a new {part} item among the candidates: nothing to evaluate")

    values = {f"{metric}@{k}": np.empty(len(kept)) for metric in metrics for k in ks}
    cold = np.isin(kept, split.cold_users) & (history[kept].getnnz(axis=1) > 0)
    warm_and_cold: list[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]] = [
        (np.flatnonzero(~cold), model.score),
        (np.flatnonzero(cold), lambda codes: model.fold_in(histories_of(split, codes))),
    ]
    for positions, scorer in warm_and_cold:
        for batch in _batches(positions, split.n_items):
            codes = kept[batch]
            try:
                scores = np.asarray(scorer(codes))
            except NotImplementedError as error:
                fix = "pass users=np.setdiff1d(split.test_users, split.cold_users)"
                raise NotImplementedError(f"{error}: {fix}") from None
            if scores.shape != (len(codes), split.n_items):
                raise ValueError(
                    f"{label} gave scores of shape {scores.shape} for {len(codes)} users and "
                    f"{split.n_items} items: return ({len(codes)}, {split.n_items})"
                )
            scores = scores if columns is None else scores[:, columns]
            try:
                groups = tie_groups(scores, targets[codes], seen[codes])
            except ValueError as error:
                raise ValueError(f"{label}: {error}") from None
            for metric in metrics:
                for k in ks:
                    values[f"{metric}@{k}"][batch] = METRICS[metric](groups, k)
    return Evaluation(label, tuple(ks), kept, values, len(rows) - len(kept), seed)


def slices(split: Split) -> Slices:
    """Name the groups in which a mean is worth reading apart.

    Users with a test interaction: ``cold`` have no train row; the others are ``short``, ``medium``
    or ``long`` by the terciles of their number of distinct train items (equal numbers share a
    group). Items: ``cold`` have no train row; of the others, ``hot`` are the top 20 % by number of
    train users (rounded up; ties at the edge go to the lower code) and ``warm`` the rest.

    Returns
    -------
    Slices
        ``users`` and ``items``: name → sorted codes; a group may be empty.
    """
    train = split.matrix("train")
    length = train.getnnz(axis=1)[split.test_users]
    warm = length > 0
    # The first third of n sorted lengths ends at the ceil(n/3)-th: no float decides a border.
    ordered = np.sort(length[warm]) if warm.any() else np.zeros(1)
    short, long = (ordered[-(-part * len(ordered) // 3) - 1] for part in (1, 2))
    members = {
        "cold": ~warm,
        "short": warm & (length <= short),
        "medium": warm & (length > short) & (length <= long),
        "long": warm & (length > long),
    }
    popularity = train.getnnz(axis=0)
    known = np.flatnonzero(popularity)
    ranked = known[np.argsort(-popularity[known], kind="stable")]
    n_hot = -(-len(known) // 5)
    return Slices(
        users={name: split.test_users[mask] for name, mask in members.items()},
        items={
            "cold": split.cold_items,
            "warm": np.sort(ranked[n_hot:]),
            "hot": np.sort(ranked[:n_hot]),
        },
    )


def _batches(positions: np.ndarray, n_items: int) -> Iterator[np.ndarray]:
    size = max(1, CELLS // n_items)
    for start in range(0, len(positions), size):
        yield positions[start : start + size]


def _codes(codes: ArrayLike, size: int, what: str) -> np.ndarray:
    """Return distinct codes, sorted, or say which one is none."""
    array = np.unique(np.asarray(codes))
    if not len(array):
        raise ValueError(f"{what} is empty: pass at least one code, or None for all")
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"{what} must be whole-number codes, got {array.dtype}")
    if array[0] < 0 or array[-1] >= size:
        wrong = array[0] if array[0] < 0 else array[-1]
        raise ValueError(f"{what} holds {wrong}, but codes run from 0 to {size - 1}")
    return array


def _check(ks: Sequence[int], metrics: Sequence[str], part: str) -> None:
    if isinstance(metrics, str) or not metrics or not set(metrics) <= set(METRICS):
        raise ValueError(f"metrics={metrics!r}: name some of {', '.join(METRICS)} in a tuple")
    if isinstance(ks, int) or not len(ks) or min(ks) < 1:
        raise ValueError(f"ks={ks!r} must be a tuple of positive whole numbers, such as (10,)")
    if part not in ("test", "valid"):
        raise ValueError(f'part={part!r} cannot be evaluated: use "test" or "valid"')

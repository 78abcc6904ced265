"""Ranking metrics in expectation over random tie-breaking, in closed form.

A sparse scorer gives many items the same score. Sorting them "as they come" rewards or punishes a
model by the order of the catalogue, so every metric here is the *mean over all orders of the tied
items*, computed exactly (no sampling) from four counts a tie group; see `TieGroups`.

References
----------
F. McSherry and M. Najork, "Computing information retrieval performance measures efficiently in the
presence of tied scores", ECIR 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse


@dataclass(frozen=True)
class TieGroups:
    """Where the relevant items stand: one entry a tie group that holds at least one of them.

    The group's items take ranks ``g + 1 … g + t`` in random order.

    Attributes
    ----------
    user : (m,) int
        Row of the score matrix, 0 … n_users - 1.
    above : (m,) int
        ``g``, candidates scored strictly higher.
    tied : (m,) int
        ``t ≥ 1``, candidates with this very score.
    relevant : (m,) int
        ``r ≥ 1``, relevant items among the ``t``.
    relevant_above : (m,) int
        ``R``, relevant items among the ``g``.
    n_relevant : (n_users,) int
        ``N``, relevant candidates of each user; a metric is NaN (undefined) where it is 0.
    """

    user: np.ndarray
    above: np.ndarray
    tied: np.ndarray
    relevant: np.ndarray
    relevant_above: np.ndarray
    n_relevant: np.ndarray


def tie_groups(scores: ArrayLike, relevant: Any, excluded: Any = None) -> TieGroups:
    """Rank each row of scores and count what stands above, and level with, its relevant items.

    Parameters
    ----------
    scores : (n_users, n_items) array
        Higher is better. ``-inf`` means *unscored*: such items tie at the bottom.
    relevant : (n_users, n_items) array or sparse matrix
        Nonzero where the user took the item; counted once whatever the value.
    excluded : (n_users, n_items) array or sparse matrix, optional
        Nonzero where the item is no candidate (already seen). It takes no rank at all, and it is
        not counted as relevant either.

    Raises
    ------
    ValueError
        When a score is NaN or the shapes differ.

    Notes
    -----
    Costs one sort a row, ``O(n_items log n_items)``.

    Examples
    --------
    Items 1 and 2 tie below item 0; one of the two is relevant.

    >>> groups = tie_groups([[3.0, 2.0, 2.0]], [[0, 1, 0]])
    >>> groups.above, groups.tied, groups.relevant
    (array([1]), array([2]), array([1]))
    """
    table = np.array(scores)  # a copy: excluded cells are overwritten below
    if table.ndim != 2 or table.shape[1] == 0:
        raise ValueError(f"scores must be (n_users, n_items) with items, got shape {table.shape}")
    if not np.issubdtype(table.dtype, np.floating):
        table = table.astype(np.float64)
    if np.isnan(table).any():
        row, column = np.argwhere(np.isnan(table))[0]
        raise ValueError(
            f"scores hold NaN, first at row {row}, item {column}: use -inf for an unscored item"
        )
    n_users, n_items = table.shape
    sizes = np.full(n_users, n_items)
    if excluded is not None:
        rows, columns = _cells(excluded, table.shape, "excluded")
        table[rows, columns] = np.nan  # NumPy sorts NaN last, behind the sizes[row] candidates
        sizes -= np.bincount(rows, minlength=n_users)
    rows, columns = _cells(relevant, table.shape, "relevant")
    values = table[rows, columns]
    rows, values = rows[~np.isnan(values)], values[~np.isnan(values)]

    # A rank is never assigned. In the sorted row, the candidates below a value and those not above
    # it are two bisections; the rest of the row is above, and what lies between is tied.
    table.sort(axis=1)
    below = _count_below(table, sizes, rows, values, or_equal=False)
    not_above = _count_below(table, sizes, rows, values, or_equal=True)
    above, tied = sizes[rows] - not_above, not_above - below

    # Relevant items with the same (user, g) are one group; groups come out sorted by user, then g,
    # so that a running count of relevant items, less that of earlier users, is R.
    _, first, count = np.unique(rows * (n_items + 1) + above, return_index=True, return_counts=True)
    user = rows[first]
    n_relevant = np.bincount(rows, minlength=n_users)
    before_user = np.cumsum(n_relevant) - n_relevant
    relevant_above = np.cumsum(count) - count - before_user[user]
    return TieGroups(user, above[first], tied[first], count, relevant_above, n_relevant)


def _cells(matrix: Any, shape: tuple[int, ...], what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the nonzero cells, each cell once, in row-major order."""
    if not sparse.issparse(matrix):
        matrix = np.asarray(matrix)
    if matrix.shape != shape:
        raise ValueError(f"{what} has shape {matrix.shape} but scores have shape {shape}")
    rows, columns = matrix.nonzero()
    flat = np.unique(rows.astype(np.int64) * shape[1] + columns)
    return flat // shape[1], flat % shape[1]


def _count_below(
    ordered: np.ndarray, sizes: np.ndarray, rows: np.ndarray, values: np.ndarray, *, or_equal: bool
) -> np.ndarray:
    """For each value, count the smaller (or equal) entries of its ascending row, by bisection."""
    low, high = np.zeros_like(rows), sizes[rows]
    while (open_ := low < high).any():
        middle = (low + high) // 2
        entry = ordered[rows, np.minimum(middle, ordered.shape[1] - 1)]
        smaller = (entry <= values) if or_equal else (entry < values)
        low = np.where(open_ & smaller, middle + 1, low)
        high = np.where(open_ & ~smaller, middle, high)
    return low


def recall(groups: TieGroups, k: int) -> np.ndarray:
    """Expected share of the relevant items that are in the top k.

    ``recall@k = 1/N · Σ_groups r · m/t`` with ``m = min(t, max(k - g, 0))`` ranks inside the cut.

    Parameters
    ----------
    groups : TieGroups
    k : int
        Cut, at least 1; it may exceed the catalogue.

    Returns
    -------
    (n_users,) float64 in [0, 1]; NaN for a user without a relevant item.

    Examples
    --------
    The relevant item ties with one other for ranks 1 and 2: it is first half of the time.

    >>> recall(tie_groups([[2.0, 2.0, 1.0]], [[1, 0, 0]]), k=1)
    array([0.5])
    """
    return _ratio(_expected_hits(groups, k), groups.n_relevant, groups)


def precision(groups: TieGroups, k: int) -> np.ndarray:
    """Expected share of the top k that is relevant.

    ``precision@k = 1/k · Σ_groups r · m/t``, always divided by k, also beyond the catalogue.
    Arguments and result as in `recall`.

    Examples
    --------
    Both items tie for ranks 1 and 2 and one is relevant: two ranks, one hit.

    >>> precision(tie_groups([[2.0, 2.0, 1.0]], [[1, 0, 0]]), k=2)
    array([0.5])
    """
    return _ratio(_expected_hits(groups, k), np.full(len(groups.n_relevant), k), groups)


def ndcg(groups: TieGroups, k: int) -> np.ndarray:
    """Expected normalised discounted cumulative gain with binary relevance.

    ``nDCG@k = Σ_groups r/t · (D(min(g + t, k)) - D(min(g, k))) / D(min(N, k))`` with the discounts
    ``D(n) = Σ_{p=1}^{n} 1/log₂(p + 1)``. Arguments and result as in `recall`.

    References
    ----------
    K. Järvelin and J. Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 2002.

    Examples
    --------
    One relevant item at rank 3: 1/log₂(4) = 1/2, and the ideal is 1.

    >>> ndcg(tie_groups([[3.0, 2.0, 1.0]], [[0, 0, 1]]), k=10)
    array([0.5])
    """
    start, stop = _cut(groups, k)
    gain = groups.relevant / groups.tied * (_discounts(stop) - _discounts(start))
    ideal = _discounts(np.minimum(groups.n_relevant, k))
    return _ratio(_per_user(groups, gain), ideal, groups)


def average_precision(
    groups: TieGroups, k: int, denominator: Literal["min", "relevant"] = "min"
) -> np.ndarray:
    """Expected average precision, the per-user term of MAP.

    ``AP@k = 1/D · Σ_groups Σ_{j=1}^{m} r/t · (R + 1 + (j - 1)(r - 1)/(t - 1)) / (g + j)``: rank
    ``g + j`` is relevant with probability ``r/t``, and then holds itself, the ``R`` above the group
    and its share of the group's other ``r - 1``. Arguments and result as in `recall`.

    Parameters
    ----------
    denominator : "min" or "relevant"
        ``"min"``: ``D = min(k, N)``, so that a perfect list reaches 1 whatever k (Ferrari Dacrema
        et al.; the default). ``"relevant"``: ``D = N``, the trec_eval and ranx convention.

    Examples
    --------
    Relevant items at ranks 1 and 3: (1/1 + 2/3) / 2 = 5/6.

    >>> average_precision(tie_groups([[3.0, 2.0, 1.0]], [[1, 0, 1]]), k=3)
    array([0.83333333])
    """
    if denominator not in ("min", "relevant"):
        raise ValueError(f'denominator={denominator!r} is unknown: use "min" or "relevant"')
    start, stop = _cut(groups, k)
    g, t, r = groups.above, groups.tied, groups.relevant
    m = stop - start
    harmonic = _reciprocals(stop) - _reciprocals(start)  # Σ_{j=1}^{m} 1/(g + j)
    # Σ (j - 1)/(g + j) = m - (g + 1) Σ 1/(g + j); a group of one has no others.
    others = (r - 1) / np.maximum(t - 1, 1) * (m - (g + 1) * harmonic)
    gain = r / t * ((groups.relevant_above + 1) * harmonic + others)
    bottom = groups.n_relevant if denominator == "relevant" else np.minimum(groups.n_relevant, k)
    return _ratio(_per_user(groups, gain), bottom, groups)


def reciprocal_rank(groups: TieGroups, k: int) -> np.ndarray:
    """Expected 1/rank of the first relevant item if it is in the top k, else 0: the term of MRR.

    In the best group with a relevant item the first one takes rank ``g + j`` with the negative
    hypergeometric probability ``C(t - j, r - 1) / C(t, r)``, so
    ``RR@k = Σ_{j=1}^{m} C(t - j, r - 1) / C(t, r) / (g + j)``. Arguments and result as in `recall`.

    Examples
    --------
    Rank 1 or rank 2, equally likely: (1 + 1/2) / 2 = 3/4.

    >>> reciprocal_rank(tie_groups([[2.0, 2.0, 1.0]], [[1, 0, 0]]), k=10)
    array([0.75])
    """
    return _first_relevant(groups, k)[1]


def hit(groups: TieGroups, k: int) -> np.ndarray:
    """Probability that at least one relevant item is in the top k: the term of the hit rate.

    ``hit@k = 1 - C(t - r, m) / C(t, m)`` for the best group with a relevant item (hypergeometric:
    none of the ``m`` ranks inside the cut holds one of the ``r``). Arguments and result as in
    `recall`.

    Examples
    --------
    Two of four tied items are relevant, two ranks count: 1 - C(2, 2)/C(4, 2) = 5/6.

    >>> hit(tie_groups([[1.0, 1.0, 1.0, 1.0]], [[1, 1, 0, 0]]), k=2)
    array([0.83333333])
    """
    return _first_relevant(groups, k)[0]


#: Short names, as in ``"ndcg@10"``, and the function each stands for.
METRICS: dict[str, Callable[[TieGroups, int], np.ndarray]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "mrr": reciprocal_rank,
    "hit": hit,
}


def _first_relevant(groups: TieGroups, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return P(first relevant rank ≤ k) and E[1/first relevant rank; rank ≤ k], by user."""
    start, stop = _cut(groups, k)
    best = groups.relevant_above == 0  # exactly one group a user: later ones never matter
    g, t, r = groups.above[best], groups.tied[best], groups.relevant[best]
    m = (stop - start)[best]
    miss = np.ones(len(m))  # P(none of the group's first j ranks is relevant)
    reciprocal = np.zeros(len(m))
    for j in range(1, m.max(initial=0) + 1):  # rank g + j, given that the j - 1 before it missed
        inside = j <= m
        left = np.maximum(t - j + 1, 1)
        reciprocal += np.where(inside, miss * np.minimum(r / left, 1) / (g + j), 0)
        miss = np.where(inside, miss * np.maximum(left - r, 0) / left, miss)
    hits = np.full(len(groups.n_relevant), np.nan)
    ranks = hits.copy()
    hits[groups.user[best]] = 1 - miss
    ranks[groups.user[best]] = reciprocal
    return hits, ranks


def _cut(groups: TieGroups, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each group's ranks inside the top k as ``(start, stop]``."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 1:
        raise ValueError(f"k={k!r} is not a positive whole number")
    return np.minimum(groups.above, k), np.minimum(groups.above + groups.tied, k)


def _expected_hits(groups: TieGroups, k: int) -> np.ndarray:
    start, stop = _cut(groups, k)
    return _per_user(groups, groups.relevant * (stop - start) / groups.tied)


def _discounts(upto: np.ndarray) -> np.ndarray:
    """Return ``Σ_{p=1}^{n} 1/log₂(p + 1)`` for each n."""
    ranks = np.arange(1, upto.max(initial=0) + 1)
    return np.concatenate([[0.0], np.cumsum(1 / np.log2(ranks + 1))])[upto]


def _reciprocals(upto: np.ndarray) -> np.ndarray:
    """Return ``Σ_{p=1}^{n} 1/p`` for each n."""
    ranks = np.arange(1, upto.max(initial=0) + 1)
    return np.concatenate([[0.0], np.cumsum(1 / ranks)])[upto]


def _per_user(groups: TieGroups, gain: np.ndarray) -> np.ndarray:
    return np.bincount(groups.user, weights=gain, minlength=len(groups.n_relevant))


def _ratio(top: np.ndarray, bottom: np.ndarray, groups: TieGroups) -> np.ndarray:
    undefined = np.full(len(top), np.nan)
    return np.divide(top, bottom, out=undefined, where=groups.n_relevant > 0)

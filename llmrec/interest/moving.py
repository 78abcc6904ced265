"""How interests move: similarity of periods by how far apart they lie, with null models.

A fall of similarity means little alone, because any season moves everybody: its null model is the
same periods in a shuffled order.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from llmrec.interest.distinct import checked_rows
from llmrec.vectors import unit_rows


def period_vectors(
    vectors: ArrayLike, timestamps: ArrayLike, period_seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return one user's active periods ``(p,)`` and the mean vector of each ``(p, d)``.

    Period ``⌊t / period_seconds⌋`` for timestamps in seconds; rows are averaged as unit vectors.
    What is bought together stays together: it is whole periods that `drift` compares. ValueError
    when lengths differ or the period is not positive.
    """
    rows, times = unit_rows(checked_rows(vectors, min_rows=1)), np.asarray(timestamps)
    if len(rows) != len(times):
        raise ValueError(f"{len(rows)} vectors and {len(times)} timestamps: one each")
    if not period_seconds > 0:
        raise ValueError(f"period_seconds={period_seconds} must be positive")
    periods, of, count = np.unique(times // period_seconds, return_inverse=True, return_counts=True)
    sums = np.zeros((len(periods), rows.shape[1]))
    np.add.at(sums, of, rows)
    return periods.astype(np.int64), sums / count[:, None]


def similarity_by_lag(periods: ArrayLike, vectors: ArrayLike, edges: ArrayLike) -> np.ndarray:
    """Return the mean cosine of one user's pairs of periods whose lag lies in each bin.

    Bin ``i`` holds the lags ``edges[i] ≤ |p - q| < edges[i + 1]``; NaN where no pair does. Its null
    model is the same call on ``rng.permutation(periods)``: the same vectors, in an order without
    time. ValueError when periods repeat or are not one a row.
    """
    lags, cosines = _pairs(periods, vectors)
    inside = [(lags >= low) & (lags < high) for low, high in pairwise(np.asarray(edges))]
    return np.array([cosines[mask].mean() if mask.any() else np.nan for mask in inside])


def drift(periods: ArrayLike, vectors: ArrayLike, near: int, far: int) -> float:
    """Return how much more alike one user's near periods are than far ones.

    ``mean cos(pairs with lag ≤ near) - mean cos(pairs with lag ≥ far)``; NaN when there is no pair
    on either side. If periods could be exchanged, its expectation would be exactly 0: a permutation
    of the periods puts every pair with equal chance on either side. Positive: the interest moves.
    ValueError unless ``0 < near < far``.
    """
    if not 0 < near < far:
        raise ValueError(f"near={near}, far={far}: give 0 < near < far, in periods")
    close, distant = similarity_by_lag(periods, vectors, [1, near + 1, far, np.inf])[[0, 2]]
    return float(close - distant)


def _pairs(periods: ArrayLike, vectors: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return lag and cosine of all pairs of periods."""
    rows, at = unit_rows(checked_rows(vectors, min_rows=1)), np.asarray(periods)
    if len(np.unique(at)) != len(rows) or at.shape != (len(rows),):
        raise ValueError(f"{len(rows)} vectors need as many distinct periods, got shape {at.shape}")
    above = np.triu_indices(len(rows), 1)
    return np.abs(at[above[0]] - at[above[1]]), (rows @ rows.T)[above]

"""Rank correlation over a handful of datasets, with the p of all their orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

MOST = 8  # 8! = 40,320 orders


def rank_correlation(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Return Spearman's ρ and the share of all orders of ``y`` that give at least as large a |ρ|.

    ``ρ`` is Pearson's correlation of the ranks, equal values sharing their mean rank. Where one
    side is constant nothing can be said: ρ is 0 and p is 1. With n values p is never below
    ``2 / n!``, so that a few datasets cannot show anything, however well they lie on a line.

    Raises
    ------
    ValueError
        When the two differ in length, hold NaN, or have fewer than 2 or more than 8 values.

    Examples
    --------
    >>> rank_correlation([1, 2, 3], [10, 30, 20])
    (0.5, 1.0)
    """
    first, second = np.asarray(x, float), np.asarray(y, float)
    if first.ndim != 1 or first.shape != second.shape or not 2 <= len(first) <= MOST:
        raise ValueError(
            f"rank_correlation: shapes {first.shape} and {second.shape}: give 2 to {MOST} pairs"
        )
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("rank_correlation: a value is NaN: leave its pair out")
    a, b = (rankdata(values) - (len(values) + 1) / 2 for values in (first, second))
    size = np.sqrt((a @ a) * (b @ b))
    if not size:
        return 0.0, 1.0
    rho = a @ b / size
    every = np.array(list(permutations(b))) @ a / size
    return float(rho), float((np.abs(every) >= abs(rho) - 1e-9).mean())

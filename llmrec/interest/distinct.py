"""How many interests a user holds: groups of items that lie close together.

A count means little alone, because more items give more groups: compare at equal numbers of items.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from llmrec.vectors import unit_rows


def interest_distance(vectors: ArrayLike, share: float = 0.05) -> float:
    """Return the cosine distance below which this share of all pairs of rows lies.

    ``vectors (n, d)`` of a catalogue, n ≥ 2 → ``1 - cos``: with ``share=0.05`` two items belong
    together when they are closer than all but the closest twentieth of pairs. ValueError for fewer
    than two rows, or a share outside 0 … 1.
    """
    rows = unit_rows(checked_rows(vectors, min_rows=2))
    if not 0 < share < 1:
        raise ValueError(f"share={share} must lie between 0 and 1, such as 0.05")
    above = np.triu_indices(len(rows), 1)
    return float(1 - np.quantile((rows @ rows.T)[above], 1 - share))


def interests(vectors: ArrayLike, distance: float) -> np.ndarray:
    """Group one user's items into interests: labels ``(n,)``, 0 for the largest group.

    Agglomerative clustering with average linkage: groups are joined while their mean cosine
    distance is below ``distance`` (of `interest_distance`). Equal sizes keep the order in which
    their first item comes. ValueError without rows or for a distance that is not positive.

    References
    ----------
    Pal et al. 2020, "PinnerSage: multi-modal user embedding framework for recommendations at
    Pinterest", KDD: the same idea, with Ward's linkage, in service.
    """
    from sklearn.cluster import AgglomerativeClustering

    rows = unit_rows(checked_rows(vectors, min_rows=1))
    if not distance > 0:
        raise ValueError(f"distance={distance} is not positive: see interest_distance")
    if len(rows) == 1:
        return np.zeros(1, np.int64)
    gaps = 1 - rows @ rows.T  # not metric="cosine", which refuses the zero row of an empty text
    clusters = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=distance
    ).fit_predict(gaps)
    _, first, label, size = np.unique(
        clusters, return_index=True, return_inverse=True, return_counts=True
    )
    return np.argsort(np.lexsort((first, -size)))[label]


def distinct_interests(vectors: ArrayLike, distance: float) -> int:
    """Return how many `interests` one user's items ``(n, d)`` fall into: 1 … n.

    Compare users, or a user with a null model, at equal n only.
    """
    return int(interests(vectors, distance).max()) + 1


def checked_rows(vectors: ArrayLike, min_rows: int) -> np.ndarray:
    """Return vectors as float64 ``(n, d)``, or say in one line what shape they have."""
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2 or len(rows) < min_rows:
        raise ValueError(f"vectors have shape {rows.shape}: give (n, d) with n ≥ {min_rows}")
    return rows

"""How many interests a user holds: groups of items, with null models.

A count means little alone, because more items give more groups: it has null models that keep what
is not of interest and shuffle the rest.
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
    rows = unit_rows(checked_rows(vectors, least=2))
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

    rows = unit_rows(checked_rows(vectors, least=1))
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


def interest_vectors(vectors: ArrayLike, distance: float) -> np.ndarray:
    """Return one unit vector an interest ``(k, d)``, the largest first: the mean of its items.

    A user as several vectors, where a single mean would fall between them.
    """
    labels = interests(vectors, distance)
    rows = unit_rows(checked_rows(vectors, least=1))
    return unit_rows(
        np.stack([rows[labels == one].mean(axis=0) for one in range(labels.max() + 1)])
    )


def shuffled_choices(
    users: ArrayLike, items: ArrayLike, rng: np.random.Generator, sweeps: int = 30
) -> np.ndarray:
    """Return the items in an order that breaks who took what, and nothing else.

    Each user keeps the number of items, each item the number of users, and nobody takes an item
    twice. In a sweep the events are paired at random; half of the pairs exchange their items
    wherever that makes no duplicate (*swap randomisation*).

    Parameters
    ----------
    users, items : (n,) int
        Distinct pairs of codes.
    rng : numpy.random.Generator
    sweeps : int
        Each event has half a chance of an exchange in each.

    Raises
    ------
    ValueError
        When the two differ in length or a pair occurs twice.

    References
    ----------
    Gionis, Mannila, Mielikäinen and Tsaparas 2007, "Assessing data mining results via swap
    randomization", ACM TKDD 1(3).
    """
    who, what = np.asarray(users, np.int64), np.array(items, np.int64)
    if who.shape != what.shape or who.ndim != 1:
        raise ValueError(f"users {who.shape} and items {what.shape} must be two equal columns")
    width = what.max(initial=0) + 1
    if len(np.unique(who * width + what)) < len(who):
        raise ValueError("a user holds an item twice: pass distinct pairs")
    half = len(who) // 2
    for _ in range(sweeps):
        order = rng.permutation(len(who))
        a, b = order[:half], order[half : 2 * half]
        new = np.stack([who[a] * width + what[b], who[b] * width + what[a]])
        present = np.isin(new, who * width + what).any(axis=0)
        # Two exchanges of one sweep could both make the same pair: neither is then carried out.
        _, place, count = np.unique(new, return_inverse=True, return_counts=True)
        clash = (count[place.reshape(new.shape)] > 1).any(axis=0)
        # Only half of what could be exchanged is: always exchanging reaches half of the tables.
        chosen = ~(present | clash) & (rng.random(half) < 0.5)
        a, b = a[chosen], b[chosen]
        what[a], what[b] = what[b], what[a]
    return what


def focused_choices(vectors: ArrayLike, around: ArrayLike, n: int) -> np.ndarray:
    """Return what users with one interest would hold: the n rows nearest to each item, it first.

    ``vectors (n_items, d)``, ``around (m,)`` item codes → codes ``(m, n)`` by falling cosine, equal
    ones by code. ValueError when the catalogue has fewer than n rows.
    """
    rows, codes = unit_rows(checked_rows(vectors, least=1)), np.asarray(around)
    if not 1 <= n <= len(rows):
        raise ValueError(f"n={n}: the catalogue has {len(rows)} rows")
    closeness = rows[codes] @ rows.T
    closeness[np.arange(len(codes)), codes] = np.inf
    return np.argsort(-closeness, axis=1, kind="stable")[:, :n]


def checked_rows(vectors: ArrayLike, least: int) -> np.ndarray:
    """Return vectors as float64 ``(n, d)``, or say in one line what shape they have."""
    rows = np.asarray(vectors, np.float64)
    if rows.ndim != 2 or len(rows) < least:
        raise ValueError(f"vectors have shape {rows.shape}: give (n, d) with n ≥ {least}")
    return rows

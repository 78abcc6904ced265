"""Null models of chapter 1: choices without taste, and choices of a single interest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from llmrec.interest.distinct import checked_rows
from llmrec.vectors import unit_rows


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
    rows, codes = unit_rows(checked_rows(vectors, min_rows=1)), np.asarray(around)
    if not 1 <= n <= len(rows):
        raise ValueError(f"n={n}: the catalogue has {len(rows)} rows")
    closeness = rows[codes] @ rows.T
    closeness[np.arange(len(codes)), codes] = np.inf
    return np.argsort(-closeness, axis=1, kind="stable")[:, :n]

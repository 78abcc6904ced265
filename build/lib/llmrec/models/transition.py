"""Directed transitions: recommend what others took soon after the latest items of a history."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec.data import Split, in_order
from llmrec.models.base import Features, Recommender
from llmrec.models.neighbours import keep_largest


class TransitionKNN(Recommender):
    """Sum, over a history with the latest item first, how often an item soon followed each.

    ``s(u, j) = Σ_r recency^r T[i_r, j]``, where ``i_0`` is the latest item of ``u`` and

    ``T_ij = C_ij / (√n_i n_j^popularity + shrinkage)``, ``C = W + backward Wᵀ``, ``T_ii = 0``;
    ``W_ij = Σ 1 / gap`` over all pairs in which ``j`` stands ``gap ≤ window`` events after ``i`` in
    one user's train sequence, and ``n_i`` counts the train events of ``i``.

    Parameters
    ----------
    window:
        The longest gap, at least 1.
    backward:
        What a pair in the opposite order is worth: 0 keeps the direction, 1 forgets it.
    shrinkage:
        Added to the denominator, at least 0: it mistrusts what rests on few events.
    popularity:
        0 leaves popular followers their lead, 1/2 takes it away as a cosine does.
    recency:
        Weight of an item over that of the next later one, in (0, 1]; 1 forgets the order.
    neighbours:
        How many preceding items each item keeps (ties go to the smaller item code).

    Attributes
    ----------
    transitions_:
        float32 sparse ``(n_items, n_items)``, ``T``: from rows to columns.
    histories_:
        float32 sparse ``(n_users, n_items)``, ``recency^r`` of each item in ``split.history``.

    References
    ----------
    Ludewig and Jannach, Evaluation of session-based recommendation algorithms, UMUAI 2018.

    Notes
    -----
    A sequence is ordered by timestamp, then by row. `score` knows every user's order in
    ``split.history``, cold users included; `fold_in` gets a matrix, which has no order.
    """

    transitions_: sparse.csr_matrix
    histories_: sparse.csr_matrix

    reads_order = True

    def __init__(
        self,
        window: int = 50,
        backward: float = 0.2,
        shrinkage: float = 10.0,
        popularity: float = 0.1,
        recency: float = 0.5,
        neighbours: int = 500,
    ) -> None:
        self.window = window
        self.backward = backward
        self.shrinkage = shrinkage
        self.popularity = popularity
        self.recency = recency
        self.neighbours = neighbours

    def _fit(self, split: Split, features: Features) -> None:
        if min(self.window, self.neighbours) < 1:
            raise ValueError(
                f"TransitionKNN: window={self.window} and neighbours={self.neighbours} must be at"
                " least 1"
            )
        if min(self.backward, self.shrinkage, self.popularity) < 0:
            raise ValueError(
                f"TransitionKNN: backward={self.backward}, shrinkage={self.shrinkage} and"
                f" popularity={self.popularity} must be at least 0"
            )
        shape = (split.n_items, split.n_items)
        followed = sparse.csr_matrix(shape)
        for gap, before, after in _pairs(split.train, self.window):
            weight = np.full(len(before), 1 / gap)
            followed = followed + sparse.csr_matrix((weight, (before, after)), shape)
        counted = (followed + self.backward * followed.T).tocoo()
        n = np.bincount(split.train["item"], minlength=split.n_items).astype(np.float64)
        norm = np.sqrt(n[counted.row]) * n[counted.col] ** self.popularity + self.shrinkage
        cells = (counted.data / norm, (counted.row, counted.col))
        largest = keep_largest(sparse.csc_matrix(cells, shape), self.neighbours)
        self.transitions_ = largest.tocsr().astype(np.float32)
        self.histories_ = recency_weights(split, self.recency)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.histories_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return scores for histories whose entries stand for ``recency^r``.

        A binary matrix has no order: every item then counts as if it were the latest.
        """
        return (self._histories(histories) @ self.transitions_).toarray()


def recency_weights(split: Split, recency: float) -> sparse.csr_matrix:
    """Return ``recency^r`` for the item ``r`` places before the latest of each user's history.

    float32 ``(n_users, n_items)``; of an item taken several times the latest place counts.

    Raises
    ------
    ValueError
        When ``recency`` is not in (0, 1].
    """
    if not 0 < recency <= 1:
        raise ValueError(f"recency={recency} is not in (0, 1]: 1 forgets the order")
    latest_first = in_order(split.history).iloc[::-1]
    age = latest_first.groupby("user").cumcount()
    last = latest_first.assign(weight=recency ** age.to_numpy(np.float64))
    last = last.drop_duplicates(["user", "item"])
    cells = (last["weight"].to_numpy(np.float32), (last["user"], last["item"]))
    return sparse.csr_matrix(cells, (split.n_users, split.n_items))


def _pairs(events: pd.DataFrame, window: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each gap with the items before and after it; an item does not follow itself."""
    ordered = in_order(events)
    user, item = ordered["user"].to_numpy(), ordered["item"].to_numpy()
    longest = int(np.bincount(user).max())
    for gap in range(1, min(window, longest - 1) + 1):
        before, after = item[:-gap], item[gap:]
        pair = (user[gap:] == user[:-gap]) & (before != after)
        yield gap, before[pair], after[pair]

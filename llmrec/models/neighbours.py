"""Neighbours: each item of a history votes for others, with sparse item-item weights.

`ItemKNN`'s are cosines of who took what, `TransitionKNN`'s how often one item soon followed
another, `TextKNN`'s cosines of texts. The last two read the order of a history.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec.data import History, Split, histories_of, in_order
from llmrec.models.base import Features, FromHistory, check, check_vectors, rows_of, top_k
from llmrec.vectors import unit_rows

WEIGHTINGS = ("none", "tfidf", "bm25")
ROWS = 1024  # items compared with all others at once
K, B = 1.2, 0.75  # of BM25: how soon repetition saturates, how much length is discounted


@dataclass(eq=False, repr=False)
class ItemKNN(FromHistory):
    """Sum, over the history, the shrunk cosine between items: ``s(u, i) = Σ_j x_uj S_ji``.

    ``S_ji = ⟨w_j, w_i⟩ / (‖w_j‖ ‖w_i‖ + shrinkage)`` for columns ``w`` of the weighted train
    matrix, ``S_ii = 0``, and only the ``neighbours`` largest entries of each column are kept (ties
    go to the smaller item code). Where user ``u`` took item ``i``, the weight is

    - ``"none"``: ``w_ui = 1``;
    - ``"tfidf"``: ``w_ui = idf_u = ln(n_items / (1 + n_u))`` for a user of ``n_u`` items: those who
      take everything tell little;
    - ``"bm25"``: ``w_ui = idf_u (k + 1) / (k (1 - b + b n_i / n̄) + 1)`` for an item of ``n_i``
      users, ``n̄`` on average, with k = 1.2 and b = 0.75, and ``S_ji = ⟨w_j, w_i⟩``: it discounts
      popular items itself, and a cosine would cancel just that.

    Parameters
    ----------
    neighbours:
        How many neighbours each item keeps, at least 1.
    shrinkage:
        Added to the denominator, at least 0: it mistrusts cosines that rest on few users.
        ``"bm25"`` has no denominator and takes none.
    weighting:
        ``"none"``, ``"tfidf"`` or ``"bm25"``.

    Attributes
    ----------
    similarity_:
        float32 sparse ``(n_items, n_items)``; column ``i`` holds the neighbours of item ``i``.

    References
    ----------
    Deshpande and Karypis, Item-based top-N recommendation algorithms, TOIS 2004. The weightings are
    those of the library implicit: items are documents, users their words.
    """

    neighbours: int = 100
    shrinkage: float = 0.0
    weighting: str = "none"

    def _fit(self, split: Split, features: Features) -> None:
        check(
            self.neighbours >= 1 and self.shrinkage >= 0,
            f"ItemKNN: neighbours={self.neighbours} must be at least 1 and"
            f" shrinkage={self.shrinkage} at least 0",
        )
        check(
            self.weighting in WEIGHTINGS,
            f"ItemKNN: weighting={self.weighting!r} is none of {', '.join(WEIGHTINGS)}",
        )
        cosine = self.weighting != "bm25"
        check(
            cosine or not self.shrinkage,
            f"ItemKNN: shrinkage={self.shrinkage} has no denominator to go to with"
            ' weighting="bm25": leave it at 0',
        )
        x = _weighted(split.matrix("train").astype(np.float64), self.weighting)
        lengths = np.sqrt(np.asarray(x.power(2).sum(axis=0)).ravel())
        xt = x.T.tocsr()
        columns = []
        for start in range(0, split.n_items, ROWS):  # blocks bound the memory of the full product
            block = slice(start, min(start + ROWS, split.n_items))
            products = (xt @ x[:, block]).tocsc()
            owner = np.repeat(np.arange(start, block.stop), np.diff(products.indptr))
            if cosine:
                products.data /= lengths[products.indices] * lengths[owner] + self.shrinkage
            products.data[products.indices == owner] = 0.0
            columns.append(keep_largest(products, self.neighbours))
        self.similarity_ = sparse.hstack(columns, format="csr").astype(np.float32)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return (histories @ self.similarity_).toarray()


class _LatestFirst(FromHistory):
    """Neighbours for which a later item of a history counts more: ``recency^r``, see below."""

    recency: float
    histories_: sparse.csr_matrix

    def _fit(self, split: Split, features: Features) -> None:
        self._learn(split, features)
        self.histories_ = recency_weights(histories_of(split), split.n_items, self.recency)

    @abstractmethod
    def _learn(self, split: Split, features: Features) -> None:
        """Learn the item-item weights."""

    def score(self, users: np.ndarray) -> np.ndarray:
        return self._from(self.histories_[self._codes(users)])

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        rows = self._checked(histories)
        return self._from(recency_weights(rows, self.seen_.shape[1], self.recency))


@dataclass(eq=False, repr=False)
class TransitionKNN(_LatestFirst):
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
    A sequence is ordered by timestamp, then by row.
    """

    window: int = 50
    backward: float = 0.2
    shrinkage: float = 10.0
    popularity: float = 0.1
    recency: float = 0.5
    neighbours: int = 500

    def _learn(self, split: Split, features: Features) -> None:
        check(
            min(self.window, self.neighbours) >= 1,
            f"TransitionKNN: window={self.window} and neighbours={self.neighbours} must be at"
            " least 1",
        )
        check(
            min(self.backward, self.shrinkage, self.popularity) >= 0,
            f"TransitionKNN: backward={self.backward}, shrinkage={self.shrinkage} and"
            f" popularity={self.popularity} must be at least 0",
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

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return (histories @ self.transitions_).toarray()


@dataclass(eq=False, repr=False)
class TextKNN(_LatestFirst):
    """Sum, over a history with the latest item first, a sharpened cosine between texts.

    ``s(u, j) = Σ_r recency^r K[i_r, j]``, where ``i_0`` is the latest item of ``u``,
    ``K_ij = max(0, cos(t_i, t_j))^power``, ``K_ii = 0``, and only the ``neighbours`` largest
    entries of each row are kept (ties go to the smaller item code). The power decides between the
    mean of a taste (1, where `TextSimilarity` stands) and its single nearest items (large).

    Parameters
    ----------
    power:
        Sharpens the cosine, > 0.
    recency:
        Weight of an item over that of the next later one, in (0, 1]; 1 forgets the order.
    neighbours:
        How many items each item votes for, at least 1.

    Attributes
    ----------
    similarity_:
        float32 sparse ``(n_items, n_items)``, ``K``: from an item to those that it votes for.
    histories_:
        float32 sparse ``(n_users, n_items)``, ``recency^r`` of each item in ``split.history``.

    Notes
    -----
    Requires ``Features(items=...)`` and learns nothing: cold items are scored like any other.
    """

    power: float = 3.0
    recency: float = 1.0
    neighbours: int = 500

    def _learn(self, split: Split, features: Features) -> None:
        check(
            self.power > 0 and self.neighbours >= 1,
            f"TextKNN: power={self.power} must be positive and neighbours={self.neighbours} at"
            " least 1",
        )
        text = unit_rows(check_vectors(features.items, split.n_items, "items", "TextKNN"))
        rows = [
            _nearest(text, slice(start, min(start + ROWS, len(text))), self.neighbours)
            for start in range(0, len(text), ROWS)
        ]
        self.similarity_ = sparse.vstack(rows, format="csr").power(self.power)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return (histories @ self.similarity_).toarray()


def recency_weights(
    histories: Sequence[History], n_items: int, recency: float
) -> sparse.csr_matrix:
    """Return ``recency^r`` for the item ``r`` places before the latest of each history.

    float32 ``(m, n_items)``; of an item taken several times the latest place counts. ValueError
    when ``recency`` is not in (0, 1].
    """
    check(0 < recency <= 1, f"recency={recency} is not in (0, 1]: 1 forgets the order")
    items, weights = [], []
    for history in histories:
        taken, age = np.unique(history.items[::-1], return_index=True)  # the first is the latest
        items.append(taken)
        weights.append(recency ** age.astype(np.float64))
    return rows_of(items, weights, n_items)


def _weighted(x: sparse.csr_matrix, weighting: str) -> sparse.csc_matrix:
    """Return the binary matrix with its ones weighted, see `ItemKNN`."""
    if weighting != "none":
        n_user, n_item = x.getnnz(axis=1), x.getnnz(axis=0)
        x = sparse.diags(np.log(x.shape[1] / (1 + n_user))) @ x
        if weighting == "bm25":
            length = 1 - B + B * n_item / n_item.mean()
            x = x @ sparse.diags((K + 1) / (K * length + 1))
        x.eliminate_zeros()  # of users whose idf is 0: nothing may be divided by their length
    return x.tocsc()


def keep_largest(matrix: sparse.csc_matrix, k: int) -> sparse.csc_matrix:
    """Return the matrix with the ``k`` largest entries of each column; ties to smaller rows."""
    matrix.eliminate_zeros()
    matrix.sort_indices()
    size = np.diff(matrix.indptr)
    column = np.repeat(np.arange(matrix.shape[1]), size)
    crowded = np.flatnonzero(size[column] > k)  # of the others nothing goes
    order = crowded[np.argsort(-matrix.data[crowded], kind="stable")]  # of equals the smaller row
    order = order[np.argsort(column[order], kind="stable")]  # columns in turn, the largest first
    rank = np.arange(len(order)) - np.searchsorted(column[order], column[order])
    matrix.data[order[rank >= k]] = 0.0
    matrix.eliminate_zeros()
    return matrix


def _nearest(text: np.ndarray, block: slice, k: int) -> sparse.csr_matrix:
    """Return the ``k`` largest positive cosines of some unit rows to all others."""
    cosine = text[block] @ text.T
    cosine[np.arange(len(cosine)), np.arange(block.start, block.stop)] = -np.inf
    cosine[cosine <= 0] = -np.inf
    items, values = top_k(cosine, min(k, len(text)))
    kept = items >= 0
    rows = np.nonzero(kept)[0]
    return sparse.csr_matrix((values[kept], (rows, items[kept])), cosine.shape)


def _pairs(events: pd.DataFrame, window: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield each gap with the items before and after it; an item does not follow itself."""
    ordered = in_order(events)
    user, item = ordered["user"].to_numpy(), ordered["item"].to_numpy()
    longest = int(np.bincount(user).max())
    for gap in range(1, min(window, longest - 1) + 1):
        before, after = item[:-gap], item[gap:]
        pair = (user[gap:] == user[:-gap]) & (before != after)
        yield gap, before[pair], after[pair]

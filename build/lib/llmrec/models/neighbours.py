"""Item-based nearest neighbours: recommend what resembles the history in who took it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender

WEIGHTINGS = ("none", "tfidf", "bm25")
K, B = 1.2, 0.75  # of BM25: how soon repetition saturates, how much length is discounted


class ItemKNN(Recommender):
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

    similarity_: sparse.csr_matrix

    def __init__(
        self, neighbours: int = 100, shrinkage: float = 0.0, weighting: str = "none"
    ) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.weighting = weighting

    def _fit(self, split: Split, features: Features) -> None:
        if self.neighbours < 1 or self.shrinkage < 0:
            raise ValueError(
                f"ItemKNN: neighbours={self.neighbours} must be at least 1 and"
                f" shrinkage={self.shrinkage} at least 0"
            )
        if self.weighting not in WEIGHTINGS:
            raise ValueError(
                f"ItemKNN: weighting={self.weighting!r} is none of {', '.join(WEIGHTINGS)}"
            )
        cosine = self.weighting != "bm25"
        if self.shrinkage and not cosine:
            raise ValueError(
                f"ItemKNN: shrinkage={self.shrinkage} has no denominator to go to with"
                ' weighting="bm25": leave it at 0'
            )
        x = _weighted(split.matrix("train").astype(np.float64), self.weighting)
        lengths = np.sqrt(np.asarray(x.power(2).sum(axis=0)).ravel())
        xt = x.T.tocsr()
        columns = []
        for start in range(0, split.n_items, 1024):  # blocks bound the memory of the full product
            block = slice(start, min(start + 1024, split.n_items))
            products = (xt @ x[:, block]).tocsc()
            owner = np.repeat(np.arange(start, block.stop), np.diff(products.indptr))
            if cosine:
                products.data /= lengths[products.indices] * lengths[owner] + self.shrinkage
            products.data[products.indices == owner] = 0.0
            columns.append(keep_largest(products, self.neighbours))
        self.similarity_ = sparse.hstack(columns, format="csr").astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return (self._histories(histories) @ self.similarity_).toarray()


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

"""Item-based nearest neighbours: recommend what resembles the history in who took it.

Introduced in chapter 4.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender


class ItemKNN(Recommender):
    """Sum, over the history, the shrunk cosine between items: ``s(u, i) = Σ_j x_uj S_ji``.

    ``S_ji = ⟨x_j, x_i⟩ / (‖x_j‖ ‖x_i‖ + shrinkage)`` for columns ``x`` of the binary train matrix,
    ``S_ii = 0``, and only the ``neighbours`` largest entries of each column are kept (ties go to
    the smaller item code).

    Parameters
    ----------
    neighbours:
        How many neighbours each item keeps, at least 1.
    shrinkage:
        Added to the denominator, at least 0: it mistrusts cosines that rest on few users.

    Attributes
    ----------
    similarity_:
        float32 sparse ``(n_items, n_items)``; column ``i`` holds the neighbours of item ``i``.

    References
    ----------
    Deshpande and Karypis, Item-based top-N recommendation algorithms, TOIS 2004.

    Notes
    -----
    Introduced in chapter 4.
    """

    similarity_: sparse.csr_matrix

    def __init__(self, neighbours: int = 100, shrinkage: float = 0.0) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage

    def _fit(self, split: Split, features: Features) -> None:
        if self.neighbours < 1 or self.shrinkage < 0:
            raise ValueError(
                f"ItemKNN: neighbours={self.neighbours} must be at least 1 and"
                f" shrinkage={self.shrinkage} at least 0"
            )
        x = split.matrix("train").astype(np.float64).tocsc()
        lengths = np.sqrt(np.asarray(x.sum(axis=0)).ravel())  # the norm of a binary column
        xt = x.T.tocsr()
        columns = []
        for start in range(0, split.n_items, 1024):  # blocks bound the memory of the full product
            block = slice(start, min(start + 1024, split.n_items))
            cosine = (xt @ x[:, block]).tocsc()
            owner = np.repeat(np.arange(start, block.stop), np.diff(cosine.indptr))
            cosine.data /= lengths[cosine.indices] * lengths[owner] + self.shrinkage
            cosine.data[cosine.indices == owner] = 0.0
            columns.append(_keep_largest(cosine, self.neighbours))
        self.similarity_ = sparse.hstack(columns, format="csr").astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return (self._histories(histories) @ self.similarity_).toarray()


def _keep_largest(matrix: sparse.csc_matrix, k: int) -> sparse.csc_matrix:
    """Return the matrix with the ``k`` largest entries of each column; ties to smaller rows."""
    matrix.eliminate_zeros()
    matrix.sort_indices()
    owner = np.repeat(np.arange(matrix.shape[1]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, owner))
    rank = np.arange(len(order)) - matrix.indptr[owner]  # owner is sorted, so order keeps it
    kept = np.sort(order[rank < k])
    cells = (matrix.data[kept], (matrix.indices[kept], owner[kept]))
    return sparse.csc_matrix(cells, shape=matrix.shape)

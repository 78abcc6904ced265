"""Text neighbours: each item of a history votes for the items whose text is nearest to its own."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender, check_vectors, top_k
from llmrec.models.transition import recency_weights
from llmrec.vectors import unit_rows

ROWS = 1024  # items compared with all others at once


class TextKNN(Recommender):
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

    similarity_: sparse.csr_matrix
    histories_: sparse.csr_matrix

    reads_order = True

    def __init__(self, power: float = 3.0, recency: float = 1.0, neighbours: int = 500) -> None:
        self.power = power
        self.recency = recency
        self.neighbours = neighbours

    def _fit(self, split: Split, features: Features) -> None:
        if not self.power > 0 or self.neighbours < 1:
            raise ValueError(
                f"TextKNN: power={self.power} must be positive and neighbours={self.neighbours} at"
                " least 1"
            )
        text = unit_rows(check_vectors(features.items, split.n_items, "items", "TextKNN"))
        rows = [
            _nearest(text, slice(start, min(start + ROWS, len(text))), self.neighbours)
            for start in range(0, len(text), ROWS)
        ]
        self.similarity_ = sparse.vstack(rows, format="csr").power(self.power)
        self.histories_ = recency_weights(split, self.recency)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.histories_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return scores for histories whose entries stand for ``recency^r``.

        A binary matrix has no order: every item then counts as if it were the latest.
        """
        return (self._histories(histories) @ self.similarity_).toarray()


def _nearest(text: np.ndarray, block: slice, k: int) -> sparse.csr_matrix:
    """Return the ``k`` largest positive cosines of some unit rows to all others."""
    cosine = text[block] @ text.T
    cosine[np.arange(len(cosine)), np.arange(block.start, block.stop)] = -np.inf
    cosine[cosine <= 0] = -np.inf
    items, values = top_k(cosine, min(k, len(text)))
    kept = items >= 0
    rows = np.nonzero(kept)[0]
    return sparse.csr_matrix((values[kept], (rows, items[kept])), cosine.shape)

"""NeighbourBridge: learn from text who shares readers, for catalogues too large for EASE."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender, check_vectors
from llmrec.models.bridge import text_map
from llmrec.models.neighbours import ItemKNN


class NeighbourBridge(Recommender):
    """Predict an item's column of `ItemKNN` from its text by ridge: ``s(u, i) = x_u W t̃_i``.

    With ``S`` the similarities of ItemKNN, ``T̃`` the warm items' centred text vectors and α the
    ridge, ``W = S T̃ (T̃ᵀT̃ + αI)⁻¹``, ``(n_items, d)``. It is `Bridge` with a sparse ``S`` in place
    of EASE's dense weights: nothing of size ``n_items²`` is held. Centring adds to a user's scores
    one constant, which no ranking sees.

    Parameters
    ----------
    neighbours, shrinkage:
        Those of ItemKNN.
    alpha:
        Ridge α > 0 of the text regression.

    Attributes
    ----------
    map_:
        float32 ``(n_items, d)``, ``W``.
    items_:
        float32 ``(n_items, d)``, all items' text vectors minus the warm items' mean.

    Notes
    -----
    Requires ``Features(items=...)``; cold items are scored like any other.
    """

    map_: np.ndarray
    items_: np.ndarray

    def __init__(self, neighbours: int = 500, shrinkage: float = 0.0, alpha: float = 1.0) -> None:
        self.neighbours = neighbours
        self.shrinkage = shrinkage
        self.alpha = alpha

    def _fit(self, split: Split, features: Features) -> None:
        text = check_vectors(features.items, split.n_items, "items", "NeighbourBridge")
        similarity = ItemKNN(self.neighbours, self.shrinkage).fit(split).similarity_
        warm = np.setdiff1d(np.arange(split.n_items), split.cold_items)
        mapping, rows = text_map(similarity, text, warm, self.alpha, "NeighbourBridge")
        self.map_ = mapping.astype(np.float32)
        self.items_ = rows.astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(self._histories(histories) @ self.map_ @ self.items_.T, np.float32)

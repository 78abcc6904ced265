"""Bridge: learn from the warm items how text maps to collaborative taste, then cross to cold items.

Introduced in chapter 4.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender, check_vectors
from llmrec.models.ease import ease_weights


class Bridge(Recommender):
    """Predict an item's EASE column from its text by ridge regression: ``s(u, i) = x_u W t̃_i``.

    With ``B`` the EASE weights of the warm items, ``T̃`` their centred text vectors and α the ridge,
    ``W = B T̃ (T̃ᵀT̃ + αI)⁻¹``, ``(n_items, d)``. Because ``x_u B`` are the EASE scores, this is at
    once the ridge regression of each user's EASE scores on text. Centring adds to a user's scores
    one constant, which no ranking sees.

    Parameters
    ----------
    l2:
        λ of EASE, > 0.
    alpha:
        Ridge α > 0 of the text regression.
    keep_warm:
        Give warm items their own EASE column, so that text speaks for cold items only.

    Attributes
    ----------
    map_:
        float32 ``(n_items, d)``, ``W``.
    weights_:
        float32 ``(n_items, n_items)``, what histories are multiplied with.

    Notes
    -----
    Requires ``Features(items=...)``. Introduced in chapter 4.
    """

    map_: np.ndarray
    weights_: np.ndarray

    def __init__(self, l2: float = 300.0, alpha: float = 3.0, keep_warm: bool = False) -> None:
        self.l2 = l2
        self.alpha = alpha
        self.keep_warm = keep_warm

    def _fit(self, split: Split, features: Features) -> None:
        if not self.alpha > 0:
            raise ValueError(f"Bridge: alpha={self.alpha} must be positive")
        text = check_vectors(features.items, split.n_items, "items", "Bridge").astype(np.float64)
        x = split.matrix("train")
        warm = np.flatnonzero(np.asarray(x.sum(axis=0)).ravel())
        ease = ease_weights(x, self.l2)
        text = text - text[warm].mean(axis=0)
        gram = text[warm].T @ text[warm] + self.alpha * np.eye(text.shape[1])
        mapping = linalg.solve(gram, text[warm].T @ ease[:, warm].T, assume_a="pos").T  # (n, d)
        weights = mapping @ text.T
        if self.keep_warm:
            weights[:, warm] = ease[:, warm]
        self.map_ = mapping.astype(np.float32)
        self.weights_ = weights.astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(self._histories(histories) @ self.weights_, np.float32)

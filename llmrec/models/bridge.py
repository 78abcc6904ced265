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
    ``W = B T̃ (T̃ᵀT̃ + αI)⁻¹ = B (T̃T̃ᵀ + αI)⁻¹ T̃``, ``(n_items, d)``; the smaller inverse is
    taken. Because ``x_u B`` are the EASE scores, this is at once the ridge regression of each
    user's EASE scores on text. Centring adds to a user's scores one constant, which no ranking
    sees. Several descriptions of an item go side by side, ``[T₁ T₂ …]``: their kernels ``T̃T̃ᵀ``
    then add up, so a block speaks in proportion to its squared length.

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
        text = check_vectors(features.items, split.n_items, "items", "Bridge")
        x = split.matrix("train")
        ease = ease_weights(x, self.l2)
        mapping, weights = read_weights(ease, x, text, self.alpha)
        if self.keep_warm:
            warm = x.getnnz(axis=0) > 0
            weights[:, warm] = ease[:, warm]
        self.map_ = mapping.astype(np.float32)
        self.weights_ = weights.astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(self._histories(histories) @ self.weights_, np.float32)


def read_weights(
    ease: np.ndarray, x: sparse.csr_matrix, text: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``W (n_items, d)`` and ``W T̃ᵀ (n_items, n_items)``, float64, as `Bridge` defines them.

    The items that ``x`` holds are the warm ones; ``ease`` are their EASE weights.
    """
    if not alpha > 0:
        raise ValueError(f"Bridge: alpha={alpha} must be positive")
    warm = np.flatnonzero(x.getnnz(axis=0))
    centred = text.astype(np.float64)
    centred -= centred[warm].mean(axis=0)
    mapping = _ridge(centred[warm], ease[:, warm].T, alpha).T
    return mapping, mapping @ centred.T


def _ridge(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """Return ``(xᵀx + αI)⁻¹ xᵀy``, ``(d, m)``, by the smaller of the two equal inverses."""
    n, d = x.shape
    if d <= n:
        return linalg.solve(x.T @ x + alpha * np.eye(d), x.T @ y, assume_a="pos")
    return x.T @ linalg.solve(x @ x.T + alpha * np.eye(n), y, assume_a="pos")

"""Bridge: learn from the warm items how text maps to collaborative taste, then cross to
cold items.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender, check_vectors
from llmrec.models.ease import ease_weights
from llmrec.models.text_similarity import centred

SPARSE = 0.1  # share of entries other than 0 below which a table of texts counts as sparse


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
    Requires ``Features(items=...)``.
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
        warm = np.flatnonzero(x.getnnz(axis=0))
        mapping, rows = text_map(ease, text, warm, self.alpha)
        weights = mapping @ rows.T
        if self.keep_warm:
            weights[:, warm] = ease[:, warm]
        self.map_ = mapping.astype(np.float32)
        self.weights_ = weights.astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(self._histories(histories) @ self.weights_, np.float32)


def text_map(
    weights: np.ndarray | sparse.csr_matrix,
    text: np.ndarray,
    warm: np.ndarray,
    alpha: float,
    model: str = "Bridge",
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``W = B T̃ (T̃ᵀT̃ + αI)⁻¹ (n_items, d)`` and all of ``T̃ (n_items, d)``, float64.

    Parameters
    ----------
    weights:
        B ``(n_items, n_items)``, dense or sparse; its warm columns are read.
    text:
        ``(n_items, d)``; T̃ is it minus the mean of the warm rows with a text. A row without, all
        zero, stays zero.
    warm:
        Codes of the items to learn from.
    alpha:
        Ridge α > 0.
    model:
        Whom an error names.

    Raises
    ------
    ValueError
        When ``alpha`` is not positive.
    """
    if not alpha > 0:
        raise ValueError(f"{model}: alpha={alpha} must be positive")
    known = np.zeros(len(text), bool)
    known[warm] = True
    rows = centred(text.astype(np.float64), known)
    x, weights = rows[warm], weights[:, warm]
    n, d = x.shape
    if d <= n:  # the smaller of two equal inverses
        product = _product(weights, text[warm], x)
        taken = np.flatnonzero(product.any(axis=1))  # the rows of items that nobody took are zero
        solved = linalg.solve(x.T @ x + alpha * np.eye(d), product[taken].T, assume_a="pos")
        mapping = np.zeros_like(product)
        mapping[taken] = solved.T
    else:
        mapping = weights @ linalg.solve(x @ x.T + alpha * np.eye(n), x, assume_a="pos")
    return mapping, rows


def _product(
    weights: np.ndarray | sparse.csr_matrix, text: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Return ``B T̃``; of sparse B and texts that are mostly zeros as ``B T - (B s) μᵀ``.

    ``s`` is one for the rows with a text, and ``μ`` their mean: so the product stays sparse.
    """
    filled = np.count_nonzero(text) / text.size
    if not (sparse.issparse(weights) and 0 < filled <= SPARSE):
        return weights @ rows
    said = (text != 0).any(axis=1)
    product = (weights @ sparse.csr_matrix(text, dtype=np.float64)).toarray()
    product -= np.outer(weights @ said.astype(np.float64), text[said].mean(axis=0, dtype=float))
    return product

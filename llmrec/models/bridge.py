"""Bridges: learn from the warm items how text maps to collaborative taste, then cross to cold ones.

`Bridge` predicts EASE's weights, `NeighbourBridge` the sparse ones of ItemKNN, and `TextEASE` takes
what a bridge predicts as the prior mean of EASE itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, FromHistory, check, check_vectors
from llmrec.models.ease import EASE, ease_inverse, ease_weights, weights_of
from llmrec.models.neighbours import ItemKNN
from llmrec.vectors import centred

SPARSE = 0.1  # share of entries other than 0 below which a table of texts counts as sparse


@dataclass(eq=False, repr=False)
class Bridge(FromHistory):
    """Predict an item's EASE column from its text by ridge regression: ``s(u, i) = x_u W t̃_i``.

    With ``B`` the EASE weights of the warm items, ``T̃`` their centred text vectors and α the
    ``text_l2``, ``W = B T̃ (T̃ᵀT̃ + αI)⁻¹ = B (T̃T̃ᵀ + αI)⁻¹ T̃``, ``(n_items, d)``; the smaller
    inverse is taken. Because ``x_u B`` are the EASE scores, this is at once the ridge regression of
    each user's EASE scores on text. Centring adds to a user's scores one constant, which no ranking
    sees. Several descriptions of an item go side by side, ``[T₁ T₂ …]``: their kernels ``T̃T̃ᵀ``
    then add up, so a block speaks in proportion to its squared length.

    Parameters
    ----------
    l2:
        λ of EASE, > 0.
    text_l2:
        α > 0 of the text regression.
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

    l2: float = 300.0
    text_l2: float = 3.0
    keep_warm: bool = False

    def _fit(self, split: Split, features: Features, inverse: np.ndarray | None = None) -> None:
        text = check_vectors(features.items, split.n_items, "items", "Bridge")
        x = split.matrix("train")
        ease = ease_weights(x, self.l2, inverse)
        warm = np.flatnonzero(x.getnnz(axis=0))
        mapping, rows = text_map(ease, text, warm, self.text_l2)
        weights = mapping @ rows.T
        if self.keep_warm:
            weights[:, warm] = ease[:, warm]
        self.map_ = mapping.astype(np.float32)
        self.weights_ = weights.astype(np.float32)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(histories @ self.weights_, np.float32)


@dataclass(eq=False, repr=False)
class NeighbourBridge(FromHistory):
    """Predict an item's column of `ItemKNN` from its text by ridge: ``s(u, i) = x_u W t̃_i``.

    With ``S`` the similarities of ItemKNN, ``T̃`` the warm items' centred text vectors and α the
    ``text_l2``, ``W = S T̃ (T̃ᵀT̃ + αI)⁻¹``, ``(n_items, d)``. It is `Bridge` with a sparse ``S`` in
    place of EASE's dense weights: nothing of size ``n_items²`` is held.

    Parameters
    ----------
    neighbours, shrinkage:
        Those of ItemKNN.
    text_l2:
        α > 0 of the text regression.

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

    neighbours: int = 500
    shrinkage: float = 0.0
    text_l2: float = 1.0

    def _fit(self, split: Split, features: Features) -> None:
        text = check_vectors(features.items, split.n_items, "items", "NeighbourBridge")
        similarity = ItemKNN(self.neighbours, self.shrinkage).fit(split).similarity_
        warm = np.setdiff1d(np.arange(split.n_items), split.cold_items)
        mapping, rows = text_map(similarity, text, warm, self.text_l2, "NeighbourBridge")
        self.map_ = mapping.astype(np.float32)
        self.items_ = rows.astype(np.float32)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(histories @ self.map_ @ self.items_.T, np.float32)


@dataclass(eq=False, repr=False)
class TextEASE(EASE):
    """Reconstruct each item from the others, with text as the prior mean: ``s(u, ·) = x_u B``.

    ``B = argmin ‖X − XB‖² + λ‖B − ωB₀‖²`` subject to ``diag(B) = 0``, where ``B₀`` are the weights
    that a `Bridge` reads from the text. With ``P = (XᵀX + λI)⁻¹`` and ``D = ωλPB₀``,

        ``B = I + D − P diag(γ)``, ``γ_j = (1 + D_jj) / P_jj``.

    ``ω = 0`` is `EASE`. Items without train rows are no part of the loss, for an empty column would
    say that nobody wants them: they keep their prior mean ``ωB₀``, and rank as in `Bridge`.

    Parameters
    ----------
    l2:
        λ > 0 of EASE: of ``B₀`` and of the model itself.
    text_l2:
        α > 0 of the text regression that gives ``B₀``, as in `Bridge`.
    weight:
        ω ≥ 0, how far the prior mean is trusted.

    Attributes
    ----------
    weights_:
        float32 ``(n_items, n_items)``, ``B``.

    References
    ----------
    Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019, for the closed form under
    ``diag(B) = 0``, here with a prior mean. Jeunen, Van Balen and Goethals, Closed-form models for
    collaborative filtering with side-information, RecSys 2020, add the text to ``XᵀX`` instead,
    which leaves cold items to the text's own cosines.

    Notes
    -----
    Requires ``Features(items=...)``.
    """

    l2: float = 500.0
    text_l2: float = 3.0
    weight: float = 1.0

    def _fit(self, split: Split, features: Features, inverse: np.ndarray | None = None) -> None:
        check(self.weight >= 0, f"TextEASE: weight={self.weight} must be at least 0")
        text = check_vectors(features.items, split.n_items, "items", "TextEASE")
        x = split.matrix("train")
        inverse = ease_inverse(x, self.l2) if inverse is None else inverse
        warm = np.flatnonzero(x.getnnz(axis=0))
        mapping, rows = text_map(weights_of(inverse), text, warm, self.text_l2, "TextEASE")
        prior = mapping @ rows.T
        # At the minimum (XᵀX + λI) B = XᵀX + λωB₀ − diag(μ) with the multipliers μ of diag(B) = 0,
        # so B = I + D − P diag(γ) with γ = λ + μ, and the zero diagonal gives γ.
        shift = self.weight * self.l2 * (inverse @ prior)
        gamma = (1 + np.diag(shift)) / np.diag(inverse)
        weights = shift - inverse * gamma
        weights[:, split.cold_items] = self.weight * prior[:, split.cold_items]
        np.fill_diagonal(weights, 0.0)
        self.weights_ = weights.astype(np.float32)


def text_map(
    weights: np.ndarray | sparse.csr_matrix,
    text: np.ndarray,
    warm: np.ndarray,
    text_l2: float,
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
    text_l2:
        α > 0.
    model:
        Whom an error names.

    Raises
    ------
    ValueError
        When ``text_l2`` is not positive.
    """
    check(text_l2 > 0, f"{model}: text_l2={text_l2} must be positive")
    known = np.zeros(len(text), bool)
    known[warm] = True
    rows = centred(text.astype(np.float64), warm=known)
    x, weights = rows[warm], weights[:, warm]
    n, d = x.shape
    if d <= n:  # the smaller of two equal inverses
        product = _product(weights, text[warm], x)
        taken = np.flatnonzero(product.any(axis=1))  # the rows of items that nobody took are zero
        solved = linalg.solve(x.T @ x + text_l2 * np.eye(d), product[taken].T, assume_a="pos")
        mapping = np.zeros_like(product)
        mapping[taken] = solved.T
    else:
        mapping = weights @ linalg.solve(x @ x.T + text_l2 * np.eye(n), x, assume_a="pos")
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

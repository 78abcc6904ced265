"""TextEASE: EASE that shrinks towards what the text predicts, instead of towards zero."""

from __future__ import annotations

import numpy as np

from llmrec.data import Split
from llmrec.models.base import Features, check_vectors
from llmrec.models.bridge import text_map
from llmrec.models.ease import EASE, ease_inverse, weights_of


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
    alpha:
        Ridge α > 0 of the text regression that gives ``B₀``, as in `Bridge`.
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

    def __init__(self, l2: float = 500.0, alpha: float = 3.0, weight: float = 1.0) -> None:
        self.l2 = l2
        self.alpha = alpha
        self.weight = weight

    def _fit(self, split: Split, features: Features) -> None:
        if not self.weight >= 0:
            raise ValueError(f"TextEASE: weight={self.weight} must be at least 0")
        text = check_vectors(features.items, split.n_items, "items", "TextEASE")
        x = split.matrix("train")
        inverse = ease_inverse(x, self.l2)
        warm = np.flatnonzero(x.getnnz(axis=0))
        mapping, rows = text_map(weights_of(inverse), text, warm, self.alpha, "TextEASE")
        prior = mapping @ rows.T
        shift = self.weight * self.l2 * (inverse @ prior)
        gamma = (1 + np.diag(shift)) / np.diag(inverse)
        weights = shift - inverse * gamma
        weights[:, split.cold_items] = self.weight * prior[:, split.cold_items]
        np.fill_diagonal(weights, 0.0)
        self.weights_ = weights.astype(np.float32)

"""PureSVD: the oldest factorisation of all, still a fair baseline."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds

from llmrec.data import Split
from llmrec.models.base import Features, Recommender


class PureSVD(Recommender):
    """Project each history onto the leading item directions: ``s(u, ·) = x_u V Vᵀ``.

    ``X ≈ U Σ Vᵀ`` is the truncated singular value decomposition of the binary train matrix, absent
    cells being zeros, so that ``x_u V = u_u Σ`` and a user needs nothing but a history.

    Parameters
    ----------
    factors:
        Number of singular vectors, at least 1 and below both sides of the matrix.

    Attributes
    ----------
    item_factors_:
        float32 ``(n_items, factors)``, ``V``; the row of a cold item is zero.

    References
    ----------
    Cremonesi, Koren and Turrin, Performance of recommender algorithms on top-N recommendation
    tasks, RecSys 2010.

    Notes
    -----
    The decomposition is exact (ARPACK), not randomised, so that there is no seed.
    """

    item_factors_: np.ndarray

    def __init__(self, factors: int = 15) -> None:
        self.factors = factors

    def _fit(self, split: Split, features: Features) -> None:
        x = split.matrix("train").astype(np.float64)
        most = min(x.shape) - 1
        if not 1 <= self.factors <= most:
            raise ValueError(f"PureSVD: factors={self.factors} must lie between 1 and {most}")
        # A fixed start vector: ARPACK's own is random, and the last bits would follow it.
        start = np.ones(min(x.shape))
        _, _, vt = svds(x, self.factors, v0=start, return_singular_vectors="vh")
        self.item_factors_ = vt.T.astype(np.float32)
        self.item_factors_[split.cold_items] = 0.0  # zero already, but for rounding

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(
            (self._histories(histories) @ self.item_factors_) @ self.item_factors_.T, np.float32
        )

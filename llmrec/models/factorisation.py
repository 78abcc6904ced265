"""Matrix factorisation: least squares and BPR through the ``implicit`` library, and plain SVD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds
from threadpoolctl import threadpool_limits

from llmrec import config
from llmrec.data import History, Split
from llmrec.models.base import Features, FromHistory, Recommender, check


class _Factorisation(Recommender):
    """Scores are inner products of learned user and item factors."""

    user_factors_: np.ndarray
    item_factors_: np.ndarray

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.user_factors_[self._codes(users)] @ self.item_factors_.T


@dataclass(eq=False, repr=False)
class ALS(_Factorisation):
    """Weighted matrix factorisation of implicit feedback: ``s(u, i) = ⟨p_u, q_i⟩``.

    Minimises ``Σ_ui c_ui (x_ui − ⟨p_u, q_i⟩)² + λ (Σ_u ‖p_u‖² + Σ_i ‖q_i‖²)`` over *all* cells,
    with ``c_ui = α`` where ``x_ui = 1`` and 1 elsewhere, by solving for users and items in turn.

    Parameters
    ----------
    factors:
        Dimension of the factors.
    l2:
        λ.
    confidence:
        α, the confidence in an observed cell.
    iterations:
        Rounds over users and items.
    seed:
        Of the initial factors.

    Attributes
    ----------
    user_factors_, item_factors_:
        float32 ``(n_users, factors)`` and ``(n_items, factors)``; zero rows for the cold.

    References
    ----------
    Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
    """

    factors: int = 32
    l2: float = 20.0
    confidence: float = 2.0
    iterations: int = 15
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        _check_positive(
            "ALS", factors=self.factors, confidence=self.confidence, iterations=self.iterations
        )
        with threadpool_limits(1, "blas"):
            model = self._solver()
            model.fit(split.matrix("train"), show_progress=False)
        self.user_factors_, self.item_factors_ = model.user_factors, model.item_factors

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Solve for the factors of unseen users with the item factors held fixed."""
        matrix = self._matrix(histories)
        with threadpool_limits(1, "blas"):
            model = self._solver()
            model.user_factors, model.item_factors = self.user_factors_, self.item_factors_
            factors = model.recalculate_user(np.arange(matrix.shape[0]), matrix)
        return factors @ self.item_factors_.T

    def _solver(self) -> Any:
        """Return implicit's object. It runs its own threads over rows: leave one to BLAS.

        BLAS threads under its own are up to 10 times slower, and it warns of them.
        """
        from implicit.cpu.als import AlternatingLeastSquares

        return AlternatingLeastSquares(
            factors=self.factors,
            regularization=self.l2,
            alpha=self.confidence,
            iterations=self.iterations,
            num_threads=config.threads(),
            random_state=self.seed,
        )


@dataclass(eq=False, repr=False)
class BPR(_Factorisation):
    """Factorisation that learns to order pairs: ``s(u, i) = ⟨p_u, q_i⟩ + b_i``.

    Minimises ``Σ −log σ(s(u, i) − s(u, j)) + λ‖θ‖²`` over taken items ``i`` and sampled items ``j``
    that the user did not take, by stochastic gradient descent on one thread (more would race, and
    two runs would differ). ``implicit`` draws ``j`` in proportion to its popularity, which punishes
    popular items more than uniform sampling does: `TwoTower` with ``loss="bpr"`` draws uniformly.

    Parameters
    ----------
    factors, l2, iterations, seed:
        As in `ALS`; an iteration draws one pair for each train interaction.
    lr:
        Step of the gradient descent.

    Attributes
    ----------
    user_factors_, item_factors_:
        float32 ``(n_users, factors + 1)`` and ``(n_items, factors + 1)``; the last column holds 1
        for users and the bias for items. Cold rows are zero but for the users' 1.

    References
    ----------
    Rendle et al., BPR: Bayesian personalized ranking from implicit feedback, UAI 2009.
    """

    factors: int = 32
    lr: float = 0.01
    l2: float = 0.01
    iterations: int = 30
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        _check_positive("BPR", factors=self.factors, lr=self.lr, iterations=self.iterations)
        train = split.matrix("train")
        with threadpool_limits(1, "blas"):
            model = BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.lr,
                regularization=self.l2,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(train, show_progress=False)
        self.user_factors_ = model.user_factors
        self.item_factors_ = model.item_factors


@dataclass(eq=False, repr=False)
class PureSVD(FromHistory):
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

    factors: int = 15

    def _fit(self, split: Split, features: Features) -> None:
        x = split.matrix("train").astype(np.float64)
        most = min(x.shape) - 1
        check(
            1 <= self.factors <= most,
            f"PureSVD: factors={self.factors} must lie between 1 and {most}",
        )
        # A fixed start vector: ARPACK's own is random, and the last bits would follow it.
        start = np.ones(min(x.shape))
        _, _, vt = svds(x, self.factors, v0=start, return_singular_vectors="vh")
        self.item_factors_ = vt.T.astype(np.float32)
        self.item_factors_[split.cold_items] = 0.0  # zero already, but for rounding

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray((histories @ self.item_factors_) @ self.item_factors_.T, np.float32)


def _check_positive(model: str, **values: float) -> None:
    for name, value in values.items():
        check(value > 0, f"{model}: {name}={value} must be positive")

"""Matrix factorisation through the ``implicit`` library: alternating least squares, and BPR."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from llmrec import config
from llmrec.data import Split
from llmrec.models.base import Features, Recommender


class _Factorisation(Recommender):
    """Scores are inner products of learned user and item factors."""

    user_factors_: np.ndarray
    item_factors_: np.ndarray

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.user_factors_[self._codes(users)] @ self.item_factors_.T


class ALS(_Factorisation):
    """Weighted matrix factorisation of implicit feedback: ``s(u, i) = ⟨p_u, q_i⟩``.

    Minimises ``Σ_ui c_ui (x_ui − ⟨p_u, q_i⟩)² + λ (Σ_u ‖p_u‖² + Σ_i ‖q_i‖²)`` over *all* cells,
    with ``c_ui = α`` where ``x_ui = 1`` and 1 elsewhere, by solving for users and items in turn.

    Parameters
    ----------
    factors:
        Dimension of the factors.
    regularization:
        λ.
    alpha:
        Confidence α of an observed cell.
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

    def __init__(
        self,
        factors: int = 32,
        regularization: float = 20.0,
        alpha: float = 2.0,
        iterations: int = 15,
        seed: int = 0,
    ) -> None:
        self.factors = factors
        self.regularization = regularization
        self.alpha = alpha
        self.iterations = iterations
        self.seed = seed

    def _fit(self, split: Split, features: Features) -> None:
        from implicit.cpu.als import AlternatingLeastSquares

        _check_positive("ALS", factors=self.factors, alpha=self.alpha, iterations=self.iterations)
        # implicit runs its own threads over rows: BLAS threads under them are up to 10 times slower
        with threadpool_limits(1, "blas"):
            self.model_ = AlternatingLeastSquares(
                factors=self.factors,
                regularization=self.regularization,
                alpha=self.alpha,
                iterations=self.iterations,
                num_threads=config.threads(),
                random_state=self.seed,
            )
            self.model_.fit(split.matrix("train"), show_progress=False)
        self.user_factors_ = self.model_.user_factors
        self.item_factors_ = self.model_.item_factors

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Solve for the factors of unseen users with the item factors held fixed."""
        matrix = self._histories(histories)
        with threadpool_limits(1, "blas"):
            factors = self.model_.recalculate_user(np.arange(matrix.shape[0]), matrix)
        return factors @ self.item_factors_.T


class BPR(_Factorisation):
    """Factorisation that learns to order pairs: ``s(u, i) = ⟨p_u, q_i⟩ + b_i``.

    Minimises ``Σ −log σ(s(u, i) − s(u, j)) + λ‖θ‖²`` over taken items ``i`` and sampled items ``j``
    that the user did not take, by stochastic gradient descent on one thread (more would race, and
    two runs would differ). ``implicit`` draws ``j`` in proportion to its popularity, which punishes
    popular items more than uniform sampling does: `TwoTower` with ``loss="bpr"`` draws uniformly.

    Parameters
    ----------
    factors, regularization, iterations, seed:
        As in `ALS`; an iteration draws one pair for each train interaction.
    learning_rate:
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

    def __init__(
        self,
        factors: int = 32,
        learning_rate: float = 0.01,
        regularization: float = 0.01,
        iterations: int = 30,
        seed: int = 0,
    ) -> None:
        self.factors = factors
        self.learning_rate = learning_rate
        self.regularization = regularization
        self.iterations = iterations
        self.seed = seed

    def _fit(self, split: Split, features: Features) -> None:
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        _check_positive(
            "BPR",
            factors=self.factors,
            learning_rate=self.learning_rate,
            iterations=self.iterations,
        )
        train = split.matrix("train")
        with threadpool_limits(1, "blas"):
            model = BayesianPersonalizedRanking(
                factors=self.factors,
                learning_rate=self.learning_rate,
                regularization=self.regularization,
                iterations=self.iterations,
                num_threads=1,
                random_state=self.seed,
            )
            model.fit(train, show_progress=False)
        self.user_factors_ = model.user_factors
        self.item_factors_ = model.item_factors


def _check_positive(model: str, **values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{model}: {name}={value} must be positive")

"""FeatureALS: matrix factorisation whose prior means are read from text, from cold to hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, cg

from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check, check_vectors
from llmrec.vectors import centred

CG_STEPS, CG_TOLERANCE = 200, 1e-6  # of the solve for a map: an upper bound, and when to stop


@dataclass(eq=False, repr=False)
class FeatureALS(Recommender):
    """Implicit ALS with prior means linear in the features: ``s(u, i) = ⟨p_u, q_i⟩``.

    Minimises, over users and items that have train rows,

        ``Σ_ui c_ui (x_ui − ⟨p_u, q_i⟩)² + κ_U ‖P − F_U A‖² + κ_V ‖Q − F_V B‖² + ρ (‖A‖² + ‖B‖²)``

    with ``c_ui = 1`` where ``x_ui = 1`` and α₀ elsewhere, ``F`` the features with a constant column
    beside them. Users and items are solved in turn, each side's factors *and* map together: with
    ``H_i = PᵀC_iP``, ``g_i = PᵀC_i x_i`` and the prior variance ``τ = 1/κ_V``, eliminating ``Q``
    leaves for ``B`` the least squares with weights ``M_i = (I + τH_i)⁻¹H_i``,

        ``Σ_i f_i f_iᵀ B M_i + ρB = Σ_i f_i g_iᵀ (I + τH_i)⁻¹``,

    and ``q_i = (I + τH_i)⁻¹ (Bᵀf_i + τ g_i)``: an average of prior mean and own data. A side
    without features has the prior mean 0 and ``κ = λ``, which is plain iALS. ``κ = ∞`` (τ = 0)
    leaves ``Q = F_V B``, content only. An item or user without train rows has its prior mean.

    Parameters
    ----------
    factors:
        k, dimension of the factors.
    l2:
        λ > 0, for a side without features.
    prior:
        κ > 0, for a side with features; ``inf`` allows no deviation from the text.
    text_l2:
        ρ > 0 of the maps from text.
    unobserved:
        α₀ > 0, confidence of a cell that was not observed.
    iterations:
        Rounds over users and items.
    seed:
        Of the initial item factors.

    Attributes
    ----------
    user_factors_, item_factors_:
        float32 ``(n_users, k)`` and ``(n_items, k)``, ``P`` and ``Q``.
    user_prior_, item_prior_:
        float32, of the same shapes, ``F_U A`` and ``F_V B``; zero without features.
    shrinkage_:
        float32 ``(n_items,)``, ``tr((I + τH_i)⁻¹) / k``: the weight of the prior mean in each
        item's vector, 1 for a cold item and for content only. Interactions lower it, and so do the
        cells that were not observed, which also speak of the item.
    departure_:
        float32 ``(n_items,)``, ``‖q_i − Bᵀf_i‖``: how far an item's own data moved its vector from
        its prior mean, 0 for a cold item and for content only.

    References
    ----------
    Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets, ICDM 2008.
    Rendle, Krichene, Zhang and Koren, Revisiting the performance of iALS on item recommendation
    benchmarks, RecSys 2022. Prior means linear in features: irspack's feature-aware iALS; here the
    map is solved jointly with the factors, so that ``κ = ∞`` needs no case of its own.

    Notes
    -----
    Works without features, with items', users' or both. Memory: ``8 n k²`` bytes for the longer
    side.
    """

    factors: int = 32
    l2: float = 10.0
    prior: float = 6.0
    text_l2: float = 10.0
    unobserved: float = 0.3
    iterations: int = 8
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        for name, value in self.params.items():
            check(name == "seed" or value > 0, f"FeatureALS: {name}={value} must be positive")
        x = split.matrix("train").astype(np.float64)
        users = self._side(x, features.users, "users")
        items = self._side(x.T.tocsr(), features.items, "items")
        rng = np.random.default_rng(self.seed)
        q = np.zeros((split.n_items, self.factors))
        q[items.warm] = rng.normal(scale=0.1, size=(len(items.warm), self.factors))
        for _ in range(self.iterations):
            p = users.solve(*self._normal(x, q, items.warm))
            q = items.solve(*self._normal(items.x, p, users.warm))
        self.user_factors_, self.item_factors_ = p.astype(np.float32), q.astype(np.float32)
        self.user_prior_, self.item_prior_ = (s.mean.astype(np.float32) for s in (users, items))
        self.shrinkage_ = items.shrinkage.astype(np.float32)
        self.departure_ = np.linalg.norm(q - items.mean, axis=1).astype(np.float32)
        self.warm_items_ = items.warm
        self.newcomer_mean_, self.newcomer_tau_ = users.mean[users.warm].mean(axis=0), users.tau

    def _side(self, x: sparse.csr_matrix, vectors: np.ndarray | None, what: str) -> _Side:
        if vectors is None:
            return _Side(x, None, 1 / self.l2, self.text_l2, self.factors)
        vectors = check_vectors(vectors, x.shape[0], what, "FeatureALS")
        return _Side(x, vectors, 1 / self.prior, self.text_l2, self.factors)

    def _normal(
        self, x: sparse.csr_matrix, other: np.ndarray, warm: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``H (n, k, k)`` and ``g (n, k)`` of each row of ``x``, given the other side."""
        # Σ over all cells is the same for every row: only the few observed ones are added apart.
        everywhere = self.unobserved * other[warm].T @ other[warm]
        extra = np.ones(len(other))  # what an observed cell adds to a weight of everywhere
        extra[warm] -= self.unobserved
        scaled = other * extra[:, None]
        h = np.empty((x.shape[0], self.factors, self.factors))
        for row in range(x.shape[0]):
            taken = x.indices[x.indptr[row] : x.indptr[row + 1]]
            h[row] = everywhere + other[taken].T @ scaled[taken]
        return h, x @ other

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.user_factors_[self._codes(users)] @ self.item_factors_.T

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Solve for users whose prior mean is the mean user's, with the items held fixed."""
        q = self.item_factors_.astype(np.float64)
        h, g = self._normal(self._matrix(histories).astype(np.float64), q, self.warm_items_)
        tau = self.newcomer_tau_
        p = _apply(np.linalg.inv(np.eye(self.factors) + tau * h), self.newcomer_mean_ + tau * g)
        return (p @ q.T).astype(np.float32)


class _Side:
    """Users or items: their rows of the matrix, their features, and how to solve for them.

    ``mean (n, k)`` are the prior means and ``shrinkage (n,)`` their weights; ``warm`` are the rows
    with an interaction, the only ones that teach the map.
    """

    def __init__(
        self,
        x: sparse.csr_matrix,
        vectors: np.ndarray | None,
        tau: float,
        l2: float,
        factors: int,
    ) -> None:
        self.x, self.tau, self.l2 = x, tau, l2
        self.warm = np.flatnonzero(x.getnnz(axis=1))
        self.mean = np.zeros((x.shape[0], factors))
        self.shrinkage = np.ones(x.shape[0])
        self.features = None if vectors is None else _rotated(vectors, self.warm)
        self.map = np.zeros((0 if self.features is None else self.features.shape[1], factors))

    def solve(self, h: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Return the factors ``(n, k)`` that minimise the loss together with this side's map."""
        k, warm = g.shape[1], self.warm
        h, g = h[warm], g[warm]
        shrink = np.linalg.inv(np.eye(k) + self.tau * h)
        if self.features is not None:
            f = self.features[warm]
            self.map = _solve_map(f, shrink @ h, f.T @ _apply(shrink, g), self.l2, self.map)
            self.mean = self.features @ self.map
        out = self.mean.copy()
        out[warm] = _apply(shrink, self.mean[warm] + self.tau * g)
        self.shrinkage[warm] = np.trace(shrink, axis1=1, axis2=2) / k
        return out


def _apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return each matrix times its vector, ``(n, k)``."""
    return np.matmul(matrices, vectors[:, :, None])[:, :, 0]


def _rotated(vectors: np.ndarray, warm: np.ndarray) -> np.ndarray:
    """Return centred features with a constant column, ``(n, r)``, in the axes of the warm rows.

    A rotation changes neither the loss nor the ridge; axes that no warm row reaches are dropped,
    for their part of the map is zero. It leaves at most as many columns as warm rows.
    """
    taken = np.isin(np.arange(len(vectors)), warm)
    f = centred(vectors.astype(np.float64), warm=taken)
    f = np.hstack([f, np.ones((len(f), 1))])
    known = f[warm]
    if f.shape[1] <= len(warm):
        squares, axes = linalg.eigh(known.T @ known)
    else:  # the same axes by way of the smaller matrix
        squares, left = linalg.eigh(known @ known.T)
        axes = known.T @ left / np.sqrt(np.maximum(squares, np.finfo(float).tiny))
    return f @ axes[:, squares > 1e-10 * squares[-1]]


def _solve_map(
    f: np.ndarray, m: np.ndarray, right: np.ndarray, l2: float, start: np.ndarray
) -> np.ndarray:
    """Return ``B (r, k)`` with ``Σ_i f_i f_iᵀ B M_i + ρB = right``, ρ being ``l2``."""
    # The matrix of this system has (r k)² cells, for M_i differs by item, so it is never written
    # down: conjugate gradients need only its product with a B, from the B of the last round on.
    # Were all M_i their mean M = A diag(values) Aᵀ, the system would read FᵀF B M + ρB. The columns
    # of f are orthogonal, so FᵀF is diagonal too, and each cell of BA could be solved for alone:
    # that solution is the preconditioner.
    values, axes = linalg.eigh(m.mean(axis=0))
    scale = 1 / (np.square(f).sum(axis=0)[:, None] * np.maximum(values, 0) + l2)

    def normal(flat: np.ndarray) -> np.ndarray:
        b = flat.reshape(right.shape)
        return (f.T @ _apply(m, f @ b) + l2 * b).ravel()

    def precondition(flat: np.ndarray) -> np.ndarray:
        return (((flat.reshape(right.shape) @ axes) * scale) @ axes.T).ravel()

    size = (right.size, right.size)
    solution, _ = cg(
        LinearOperator(size, normal),
        right.ravel(),
        start.ravel(),
        rtol=CG_TOLERANCE,
        maxiter=CG_STEPS,
        M=LinearOperator(size, precondition),
    )
    return solution.reshape(right.shape)

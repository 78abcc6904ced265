"""EASE: the linear item-item model with a closed form, hard to beat where data is dense."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
import psutil
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, FromHistory, Recommender, check


@dataclass(eq=False, repr=False)
class EASE(FromHistory):
    """Reconstruct each item from the others: ``s(u, ·) = x_u B``.

    ``B = argmin ‖X − XB‖² + λ‖B‖²`` subject to ``diag(B) = 0``, which has the closed form
    ``P = (XᵀX + λI)⁻¹``, ``B_ij = −P_ij / P_jj`` for ``i ≠ j``.

    Parameters
    ----------
    l2:
        λ > 0, in users: how many users an item pair must share before its weight is trusted.

    Attributes
    ----------
    weights_:
        float32 ``(n_items, n_items)``, ``B``; the column of a cold item is zero.

    Raises
    ------
    MemoryError
        When the three float64 matrices of the closed form do not fit into the free memory.

    Notes
    -----
    ``fit(split, inverse=ease_inverse(split.matrix("train"), l2))`` takes the costliest step from
    elsewhere: every `EASE`, `Bridge` and `TextEASE` with one λ and one train part can share it, see
    `Inverses`.

    References
    ----------
    Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.
    """

    l2: float = 300.0

    def _fit(self, split: Split, features: Features, inverse: np.ndarray | None = None) -> None:
        self.weights_ = ease_weights(split.matrix("train"), self.l2, inverse).astype(np.float32)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(histories @ self.weights_, np.float32)


def ease_weights(x: sparse.csr_matrix, l2: float, inverse: np.ndarray | None = None) -> np.ndarray:
    """Return EASE's ``B``, float64 ``(n_items, n_items)``, for ``x (n_users, n_items)``.

    ``inverse`` is its `ease_inverse`, where that is known already.
    """
    return weights_of(ease_inverse(x, l2) if inverse is None else inverse)


def ease_inverse(x: sparse.csr_matrix, l2: float) -> np.ndarray:
    """Return ``P = (XᵀX + λI)⁻¹``, float64 ``(n_items, n_items)``."""
    check(l2 > 0, f"EASE: l2={l2} must be positive, or the matrix has no inverse")
    n = x.shape[1]
    need, free = 3 * 8 * n**2, psutil.virtual_memory().available
    if need > free:
        raise MemoryError(
            f"EASE needs {need / 2**30:.1f} GiB for {n:,} items but {free / 2**30:.1f} GiB is free:"
            " keep fewer items or use ItemKNN or ALS"
        )
    gram = (x.T @ x).toarray().astype(np.float64)
    gram[np.diag_indices(n)] += l2
    # XᵀX + λI is symmetric and positive definite: Cholesky takes half the work of a general
    # inverse and needs no pivots. It overwrites the Gram matrix, and the solution the identity.
    factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    return linalg.cho_solve(factor, np.eye(n), overwrite_b=True, check_finite=False)


class Inverses:
    """The inverses of one train part, each made once for all the fits that share its λ.

    ``inverses = Inverses(split)``, then ``model.fit(split, features, **inverses.given(model))`` for
    any models; those that take no inverse are given none. Each inverse holds 8 n² bytes.
    """

    def __init__(self, split: Split) -> None:
        self.split = split
        self.made: dict[float, np.ndarray] = {}

    def given(self, model: Recommender) -> dict[str, np.ndarray]:
        """Return what the model's fit can be handed, by name."""
        if "inverse" not in inspect.signature(model._fit).parameters:
            return {}
        l2 = model.params["l2"]
        if l2 not in self.made:
            self.made[l2] = ease_inverse(self.split.matrix("train"), l2)
        return {"inverse": self.made[l2]}


def weights_of(inverse: np.ndarray) -> np.ndarray:
    """Return ``B_ij = −P_ij / P_jj``, zero on the diagonal, from ``P``."""
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights

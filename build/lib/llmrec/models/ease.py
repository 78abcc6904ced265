"""EASE: the linear item-item model with a closed form, hard to beat where data is dense."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import psutil
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender

_shared: dict[tuple[str, float], np.ndarray] | None = None


class EASE(Recommender):
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

    References
    ----------
    Steck, Embarrassingly shallow autoencoders for sparse data, WWW 2019.
    """

    weights_: np.ndarray

    def __init__(self, l2: float = 300.0) -> None:
        self.l2 = l2

    def _fit(self, split: Split, features: Features) -> None:
        self.weights_ = ease_weights(split.matrix("train"), self.l2).astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.seen_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(self._histories(histories) @ self.weights_, np.float32)


def ease_weights(x: sparse.csr_matrix, l2: float) -> np.ndarray:
    """Return EASE's ``B``, float64 ``(n_items, n_items)``, for ``x (n_users, n_items)``."""
    return weights_of(ease_inverse(x, l2))


def ease_inverse(x: sparse.csr_matrix, l2: float) -> np.ndarray:
    """Return ``P = (XᵀX + λI)⁻¹``, float64 ``(n_items, n_items)``."""
    if not l2 > 0:
        raise ValueError(f"EASE: l2={l2} must be positive, or the matrix has no inverse")
    n = x.shape[1]
    need, free = 3 * 8 * n**2, psutil.virtual_memory().available
    if need > free:
        raise MemoryError(
            f"EASE needs {need / 2**30:.1f} GiB for {n:,} items but {free / 2**30:.1f} GiB is free:"
            " keep fewer items or use ItemKNN or ALS"
        )
    if _shared is None:
        return _inverted(x, l2)
    key = hashlib.sha256(b"".join((x.data, x.indices, x.indptr))).hexdigest(), l2
    if key not in _shared:
        _shared[key] = _inverted(x, l2)
        _shared[key].flags.writeable = False
    return _shared[key]


@contextmanager
def shared_inverses() -> Iterator[None]:
    """Invert each ``XᵀX + λI`` once within the block, for `EASE`, `Bridge` and `TextEASE` alike.

    Models that are fitted to the same train part with the same λ, such as bridges with several
    ridges or texts, then share the costliest step, with the same bits. Each inverse takes 8 n²
    bytes until the block ends. What is timed inside is not the time that a single fit takes.
    """
    global _shared
    before, _shared = _shared, {} if _shared is None else _shared
    try:
        yield
    finally:
        _shared = before


def _inverted(x: sparse.csr_matrix, l2: float) -> np.ndarray:
    gram = (x.T @ x).toarray().astype(np.float64)
    gram[np.diag_indices(len(gram))] += l2
    factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    return linalg.cho_solve(factor, np.eye(len(gram)), overwrite_b=True, check_finite=False)


def weights_of(inverse: np.ndarray) -> np.ndarray:
    """Return ``B_ij = −P_ij / P_jj``, zero on the diagonal, from ``P``."""
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights

"""SharedMap: a map of the text space, learned from who takes what, that other catalogues
can use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from llmrec.data import Split
from llmrec.models.base import Features, FromHistory, check, check_vectors
from llmrec.models.ease import ease_weights
from llmrec.vectors import centred, unit_rows


@dataclass(eq=False, repr=False)
class SharedMap(FromHistory):
    """Score by a bilinear form in text alone: ``s(u, j) = (Σ_{i ∈ u} t̂_i) M t̂_jᵀ``.

    With ``B`` the EASE weights between warm items and ``T̂`` their text vectors, centred and of
    length one,

    ``M = argmin ‖B − T̂ M T̂ᵀ‖² + α‖M − cI‖²``, ``(d, d)``, where ``c`` is the best ``M = cI``.

    ``M = I`` is `TextSimilarity`: the map is shrunk towards plain reading, and says which meanings
    go together beyond that. No user and no item is left in it, so that a map learned where there
    are many events can be used where there are none.

    Parameters
    ----------
    l2:
        λ of EASE, > 0; not used with ``map``.
    text_l2:
        α > 0; not used with ``map``.
    map:
        A ``(d, d)`` map from elsewhere, such as another fitted model's ``map_``, instead of a
        learned one. Its scale does not matter.

    Attributes
    ----------
    map_:
        float32 ``(d, d)``, ``M``.
    items_:
        float32 unit rows ``(n_items, d)``, ``T̂`` of all items, centred on this catalogue's warm
        ones; zero where there is no text.

    References
    ----------
    Sheng et al., Language representations can be what recommenders need, ICLR 2025: the idea that a
    map from language to taste can be shared, there trained as a network.

    Notes
    -----
    With ``T̂ᵀT̂ = V diag(λ) Vᵀ`` the minimum is
    ``M = cI + V [(Vᵀ T̂ᵀ (B − c T̂T̂ᵀ) T̂ V)_ij / (λ_i λ_j + α)] Vᵀ``. The diagonal of ``B``, which
    EASE leaves empty, is taken as what ``cI`` says of it. Requires ``Features(items=...)``, from
    one encoder for all catalogues that share a map.
    """

    l2: float = 300.0
    text_l2: float = 100.0
    map: np.ndarray | None = None

    def _fit(self, split: Split, features: Features) -> None:
        text = check_vectors(features.items, split.n_items, "items", "SharedMap")
        taken = split.matrix("train").getnnz(axis=0) > 0
        self.items_ = unit_rows(centred(text, warm=taken))
        if self.map is None:
            found = learned_maps(split, features, self.l2, [self.text_l2])[0]
        else:
            found, size = np.asarray(self.map), text.shape[1]
            check(
                found.shape == (size, size) and np.isfinite(found).all(),
                f"SharedMap: map has shape {found.shape}, expected finite numbers"
                f" ({size}, {size}): encode both catalogues with one encoder",
            )
        self.map_ = found.astype(np.float32)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        return np.asarray(histories @ self.items_ @ self.map_ @ self.items_.T, np.float32)


def learned_maps(
    split: Split, features: Features, l2: float, text_l2s: Sequence[float]
) -> list[np.ndarray]:
    """Return `SharedMap`'s ``M`` for each α, float64 ``(d, d)``, from one fit of EASE.

    To choose an α costs little more than to fit one map. ValueError when an α is not positive or
    the features do not fit.
    """
    text = check_vectors(features.items, split.n_items, "items", "SharedMap")
    x = split.matrix("train")
    taken = x.getnnz(axis=0) > 0
    warm = np.flatnonzero(taken)
    weights = ease_weights(x, l2)[np.ix_(warm, warm)]
    return bilinear_maps(
        unit_rows(centred(text, warm=taken))[warm].astype(np.float64), weights, text_l2s
    )


def departure(map: np.ndarray) -> float:
    """Return how far a map is from plain reading: ``‖M − cI‖ / ‖cI‖``, ``cI`` the nearest.

    ``c = tr(M) / d``. 0 is plain reading; a map of a tenth turns few rankings. Infinite where the
    trace is 0. ValueError when the map is not square.
    """
    matrix = np.asarray(map, np.float64)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    check(square, f"departure: a map of shape {matrix.shape} is not square")
    plain = np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    size = np.linalg.norm(plain)
    return float(np.linalg.norm(matrix - plain) / size) if size else float("inf")


def bilinear_maps(
    text: np.ndarray, weights: np.ndarray, text_l2s: Sequence[float]
) -> list[np.ndarray]:
    """Return ``M`` of `SharedMap`, float64 ``(d, d)``, for each α.

    Parameters
    ----------
    text:
        ``T̂ (n, d)`` of the warm items.
    weights:
        ``B (n, n)``.
    text_l2s:
        α > 0; the decomposition is shared.

    Raises
    ------
    ValueError
        When an α is not positive.
    """
    for alpha in text_l2s:
        check(alpha > 0, f"SharedMap: text_l2={alpha} must be positive")
    alike = text @ text.T
    np.fill_diagonal(alike, 0)
    size = np.square(alike).sum()
    scale = float((weights * alike).sum() / size) if size else 0.0
    # In the axes V of T̂ᵀT̂ = V diag(λ) Vᵀ the map T̂ᵀT̂ M T̂ᵀT̂ + αM only scales each cell of M, by
    # λ_i λ_j + α: every cell is solved for alone, for all α from one decomposition.
    values, vectors = linalg.eigh(text.T @ text)
    turned = text @ vectors  # (n, d)
    beyond = weights - scale * alike
    np.fill_diagonal(beyond, 0)
    inner = turned.T @ beyond @ turned
    grams = np.outer(values, values)
    plain = scale * np.eye(text.shape[1])
    return [plain + vectors @ (inner / (grams + alpha)) @ vectors.T for alpha in text_l2s]

"""What accuracy does not see: how wide, new, varied, popular and balanced lists are.

Every measure takes lists ``(n, k)`` of item codes, as `Recommender.recommend` returns them; -1
fills up a short list and counts as nothing. A measure of one user is an ``(n,)`` array, NaN where
it is undefined; coverage and Gini belong to all lists together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import rel_entr


def coverage(lists: ArrayLike, n_items: int) -> float:
    """Return the share of the catalogue that is in at least one list, ``|∪_u L_u| / n_items``.

    It grows with the number of users: compare models on the same users.

    References
    ----------
    M. Ge, C. Delgado-Battenfeld and D. Jannach, "Beyond accuracy: evaluating recommender systems
    by coverage and serendipity", RecSys 2010.

    Examples
    --------
    Items 0, 1 and 2 of five are shown to somebody.

    >>> coverage([[0, 1], [0, 2]], n_items=5)
    0.6
    """
    return int(np.count_nonzero(_exposure(lists, n_items))) / n_items


def gini(lists: ArrayLike, n_items: int) -> float:
    """Return the Gini index of exposure: 0 when all items are shown equally often.

    ``G = Σ_j (2j - n - 1) x_(j) / (n Σ x)`` with ``x_(1) ≤ … ≤ x_(n)``, the number of lists that
    hold each of the ``n = n_items`` items; it is ``1 - 1/n`` when only one item is ever shown, NaN
    when none is.

    References
    ----------
    D. Fleder and K. Hosanagar, "Blockbuster culture's next rise or fall: the impact of recommender
    systems on sales diversity", Management Science 2009.

    Examples
    --------
    Exposures 0, 1, 1, 2: (-3·0 - 1·1 + 1·1 + 3·2) / (4·4) = 6/16.

    >>> gini([[0, 1], [0, 2]], n_items=4)
    0.375
    """
    exposure = np.sort(_exposure(lists, n_items))
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float(_divide(weights @ exposure, n_items * exposure.sum()))


def novelty(lists: ArrayLike, counts: ArrayLike, n_users: int) -> np.ndarray:
    """Return the mean self-information of each list in bits.

    ``1/|L| Σ_{i∈L} -log₂(c_i / n_users)``.

    Parameters
    ----------
    lists : (n, k) int array
    counts : (n_items,) array
        ``c_i``, users who took the item; a cold item counts as taken by one, the newest that can
        be told.
    n_users : int
        Users who took anything.

    Returns
    -------
    (n,) float64; NaN for an empty list.

    References
    ----------
    T. Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems",
    PNAS 2010.

    Examples
    --------
    Taken by 4 and by 1 of 8 users: 1 bit and 3 bits.

    >>> novelty([[0, 1]], counts=[4, 1], n_users=8)
    array([2.])
    """
    taken = np.asarray(counts)
    return _list_mean(_membership(lists, len(taken)), np.log2(n_users / np.maximum(taken, 1)))


def diversity(lists: ArrayLike, vectors: ArrayLike) -> np.ndarray:
    """Return the intra-list diversity: 1 minus the mean cosine of the list's ``m(m - 1)/2`` pairs.

    With unit rows t: ``1 - (‖Σ_{i∈L} t_i‖² - Σ_{i∈L} ‖t_i‖²) / (m (m - 1))``. A zero vector is
    unlike everything.

    Parameters
    ----------
    lists : (n, k) int array
    vectors : (n_items, d) array
        Of any length but zero; they are normalised here.

    Returns
    -------
    (n,) float64 in [0, 2]; NaN for a list of fewer than two items.

    References
    ----------
    C.-N. Ziegler et al., "Improving recommendation lists through topic diversification", WWW 2005.

    Examples
    --------
    Cosines 0, 1 and 0 between the three: 1 - 1/3.

    >>> diversity([[0, 1, 2]], [[1, 0], [0, 1], [2, 0]]).round(4)
    array([0.6667])
    """
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    members = _membership(lists, len(unit))
    size = members.getnnz(axis=1)
    both = np.square(members @ unit).sum(axis=1) - members @ np.square(unit).sum(axis=1)
    return 1 - _divide(both, size * (size - 1))


def popularity_lift(lists: ArrayLike, history: sparse.csr_matrix, counts: ArrayLike) -> np.ndarray:
    """Return mean popularity of each list over that of its user's history: above 1 is "more hits".

    ``lift_u = (1/|L| Σ_{i∈L} c_i) / (1/|H| Σ_{i∈H} c_i)``.

    Parameters
    ----------
    lists : (n, k) int array
    history : (n, n_items) sparse matrix
        Nonzero where the user of that list took the item.
    counts : (n_items,) array
        ``c_i``, users who took the item.

    Returns
    -------
    (n,) float64; NaN for an empty list, and for a history that is empty or all cold.

    Notes
    -----
    The published "popularity lift" is this minus 1, of group means.

    References
    ----------
    H. Abdollahpouri et al., "The connection between popularity bias, calibration, and fairness in
    recommendation", RecSys 2020.

    Examples
    --------
    The list's mean is (6 + 2)/2 = 4, the history's 2.

    >>> popularity_lift([[0, 1]], sparse.csr_matrix([[0, 0, 1]]), [6, 2, 2])
    array([2.])
    """
    popularity = np.asarray(counts, np.float64)
    shown = _list_mean(_membership(lists, len(popularity)), popularity)
    return _divide(shown, np.nan_to_num(_list_mean(_binary(history), popularity)))


def miscalibration(
    lists: ArrayLike, history: sparse.csr_matrix, categories: ArrayLike, alpha: float = 0.01
) -> np.ndarray:
    """Return how far each list's mix of categories is from its user's history (Steck's KL).

    ``KL_u = Σ_g p_g ln(p_g / q̃_g)`` with ``q̃ = (1 - α) q + α p``: p and q are the mean category
    distributions of the history's and the list's items, an item's weight being shared equally by
    its categories. 0 is calibrated; ``ln(1/α)`` is the worst, nothing in common.

    Parameters
    ----------
    lists : (n, k) int array
    history : (n, n_items) sparse matrix
        Nonzero where the user of that list took the item.
    categories : (n_items, c) array
        Nonzero where the item has the category; items without any are passed over.
    alpha : float
        Smoothing, between 0 and 1, so that a category missing from the list costs a finite amount.

    Returns
    -------
    (n,) float64; NaN where list or history has no item with a category.

    References
    ----------
    H. Steck, "Calibrated recommendations", RecSys 2018.

    Examples
    --------
    History: half drama, half comedy; list: drama only; α = ½ gives q̃ = (3/4, 1/4) and
    ½ ln(2/3) + ½ ln 2 = ½ ln(4/3).

    >>> history = sparse.csr_matrix([[1, 1, 0]])
    >>> miscalibration([[2]], history, [[1, 0], [0, 1], [1, 0]], alpha=0.5).round(4)
    array([0.1438])
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must lie between 0 and 1, such as 0.01")
    table = np.asarray(categories) != 0
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)

    def mix(members: sparse.csr_matrix) -> np.ndarray:
        total = members @ share
        return _divide(total, total.sum(axis=1, keepdims=True))

    p, q = mix(_binary(history)), mix(_membership(lists, len(share)))
    return rel_entr(p, (1 - alpha) * q + alpha * p).sum(axis=1)


def category_matrix(texts: Sequence[str], separator: str = ",") -> tuple[np.ndarray, list[str]]:
    """Return ``(n_items, c)`` booleans and the category names from texts such as "Drama, War".

    Notes
    -----
    For MovieLens-100K: ``category_matrix(dataset.items["genres"])``.

    Examples
    --------
    >>> matrix, names = category_matrix(["Drama, War", "", "War"])
    >>> names, matrix.astype(int).tolist()
    (['Drama', 'War'], [[1, 1], [0, 0], [0, 1]])
    """
    parts = [[part.strip() for part in text.split(separator) if part.strip()] for text in texts]
    names = sorted({part for row in parts for part in row})
    place = {name: column for column, name in enumerate(names)}
    matrix = np.zeros((len(parts), len(names)), bool)
    for row, found in enumerate(parts):
        matrix[row, [place[name] for name in found]] = True
    return matrix, names


def _codes(lists: ArrayLike, n_items: int) -> np.ndarray:
    """Return the lists as an integer array, or say what is wrong with them."""
    items = np.asarray(lists)
    if items.ndim != 2 or not items.size or items.dtype.kind not in "iu":
        raise ValueError(
            f"lists must be whole-number item codes (n, k), got {items.dtype} {items.shape}"
        )
    if items.min() < -1 or items.max() >= n_items:
        wrong = items.min() if items.min() < -1 else items.max()
        raise ValueError(
            f"lists hold {wrong}, but item codes run from 0 to {n_items - 1} (-1 pads)"
        )
    ordered = np.sort(items, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(axis=1)
    if twice.any():
        raise ValueError(f"list {twice.argmax()} holds an item twice: recommend() never does")
    return items


def _membership(lists: ArrayLike, n_items: int) -> sparse.csr_matrix:
    """Return the lists as a binary ``(n, n_items)`` matrix."""
    items = _codes(lists, n_items)
    rows, columns = np.nonzero(items >= 0)
    cells = (np.ones(len(rows)), (rows, items[rows, columns]))
    return sparse.csr_matrix(cells, (len(items), n_items))


def _binary(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(matrix != 0, dtype=np.float64)


def _list_mean(members: sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    return _divide(members @ values, members.getnnz(axis=1))


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide, with NaN ("undefined") where the bottom is 0."""
    undefined = np.full(np.shape(top), np.nan)
    return np.divide(top, bottom, out=undefined, where=np.broadcast_to(bottom, undefined.shape) > 0)


def _exposure(lists: ArrayLike, n_items: int) -> np.ndarray:
    """Return in how many lists each item is, ``(n_items,)``."""
    items = _codes(lists, n_items)
    return np.bincount(items[items >= 0], minlength=n_items)

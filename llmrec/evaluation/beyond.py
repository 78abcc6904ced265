"""What accuracy does not see: how wide, new, varied, popular and balanced lists are.

Every measure takes lists ``(n, k)`` of item codes, as `Recommender.recommend` returns them; -1
fills up a short list and counts as nothing. A measure of one user is an ``(n,)`` float64 array, NaN
where it is undefined; coverage and Gini belong to all lists together. `beyond` measures all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import ndtri, rel_entr

from llmrec.evaluation.statistics import Estimate, bootstrap

if TYPE_CHECKING:
    from llmrec.data import Split

GROUPS = 100  # of users, left out in turn: more of them change an interval by a few per cent


@dataclass(frozen=True)
class BeyondAccuracy:
    """What the lists of one model are like, beside being accurate.

    Attributes
    ----------
    name : str
        The model.
    users : (n,) int
        Codes of the users whose lists these are.
    values : mapping
        ``"novelty@10"`` → ``(n,)`` float64, NaN where undefined, in the order of ``users``.
    catalogue : mapping
        ``"coverage@10"`` → Estimate: a property of all lists together.
    seed : int
        Of the bootstrap intervals.

    Notes
    -----
    It has ``name, users, per_user`` as an Evaluation has: `compare` takes it too.
    """

    name: str
    users: np.ndarray
    values: Mapping[str, np.ndarray]
    catalogue: Mapping[str, Estimate]
    seed: int = 0

    def per_user(self, metric: str) -> np.ndarray:
        """Return ``values[metric] (n,)``; the KeyError of an unknown metric lists the known."""
        if metric not in self.values:
            raise KeyError(f"{self.name} has no {metric!r}: it has {', '.join(self.values)}")
        return self.values[metric]

    def mean(self, metric: str) -> Estimate:
        """Return the mean, with its 95 % interval, over the ``n`` users for whom it is defined."""
        if metric in self.catalogue:
            return self.catalogue[metric]
        values = self.per_user(metric)
        defined = values[~np.isnan(values)]
        if not len(defined):
            return Estimate(np.nan, np.nan, np.nan, 0)
        return bootstrap(defined, self.seed)

    def table(self) -> pd.DataFrame:
        """Return one row a measure: ``value, low, high, n``."""
        rows = {metric: vars(self.mean(metric)) for metric in [*self.catalogue, *self.values]}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def beyond(
    lists: ArrayLike,
    split: Split,
    item_vectors: ArrayLike | None = None,
    categories: ArrayLike | None = None,
    users: ArrayLike | None = None,
    seed: int = 0,
    *,
    name: str = "lists",
) -> BeyondAccuracy:
    """Measure the lists of a model: coverage, Gini, novelty, diversity, popularity, calibration.

    Parameters
    ----------
    lists : (n, k) int array
        Item codes, such as ``model.recommend(split.test_users, k=10)[0]``.
    split : Split
        Popularity is counted in its train part; a user's taste is read from its history.
    item_vectors : (n_items, d) array, optional
        Adds ``diversity``: the meaning of "alike", such as text vectors. Compare models by one and
        the same vectors.
    categories : (n_items, c) array, optional
        Adds ``miscalibration``: nonzero where an item has a category; see `category_matrix`.
    users : (n,) int array, optional
        Whose lists these are, in order. Default: ``split.test_users``.
    seed : int
        Of the intervals.
    name : str
        The model's name.

    Raises
    ------
    ValueError
        When lists and users differ in number, a code is no item or user, a list holds an item
        twice, or vectors or categories are not finite or do not have one row an item.
    """
    codes = split.test_users if users is None else np.asarray(users)
    items = np.asarray(lists)
    if len(items) != len(codes):
        raise ValueError(
            f"{len(items)} lists for {len(codes)} users: pass users= with one code a list"
        )
    if not np.isin(codes, np.arange(split.n_users)).all():
        raise ValueError(f"users hold a code that is none: codes run from 0 to {split.n_users - 1}")
    history = split.matrix("history")[codes]
    train = split.matrix("train")
    counts = train.getnnz(axis=0)
    values = {
        "novelty": novelty(items, counts, int((train.getnnz(axis=1) > 0).sum())),
        "popularity_lift": popularity_lift(items, history, counts),
    }
    if item_vectors is not None:
        values["diversity"] = diversity(items, _rows(item_vectors, split.n_items, "item_vectors"))
    if categories is not None:
        table = _rows(categories, split.n_items, "categories")
        values["miscalibration"] = miscalibration(items, history, table)
    k = items.shape[1]
    by_user = {f"{measure}@{k}": array for measure, array in values.items()}
    catalogue = {
        f"coverage@{k}": _jackknife(coverage, items, split.n_items, seed),
        f"gini@{k}": _jackknife(gini, items, split.n_items, seed),
    }
    return BeyondAccuracy(name, codes, by_user, catalogue, seed)


def coverage(lists: ArrayLike, n_items: int) -> float:
    """Return the share of the catalogue that is in at least one list, ``|∪_u L_u| / n_items``.

    It grows with the number of users: compare models on the same users (M. Ge et al., "Beyond
    accuracy: evaluating recommender systems by coverage and serendipity", RecSys 2010).

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
    when none is (D. Fleder and K. Hosanagar, "Blockbuster culture's next rise or fall", Management
    Science 2009).

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
    """Return the mean self-information of each list in bits, ``1/|L| Σ_{i∈L} -log₂(c_i/n_users)``.

    ``counts (n_items,)`` are the users ``c_i`` who took each item, ``n_users`` those who took any;
    a cold item counts as taken by one, the newest that can be told. NaN for an empty list (T. Zhou
    et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010).

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

    With unit rows t of ``vectors (n_items, d)``, normalised here:
    ``1 - (‖Σ_{i∈L} t_i‖² - Σ_{i∈L} ‖t_i‖²) / (m (m - 1))``, in [0, 2]. A zero vector is unlike
    everything; NaN for a list of fewer than two items (C.-N. Ziegler et al., "Improving
    recommendation lists through topic diversification", WWW 2005).

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

    ``lift_u = (1/|L| Σ_{i∈L} c_i) / (1/|H| Σ_{i∈H} c_i)`` with ``counts (n_items,)``, the users
    ``c_i`` who took each item; ``history (n, n_items)`` is nonzero where the user of that list took
    the item. NaN for an empty list, and for a history that is empty or all cold. The published
    "popularity lift" (H. Abdollahpouri et al., "The connection between popularity bias,
    calibration, and fairness in recommendation", RecSys 2020) is this minus 1, of group means.

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

    ``history (n, n_items)`` and ``categories (n_items, c)`` are nonzero where a user took an item
    and an item has a category; items without any are passed over. ``alpha``, between 0 and 1,
    makes a category that the list lacks cost a finite amount. NaN where list or history has no item
    with a category (H. Steck, "Calibrated recommendations", RecSys 2018).

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
    """Return ``(n_items, c)`` booleans and the sorted category names from such as "Drama, War".

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


def _jackknife(
    statistic: Callable[[np.ndarray, int], float], lists: np.ndarray, n_items: int, seed: int
) -> Estimate:
    """Return a statistic of all lists with its 95 % interval over users: value ± 1.96 errors.

    ``error² = (g - 1)/g Σ (θ_(j) - θ̄)²`` over g random groups of users left out in turn. Not a
    bootstrap: a resample holds only some 63 % of the users, so that it covers fewer items and its
    interval misses the value itself; the jackknife errs, if at all, on the wide side.
    """
    value, n = statistic(lists, n_items), len(lists)
    groups = min(n, GROUPS)
    if groups < 2:
        return Estimate(value, np.nan, np.nan, n)
    label = np.random.default_rng(seed).permutation(n) % groups  # sizes differ by one at most
    left = np.array([statistic(lists[label != group], n_items) for group in range(groups)])
    half = ndtri(0.975) * np.sqrt((groups - 1) * left.var())  # var() has the 1/g of the formula
    # Both statistics are shares: an interval that leaves [0, 1] is cut there.
    return Estimate(value, float(max(value - half, 0)), float(min(value + half, 1)), n)


def _rows(table: ArrayLike, n_items: int, what: str) -> np.ndarray:
    array = np.asarray(table)
    if array.ndim != 2 or len(array) != n_items:
        raise ValueError(f"{what} have shape {array.shape}, expected ({n_items}, …): a row an item")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} hold NaN or infinity: encode those items again")
    return array


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


def _exposure(lists: ArrayLike, n_items: int) -> np.ndarray:
    """Return in how many lists each item is, ``(n_items,)``."""
    items = _codes(lists, n_items)
    return np.bincount(items[items >= 0], minlength=n_items)


def _binary(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    return sparse.csr_matrix(matrix != 0, dtype=np.float64)


def _list_mean(members: sparse.csr_matrix, values: np.ndarray) -> np.ndarray:
    return _divide(members @ values, members.getnnz(axis=1))


def _divide(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Divide, with NaN ("undefined") where the bottom is 0."""
    undefined = np.full(np.shape(top), np.nan)
    return np.divide(top, bottom, out=undefined, where=np.broadcast_to(bottom, undefined.shape) > 0)

"""Is a model equally good for everyone? Gaps between groups of users, with intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from llmrec.evaluation.statistics import PerUser

if TYPE_CHECKING:
    from llmrec.data import Split

SMALLEST = 10  # users on either side: with fewer a bootstrap interval is too narrow to show
UNKNOWN = "(unknown)"


def group_gaps(
    result: PerUser,
    metric: str,
    split: Split,
    by: str | ArrayLike,
    seed: int = 0,
    repeats: int = 1000,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return one row a group: its mean, and how far that is from the mean of all other users.

    Columns ``n, mean, gap, low, high`` with ``gap = mean(group) - mean(others)``; the bootstrap
    interval resamples the group and the others apart. Groups are sorted by name. Users without a
    value in ``by`` form the group "(unknown)", and a group with fewer than 10 users on either side
    gets its gap but no interval (NaN): nobody is left out. Users whose metric is NaN (undefined)
    are in no ``n``.

    Parameters
    ----------
    result : Evaluation or BeyondAccuracy
    metric : str
        Such as ``"ndcg@10"``.
    split : Split
        Its dataset's users table describes the users.
    by : str or (n_users,) array
        A column of ``split.dataset.users``, or a label for each user code, such as age bands made
        with ``pandas.cut``.
    level : float
        Of each interval; for m groups read together pass ``1 - 0.05/m``.

    Raises
    ------
    ValueError
        When the dataset has no users table or not that column, when labels do not number one a
        user, or when all evaluated users are of one group.
    KeyError
        When the result lacks the metric.

    Notes
    -----
    A gap describes; it does not say why: groups differ in history length too.

    References
    ----------
    M. Ekstrand et al., "All the cool kids, how do they fit in? Popularity and demographic biases in
    recommender evaluation and effectiveness", FAT* 2018.
    """
    values = result.per_user(metric)
    defined = ~np.isnan(values)
    values = values[defined]
    labels = _labels(split, by)[result.users[defined]]
    names = sorted(set(labels))
    if len(names) < 2:
        raise ValueError(
            f"all evaluated users are of one group, {names}: there is no gap to measure"
        )
    rows = {}
    for name in names:
        inside, others = values[labels == name], values[labels != name]
        gap = inside.mean() - others.mean()
        low = high = np.nan
        if min(len(inside), len(others)) >= SMALLEST:
            low, high = _interval(inside, others, seed, repeats, level)
        rows[name] = {"n": len(inside), "mean": inside.mean(), "gap": gap, "low": low, "high": high}
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
    return frame.astype({"n": int})


def _labels(split: Split, by: str | ArrayLike) -> np.ndarray:
    """Return one text label a user code."""
    dataset = split.dataset
    if isinstance(by, str):
        if dataset.users is None or by not in dataset.users or by == "user":
            columns = [] if dataset.users is None else list(dataset.users.columns.drop("user"))
            raise ValueError(
                f"{dataset.name} has no users column {by!r}: it has {', '.join(columns) or 'none'}"
            )
        by = dataset.users.set_index("user")[by].reindex(dataset.user_ids)
    labels = pd.Series(np.asarray(by, dtype=object))
    if len(labels) != dataset.n_users:
        raise ValueError(f"{len(labels)} labels for {dataset.n_users} users: pass one a user code")
    return labels.astype("string").fillna(UNKNOWN).to_numpy(dtype=object)


def _interval(
    inside: np.ndarray, others: np.ndarray, seed: int, repeats: int, level: float
) -> tuple[float, float]:
    """Return the bootstrap interval of the gap, members and others resampled each by themselves."""

    def gap(a: np.ndarray, b: np.ndarray, axis: int) -> np.ndarray:
        return a.mean(axis) - b.mean(axis)

    drawn = stats.bootstrap(
        (inside, others), gap, n_resamples=repeats, batch=repeats, method="percentile", rng=seed
    )
    low, high = np.quantile(drawn.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)

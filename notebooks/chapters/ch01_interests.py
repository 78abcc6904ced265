"""Chapter 1: how many interests a user holds, and whether they move, each with its null model."""

from __future__ import annotations

import numpy as np
import pandas as pd

from chapters.ch01_null_models import focused_choices, shuffled_choices
from chapters.ch01_traces import WEEK
from llmrec.evaluation import Estimate, bootstrap
from llmrec.interest import (
    distinct_interests,
    drift,
    period_vectors,
    similarity_by_lag,
)

#: A user's periods ``(p,)`` and the mean vector of each ``(p, d)``.
Weeks = tuple[np.ndarray, np.ndarray]


def counted(
    pairs: pd.DataFrame,
    rows: np.ndarray,
    distance: float,
    seed: int,
    *,
    n_items: int,
    n_users: int,
    n_nulls: int,
) -> dict[str, np.ndarray]:
    """Return interests among equally many items of each user: own, no taste, one interest.

    Parameters
    ----------
    pairs : frame
        Distinct ``user, item`` codes.
    rows : (items, d)
        Item vectors; two items closer than ``distance`` are of one interest.
    n_items, n_users, n_nulls : int
        Items a user, users at most, and null users drawn for each.
    """
    rng = np.random.default_rng(seed)
    user, item = pairs["user"].to_numpy(), pairs["item"].to_numpy()
    size = pd.Series(user).value_counts().sort_index()
    able = size.index[size >= n_items].to_numpy()
    users = np.sort(rng.choice(able, min(n_users, len(able)), replace=False))

    def count(items: np.ndarray) -> tuple[list[int], dict[int, np.ndarray]]:
        """Count over a random sample of each user's items, and return the samples."""
        own = pd.Series(items).groupby(user)
        drawn = {u: rng.choice(own.get_group(u).to_numpy(), n_items, replace=False) for u in users}
        return [distinct_interests(rows[drawn[u]], distance) for u in users], drawn

    own, drawn = count(item)
    no_taste = [count(shuffled_choices(user, item, rng))[0] for _ in range(n_nulls)]
    one = []
    for _ in range(n_nulls):
        around = [rng.choice(drawn[u]) for u in users]
        focused = focused_choices(rows, around, n_items)
        one.append([distinct_interests(rows[codes], distance) for codes in focused])
    return {
        "own": np.array(own, float),
        "no taste": np.mean(no_taste, axis=0),
        "one interest": np.mean(one, axis=0),
    }


def weeks_of(
    table: pd.DataFrame, rows: np.ndarray, n_users: int, seed: int, min_weeks: int = 10
) -> list[Weeks]:
    """Return each user's weeks and mean vectors, for users active in at least ``min_weeks``."""
    table = table.assign(week=table["timestamp"] // WEEK).drop_duplicates(["user", "week", "item"])
    active = table.groupby("user")["week"].nunique()
    able = active.index[active >= min_weeks].to_numpy()
    users = np.random.default_rng(seed).choice(able, min(n_users, len(able)), replace=False)
    chosen = table[table["user"].isin(users)]
    return [
        period_vectors(rows[mine["item"]], mine["timestamp"], WEEK)
        for _, mine in chosen.groupby("user")
    ]


def less_the_crowd(weeks: list[Weeks]) -> list[Weeks]:
    """Take from each user's week the mean over all users of that week."""
    total: dict[int, np.ndarray] = {}
    number: dict[int, int] = {}
    for periods, means in weeks:
        for week, mean in zip(periods, means, strict=True):
            total[week] = total.get(week, 0) + mean
            number[week] = number.get(week, 0) + 1
    return [
        (periods, means - np.stack([total[week] / number[week] for week in periods]))
        for periods, means in weeks
    ]


def by_lag(weeks: list[Weeks], edges: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean similarity by lag, and the same with each user's weeks in shuffled order."""
    rng = np.random.default_rng(seed)
    true = [similarity_by_lag(periods, means, edges) for periods, means in weeks]
    null = [similarity_by_lag(rng.permutation(periods), means, edges) for periods, means in weeks]
    return np.nanmean(true, axis=0), np.nanmean(null, axis=0)


def moved(weeks: list[Weeks], near: int, far: int, seed: int) -> Estimate:
    """Return the cosine of near weeks minus that of far ones over all users that have both."""
    values = np.array([drift(periods, means, near, far) for periods, means in weeks])
    return bootstrap(values[~np.isnan(values)], seed)

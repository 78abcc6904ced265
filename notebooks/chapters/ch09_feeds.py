"""A feed cut at many moments: what is known at each, which articles are on offer, who takes
what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from llmrec.data.dataset import Dataset, Split

DAY, WEEK = 86_400, 604_800


@dataclass(frozen=True)
class Cut:
    """What is known at one moment, and what is asked.

    Attributes
    ----------
    split : Split
        ``train`` is the memory before the cut, ``test`` what is done in the days after it. Its
        dataset holds only the items of that time.
    start : int
        The moment, in seconds.
    pool : (c,) int
        Codes, in the split, of the candidates.
    users : (m,) int
        Codes, in the split, of the readers asked for.
    targets : (m, c) bool
        Taken afterwards and not before.
    open : (m, c) bool
        Not taken before: what may be recommended.
    people : (n_users,) int
        Code in the whole dataset of each user code of the split.
    rows : (n_items,) int
        Row in the whole items table of each item code of the split.
    """

    split: Split
    start: int
    pool: np.ndarray
    users: np.ndarray
    targets: np.ndarray
    open: np.ndarray
    people: np.ndarray
    rows: np.ndarray


def appeared(data: Dataset) -> pd.Series:
    """Return when each item was published or, where that is not known, first acted on: item → s.

    A first act is known only afterwards: before it, nobody can tell that the item exists.
    """
    if "published" in data.items:
        return data.items.set_index("item")["published"]
    return data.interactions.groupby("item")["timestamp"].min()


def cut_at(
    data: Dataset,
    start: int,
    days: float,
    since: int,
    until: int,
    memory: float,
    known: bool = True,
) -> Cut:
    """Cut at ``start``: learn from the ``memory`` days before, ask for the ``days`` days after it.

    Candidates are the items with a title for which ``since ≤ appeared < until``. With ``until``
    later than ``start`` the pool holds items that appear only afterwards; where an item appears by
    being acted on (`appeared`), each of them is then taken by somebody: such a pool is a question
    about items that will be read, and never one about items that exist.

    Parameters
    ----------
    data : Dataset
        Items with a ``title``; interactions with times.
    start, since, until : int
        Seconds.
    days, memory : float
        Days; ``days=0`` asks nobody, and ``users`` are then all readers.
    known : bool
        Ask for readers with an act in memory; False: for those without one.

    Raises
    ------
    ValueError
        When ``memory`` is not positive or ``days`` is negative.
    """
    if memory <= 0 or days < 0:
        raise ValueError(f"memory={memory} must be positive and days={days} not negative")
    events, born = data.interactions, appeared(data)
    time = events["timestamp"]
    near = (time >= start - memory * DAY) & (time < start + days * DAY)
    fresh = data.items["item"].isin(born.index[(born >= since) & (born < until)])
    kept = data.items["item"].isin(events["item"][near].unique()) | fresh
    part = Dataset(
        data.name, events[near].reset_index(drop=True), data.items[kept].reset_index(drop=True)
    )
    coded = part.coded
    past = coded[coded["timestamp"] < start].reset_index(drop=True)
    later = coded[coded["timestamp"] >= start].reset_index(drop=True)
    split = Split(part, "time", 0, past, past[:0], later, past)
    pool = np.flatnonzero(fresh[kept].to_numpy() & (part.items["title"] != "").to_numpy())
    before = split.matrix("history")
    users = np.flatnonzero((before.getnnz(axis=1) > 0) == known)
    taken = before[users][:, pool].toarray() > 0
    targets = (split.matrix("test")[users][:, pool].toarray() > 0) & ~taken
    if days:
        asked = targets.any(axis=1)
        users, taken, targets = users[asked], taken[asked], targets[asked]
    return Cut(
        split,
        int(start),
        pool,
        users,
        targets,
        ~taken,
        pd.Index(data.user_ids).get_indexer(part.user_ids),
        np.flatnonzero(kept),
    )


def first_day(data: Dataset) -> int:
    """Return the midnight before the first act, in seconds."""
    return int(data.interactions["timestamp"].min()) // DAY * DAY


def fresh_cuts(data: Dataset, weeks: Iterable[int], memory: float) -> list[Cut]:
    """Return a cut at the start of each week, about the items that appear in that week.

    Weeks are counted from `first_day`; weeks in which nobody can be asked are left out.
    """
    starts = [first_day(data) + week * WEEK for week in weeks]
    cuts = [
        cut_at(data, start, 7, start, start + WEEK, memory)
        for start in starts
        if _active(data, start, 7)
    ]
    return [cut for cut in cuts if len(cut.users)]


def news_cuts(
    data: Dataset,
    weeks: Iterable[int],
    memory: float,
    young: float = 7,
    days: Iterable[int] = range(7),
    known: bool = True,
) -> list[list[Cut]]:
    """Return cuts on some ``days`` (0 … 6) of each week, a list a week, about the items of then.

    Candidates have appeared in the ``young`` days *before* the cut. With ``young`` 7 and every
    second week, the pools of different weeks share no item. Days on which nobody can be asked, and
    weeks without such a day, are left out.
    """
    days = tuple(days)
    out = []
    for week in weeks:
        starts = [first_day(data) + week * WEEK + day * DAY for day in days]
        cuts = [
            cut_at(data, at, 1, int(at - young * DAY), at, memory, known=known)
            for at in starts
            if _active(data, at, 1)
        ]
        out.append([cut for cut in cuts if len(cut.users)])
    return [cuts for cuts in out if cuts]


def _active(data: Dataset, start: int, days: float) -> bool:
    """Return whether anybody acts in these days."""
    return bool(data.interactions["timestamp"].between(start, start + days * DAY - 1).any())

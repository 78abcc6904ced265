"""Items that are new: first sold after a moment, or made new by taking away what is known
of them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from llmrec.data.dataset import Dataset, Split

DAY = 86_400


def first_sold(dataset: Dataset, after: int, days: float = 28.0) -> np.ndarray:
    """Return the ids of the items whose first event lies in the ``days`` after a moment, sorted.

    The first event is the first *in the data*: a launch, or an old item that nobody in the data
    took before. No number of events is asked for, for a launch that must sell well in weeks to come
    is chosen with the future.

    Parameters
    ----------
    after:
        Seconds since 1970; an event of that very second is not after it.
    days:
        Length of the window, > 0.

    Raises
    ------
    ValueError
        When ``days`` is not positive or a timestamp is unknown.
    """
    if not days > 0:
        raise ValueError(f"first_sold: days={days} must be positive")
    events = dataset.interactions
    if unknown := int((events["timestamp"] == 0).sum()):
        raise ValueError(
            f"first_sold of {dataset.name!r}: {unknown} of {len(events)} timestamps are unknown (0)"
        )
    first = events.groupby("item")["timestamp"].min()
    window = (first > after) & (first <= after + days * DAY)
    return np.sort(first.index[window].to_numpy())


def make_new(split: Split, items: ArrayLike) -> Split:
    """Return the split with nothing known of some items: no row of theirs in train or history.

    What is held out of them stays, so that they are cold items with targets.

    Parameters
    ----------
    items:
        Item codes.

    Raises
    ------
    ValueError
        When a code is unknown or nothing would be left to learn from.
    """
    codes = np.unique(np.asarray(items, np.int64))
    if len(codes) and not 0 <= codes[0] <= codes[-1] < split.n_items:
        wrong = codes[0] if codes[0] < 0 else codes[-1]
        raise ValueError(
            f"make_new: {wrong} is no item code: they run from 0 to {split.n_items - 1}"
        )
    train, history = (
        frame[~frame["item"].isin(codes)].reset_index(drop=True)
        for frame in (split.train, split.history)
    )
    if not len(train):
        raise ValueError("make_new: no train row is left: make fewer items new")
    return replace(split, train=train, history=history)

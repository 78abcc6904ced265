"""What one user took, in the order of events: all that a model may know of somebody new."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from llmrec.data.dataset import Split


@dataclass(frozen=True, eq=False)
class History:
    """One user's events, oldest first; an item may be taken more than once.

    Attributes
    ----------
    items:
        Item codes ``(n,)``.
    times:
        Seconds since 1970 ``(n,)``, not decreasing. None: only the order is known.
    weights:
        Such as ratings or counts, ``(n,)``. None: all events weigh 1.

    Raises
    ------
    ValueError
        When lengths differ, a code is negative, times decrease or a number is not finite.
    """

    items: np.ndarray
    times: np.ndarray | None = None
    weights: np.ndarray | None = None

    def __post_init__(self) -> None:
        items = np.asarray(self.items)
        if items.ndim != 1 or (items.size and items.dtype.kind not in "iu") or (items < 0).any():
            raise ValueError("History: items must list item codes, whole numbers from 0")
        object.__setattr__(self, "items", items.astype(np.int64))
        for name in ("times", "weights"):
            if (given := getattr(self, name)) is None:
                continue
            values = np.asarray(given, np.float64)
            if values.shape != items.shape or not np.isfinite(values).all():
                raise ValueError(f"History: {name} must hold one finite number for each item")
            object.__setattr__(self, name, values)
        if self.times is not None and (np.diff(self.times) < 0).any():
            raise ValueError("History: times decrease; list the events oldest first")

    def __len__(self) -> int:
        return len(self.items)


def histories_of(split: Split, users: ArrayLike | None = None) -> list[History]:
    """Return the events of ``split.history`` of some user codes, by default of everybody.

    Events are ordered by timestamp, then by row.
    """
    events = split.history
    order = np.lexsort((events["timestamp"], events["user"]))  # stable: rows break ties
    items, times, weights = (
        events[name].to_numpy()[order] for name in ("item", "timestamp", "weight")
    )
    ends = np.cumsum(np.bincount(events["user"], minlength=split.n_users))
    starts = ends - np.diff(ends, prepend=0)
    codes = range(split.n_users) if users is None else np.asarray(users, np.int64)
    spans = (slice(starts[user], ends[user]) for user in codes)
    return [History(items[span], times[span], weights[span]) for span in spans]

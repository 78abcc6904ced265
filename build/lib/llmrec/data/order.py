"""The order of events: by user, then by timestamp, then by row, everywhere in the book."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd


def in_order(events: pd.DataFrame) -> pd.DataFrame:
    """Return user and item of the events, by user, then by timestamp, then by row."""
    order = np.lexsort((events["timestamp"], events["user"]))  # stable: rows break ties
    return events[["user", "item"]].iloc[order].reset_index(drop=True)


def sequences(
    events: pd.DataFrame, n_users: int, keep: Literal["all", "first", "last"] = "all"
) -> list[np.ndarray]:
    """Return each user's item codes, oldest first; ``keep`` says which event of an item stays."""
    ordered = in_order(events)
    if keep != "all":
        ordered = ordered.drop_duplicates(["user", "item"], keep=keep)
    ends = np.cumsum(np.bincount(ordered["user"], minlength=n_users))
    return np.split(ordered["item"].to_numpy(), ends[:-1])

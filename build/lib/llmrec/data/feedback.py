"""What the weights of events are: ratings, counts, or nothing but events."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

Feedback = Literal["events", "counts", "ratings"]

MOST_LEVELS = 20  # a rating scale has at most so many steps


def feedback_of(events: pd.DataFrame) -> Feedback:
    """Tell ratings from counts and from plain events, by the weights alone.

    Ratings have few levels in halves, at most ten, one for each user and item, and are not mostly
    ones; all weights equal are plain events; anything else counts.
    """
    weight = events["weight"].to_numpy(np.float64)
    levels = np.unique(weight)
    if len(levels) == 1:
        return "events"
    once = not events.duplicated(["user", "item"]).mean() > 0.01
    scale = 2 < len(levels) <= MOST_LEVELS and levels[0] >= 0 and levels[-1] <= 10
    ones = (weight == levels[0]).mean() > 0.5  # counts fall off from one
    if once and scale and not ones and (levels * 2 % 1 == 0).all():
        return "ratings"
    return "counts"

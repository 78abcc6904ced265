"""Cut the year at one moment: what was bought before, and the next basket or weeks after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from llmrec.data.dataset import Dataset, Split
from llmrec.data.splits import TEST, TRAIN, _split

DAY = 86_400
LATER = -1  # events after the test part: in no part


def cut_split(dataset: Dataset, cut: int, days: float = 28.0) -> Split:
    """Learn from all events up to ``cut``; test on those of the ``days`` after it.

    Events after that are in no part. Several cuts of one dataset are several runs of the same
    question, as a shop would meet it: each knows its own past only.

    Parameters
    ----------
    cut:
        Seconds since 1970; events of that very second belong to train.
    days:
        Length of the test part, > 0.

    Raises
    ------
    ValueError
        When ``days`` is not positive, a timestamp is unknown or a part comes out empty.
    """
    if not days > 0:
        raise ValueError(f"cut_split: days={days} must be positive")
    time = dataset.interactions["timestamp"].to_numpy()
    if unknown := int((time == 0).sum()):
        raise ValueError(
            f"cut_split of {dataset.name!r}: {unknown} of {len(time)} timestamps are unknown (0):"
            " fill them in or use random_split"
        )
    part = np.where(time <= cut, TRAIN, np.where(time <= cut + days * DAY, TEST, LATER))
    return _split(dataset, "time", 0, part, needed=(TEST,))


def first_baskets(split: Split) -> Split:
    """Return the split with each user's first test basket alone as the test part.

    A basket is what one user took in one second: shops print one time on all lines of a receipt.
    """
    first = split.test.groupby("user")["timestamp"].transform("min")
    return replace(split, test=split.test[split.test["timestamp"] == first].reset_index(drop=True))

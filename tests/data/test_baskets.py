"""Cutting a year at one moment, and each household's first basket after it."""

import numpy as np
import pandas as pd
import pytest

from llmrec.data import Dataset, cut_split, first_baskets
from llmrec.evaluation import audit

DAY = 86_400


def shop(rows):
    """Rows are (user, item, day)."""
    user, item, day = np.array(rows).T
    events = pd.DataFrame(
        {"user": user, "item": item, "timestamp": day * DAY, "weight": 1.0, "action": "bought"}
    )
    return Dataset("shop", events, pd.DataFrame({"item": range(4), "title": list("abcd")}))


ROWS = [(0, 0, 1), (1, 1, 2), (0, 2, 3), (0, 3, 4), (0, 0, 4), (1, 1, 6), (0, 2, 5), (1, 0, 9)]


def test_train_ends_at_the_cut_and_test_after_so_many_days():
    split = cut_split(shop(ROWS), cut=3 * DAY, days=4)
    assert split.train["timestamp"].tolist() == [DAY, 2 * DAY, 3 * DAY]
    assert sorted(split.test["timestamp"] // DAY) == [4, 4, 5, 6]  # day 7 is in, day 9 is not
    assert split.history.equals(split.train)
    assert len(split.valid) == 0
    future = next(one for one in audit(split).findings if one.check == "future")
    assert future.status == "pass"


def test_the_borders_belong_to_the_earlier_part():
    split = cut_split(shop([(0, 0, 1), (0, 1, 3), (0, 2, 5), (0, 3, 6)]), cut=3 * DAY, days=2)
    assert split.train["item"].tolist() == [0, 1]
    assert split.test["item"].tolist() == [2]


def test_first_basket_is_all_that_was_bought_in_its_second():
    split = first_baskets(cut_split(shop(ROWS), cut=3 * DAY, days=10))
    taken = split.test.groupby("user")["item"].apply(sorted).to_dict()
    assert taken == {0: [0, 3], 1: [1]}
    assert len(split.train) == 3


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="days=0 must be positive"):
        cut_split(shop(ROWS), cut=3 * DAY, days=0)
    with pytest.raises(ValueError, match="leaves test empty"):
        cut_split(shop(ROWS), cut=99 * DAY)
    with pytest.raises(ValueError, match="leaves train empty"):
        cut_split(shop(ROWS), cut=0)
    with pytest.raises(ValueError, match="1 of 2 timestamps are unknown"):
        cut_split(shop([(0, 0, 0), (0, 1, 1)]), cut=0)

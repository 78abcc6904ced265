"""What was first sold after a moment, and items made new."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch08_launches import first_sold, make_new
from llmrec.data import Dataset, cut_split

DAY = 86_400


def shop(rows):
    """Rows are (user, item, day)."""
    user, item, day = np.array(rows).T
    events = pd.DataFrame(
        {"user": user, "item": item, "timestamp": day * DAY, "weight": 1.0, "action": "bought"}
    )
    return Dataset("shop", events, pd.DataFrame({"item": range(5), "title": list("abcde")}))


ROWS = [(0, 0, 1), (1, 1, 2), (0, 2, 3), (1, 3, 4), (0, 1, 4), (1, 2, 5), (0, 4, 6)]


@pytest.mark.parametrize(
    ("after", "days", "wanted"),
    [(2, 2, [2, 3]), (3, 1, [3]), (3, 3, [3, 4]), (6, 9, []), (0, 9, [0, 1, 2, 3, 4])],
)
def test_a_launch_is_first_sold_after_the_moment_and_within_the_days(after, days, wanted):
    assert first_sold(shop(ROWS), after * DAY, days).tolist() == wanted


def test_launches_at_following_cuts_are_distinct():
    one, two = (first_sold(shop(ROWS), day * DAY, 2) for day in (2, 4))
    assert not set(one) & set(two)


def test_first_sold_refuses_unknown_times_and_empty_windows():
    with pytest.raises(ValueError, match="must be positive"):
        first_sold(shop(ROWS), DAY, 0)
    with pytest.raises(ValueError, match="1 of 2 timestamps are unknown"):
        first_sold(shop([(0, 0, 0), (0, 1, 1)]), DAY)


def test_nothing_is_known_of_an_item_made_new_and_what_is_held_out_stays():
    split = cut_split(shop(ROWS), cut=3 * DAY, days=9)
    new = make_new(split, [2])
    assert new.train["item"].tolist() == new.history["item"].tolist() == [0, 1]
    assert new.test.equals(split.test)
    assert new.cold_items.tolist() == [2, 3, 4]
    assert split.train["item"].tolist() == [0, 1, 2]  # the split itself is as it was


def test_make_new_refuses_unknown_codes_and_an_empty_train_part():
    split = cut_split(shop(ROWS), cut=3 * DAY, days=9)
    with pytest.raises(ValueError, match="5 is no item code"):
        make_new(split, [0, 5])
    with pytest.raises(ValueError, match="no train row is left"):
        make_new(split, range(5))

"""RecentPopularity: decayed events, in hand-computed fractions."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch08_recent_popularity import RecentPopularity
from llmrec.data import Dataset, History, cut_split

DAY = 86_400


@pytest.fixture
def split():
    # Item 0 on the last day and twice two days before, item 1 four days before, item 2 afterwards.
    rows = [(0, 0, 9), (0, 0, 7), (1, 0, 7), (1, 1, 5), (1, 2, 10)]
    user, item, day = np.array(rows).T
    events = pd.DataFrame(
        {"user": user, "item": item, "timestamp": day * DAY, "weight": 1.0, "action": "bought"}
    )
    data = Dataset("shop", events, pd.DataFrame({"item": range(3), "title": list("abc")}))
    return cut_split(data, 9 * DAY, 5)


def test_events_are_halved_every_half_life(split):
    model = RecentPopularity(half_life_days=2.0).fit(split)
    np.testing.assert_allclose(model.popularity_, [8 / 9, 1 / 9, 0], rtol=1e-6)  # 1+1/2+1/2, 1/4
    np.testing.assert_allclose(model.score(np.array([1, 0])), [[8 / 9, 1 / 9, 0]] * 2, rtol=1e-6)
    folded = model.fold_in([History([])])
    np.testing.assert_allclose(folded, [[8 / 9, 1 / 9, 0]], rtol=1e-6)


def test_an_infinite_half_life_counts_events(split):
    model = RecentPopularity(half_life_days=np.inf).fit(split)
    assert model.popularity_.tolist() == [0.75, 0.25, 0]


def test_a_half_life_must_be_positive(split):
    with pytest.raises(ValueError, match="half_life_days=0"):
        RecentPopularity(half_life_days=0).fit(split)

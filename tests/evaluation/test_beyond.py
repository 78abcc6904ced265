"""One small world in which every measure beside accuracy can be counted by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch12_groups import group_gaps
from llmrec.data import Dataset, Split, load, time_split
from llmrec.evaluation import beyond, category_matrix, compare, coverage, gini
from llmrec.models import Popularity

GENRES = ["Drama", "Comedy", "Drama, Comedy", "", "War"]


def frame(pairs):
    users, items = np.array(pairs, int).reshape(-1, 2).T
    return pd.DataFrame(
        {"user": users, "item": items, "timestamp": 0, "weight": 1.0, "action": "took"}
    )


@pytest.fixture
def split():
    """Four users; train counts of the items are 4, 2, 1, 1, 0; user 3's history is item 0 alone."""
    train = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 2), (2, 3), (3, 0)]
    items = pd.DataFrame({"item": range(5), "title": list("abcde"), "genres": GENRES})
    data = Dataset("toy", frame(train), items)
    test = frame([(user, 4) for user in range(4)])
    return Split(data, "toy", 0, frame(train + train[:1]), frame([]), test, frame(train))


VECTORS = np.array([[1, 0], [0, 1], [2, 0], [0, 0], [-3, 0]])
LISTS = np.array([[2, 4], [2, 3], [1, -1], [-1, -1]])


def test_every_measure_by_hand(split):
    categories, names = category_matrix(split.dataset.items["genres"])
    assert names == ["Comedy", "Drama", "War"]
    result = beyond(LISTS, split, VECTORS, categories, name="toy")
    # log2(4/c) is 0, 1, 2, 2 and, for the cold item counted as taken once, 2.
    np.testing.assert_allclose(result.values["novelty@2"], [2, 2, 1, np.nan])
    # History means (4+2)/2, (4+2)/2, (4+1+1)/3, 4; list means (1+0)/2, 1, 2.
    np.testing.assert_allclose(result.values["popularity_lift@2"], [1 / 6, 1 / 3, 1, np.nan])
    # Cosine -1; a zero vector; one item; none.
    np.testing.assert_allclose(result.values["diversity@2"], [2, 1, np.nan, np.nan])
    # (comedy, drama, war): user 0 history (½, ½, 0), list (¼, ¼, ½); user 1 list is the history's;
    # user 2 history 1 drama + half-half, item 3 has none: (¼, ¾, 0), list comedy alone.
    near = np.log(0.5 / (0.99 / 4 + 0.01 / 2))
    far = 0.25 * np.log(0.25 / (0.99 + 0.0025)) + 0.75 * np.log(100)
    np.testing.assert_allclose(result.values["miscalibration@2"], [near, 0, far, np.nan])
    # Exposures 0, 1, 2, 1, 1 of five items: sorted 0 1 1 1 2 with weights -4 -2 0 2 4.
    assert result.mean("coverage@2").value == 4 / 5
    assert result.mean("gini@2").value == pytest.approx((-2 + 0 + 2 + 8) / (5 * 5))


def test_the_table_says_for_how_many_users_each_measure_is_defined(split):
    table = beyond(LISTS, split, VECTORS, name="toy").table()
    assert table.index.tolist() == [
        "coverage@2",
        "gini@2",
        "novelty@2",
        "popularity_lift@2",
        "diversity@2",
    ]
    assert table["n"].tolist() == [4, 4, 3, 3, 2]
    assert table.loc["diversity@2", "value"] == 1.5
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    nothing = beyond(np.full((4, 2), -1), split, VECTORS).table()
    assert nothing.loc["coverage@2", "value"] == 0
    assert np.isnan(nothing.loc["gini@2", "value"])
    assert nothing.loc["novelty@2", "n"] == 0


def test_extremes_of_gini_and_coverage():
    assert gini([[0], [1], [2], [3]], 4) == 0
    assert gini([[1], [1], [1]], 4) == 3 / 4
    assert coverage([[1], [1], [1]], 4) == 1 / 4


def test_the_interval_of_coverage_is_the_jackknife_by_hand(split):
    """Left out in turn, the four users leave 3, 4, 3 and 4 of the five items covered."""
    estimate = beyond([[0, 1], [1, 2], [2, 3], [1, 2]], split).mean("coverage@2")
    left = np.array([3, 4, 3, 4]) / 5
    half = 1.959964 * np.sqrt(3 / 4 * ((left - left.mean()) ** 2).sum())
    assert estimate.value == 4 / 5
    assert estimate.low == pytest.approx(4 / 5 - half)
    assert estimate.high == 1  # never beyond what is possible


def test_jackknife_intervals_cover_what_other_users_would_get(split):
    """80 samples of 150 users: the mean over samples lies in 90 % or more of the intervals."""
    rng, n_items = np.random.default_rng(0), 400
    log_weight = -np.log(np.arange(1, n_items + 1))
    data = pd.DataFrame({"item": range(n_items), "title": "x"})
    events = frame([(user, 0) for user in range(150)])
    world = Split(Dataset("toy", events, data), "toy", 0, events, frame([]), events, events)
    found = []
    for _ in range(80):
        lists = np.argsort(-(log_weight + rng.gumbel(size=(150, n_items))), axis=1)[:, :5]
        found.append(beyond(lists, world).catalogue)
    for metric in ("coverage@5", "gini@5"):
        low, value, high = np.array(
            [(e[metric].low, e[metric].value, e[metric].high) for e in found]
        ).T
        assert np.mean((low <= value.mean()) & (value.mean() <= high)) >= 0.9
        assert np.mean(high - low) < 2 * 3.92 * value.std()  # and not by being endless


def test_results_can_be_compared_like_evaluations(split):
    wide = beyond([[2, 3], [2, 3], [1, 4], [1, 2]], split, name="wide")
    narrow = beyond([[1, 2], [2, 3], [1, 4], [1, 2]], split, name="narrow")
    assert compare(wide, narrow, "novelty@2").difference == pytest.approx(0.5 / 4)
    with pytest.raises(KeyError, match="wide has no 'ndcg@10': it has novelty@2, popularity"):
        wide.per_user("ndcg@10")


def test_users_can_be_chosen(split):
    result = beyond([[1, 2]], split, users=[3])
    np.testing.assert_allclose(result.values["popularity_lift@2"], [3 / 8])
    assert np.isnan(result.mean("coverage@2").low)  # one user has no interval


@pytest.mark.parametrize(
    ("lists", "options", "message"),
    [
        ([[0, 1]], {}, "1 lists for 4 users: pass users= with one code a list"),
        ([[0]], {"users": [4]}, "users hold a code that is none: codes run from 0 to 3"),
        ([[0]], {"users": [-1]}, "users hold a code that is none"),
        ([[0, 5]] * 4, {}, r"lists hold 5, but item codes run from 0 to 4 \(-1 pads\)"),
        ([[0, -2]] * 4, {}, "lists hold -2"),
        ([[0, 1], [1, 2], [2, 2], [0, 3]], {}, "list 2 holds an item twice"),
        ([[0.0, 1.0]] * 4, {}, "lists must be whole-number item codes"),
        ([[0, 1]] * 4, {"item_vectors": VECTORS[:3]}, r"item_vectors have shape \(3, 2\)"),
        ([[0, 1]] * 4, {"item_vectors": VECTORS * np.nan}, "item_vectors hold NaN"),
        ([[0, 1]] * 4, {"categories": [[1], [0]]}, r"categories have shape \(2, 1\)"),
    ],
)
def test_bad_input(split, lists, options, message):
    with pytest.raises(ValueError, match=message):
        beyond(lists, split, **options)


@pytest.mark.component
def test_popularity_on_movielens_is_narrow_and_miscalibrated():
    split = time_split(load("ml-100k"))
    users = np.setdiff1d(split.test_users, split.cold_users)
    categories, names = category_matrix(split.dataset.items["genres"])
    assert len(names) == 18
    popular = Popularity().fit(split).recommend(users, 10)[0]
    rng = np.random.default_rng(0)
    random = np.array([rng.choice(split.n_items, 10, replace=False) for _ in users])
    hits, anything = (beyond(x, split, None, categories, users) for x in (popular, random))
    assert hits.mean("coverage@10").high < 0.2 < anything.mean("coverage@10").low
    assert hits.mean("gini@10").low > anything.mean("gini@10").high
    assert hits.mean("popularity_lift@10").low > 1 > anything.mean("popularity_lift@10").high
    assert hits.mean("novelty@10").high < anything.mean("novelty@10").low
    gaps = group_gaps(hits, "popularity_lift@10", split, "gender")
    assert gaps["n"].sum() == len(users)

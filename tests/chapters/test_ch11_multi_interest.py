from dataclasses import replace

import numpy as np
import pytest

from chapters.ch11_multi_interest import MultiInterest
from chapters.ch11_tracking import decayed_interest
from llmrec.data import History
from llmrec.interest import interests
from llmrec.models import Features, TextSimilarity
from llmrec.vectors import unit_rows

DAY = 86_400


def plane(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


ITEMS = plane(0, 90, 10, 45, 100)


def timed(split, *days):
    """The split with these days as the times of its history."""
    times = DAY * np.array(days, np.int64)
    known = split.history.assign(timestamp=times)
    return replace(split, history=known, train=known)


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_one_interest_without_decay_is_text_similarity(planted, features, centre, temperature):
    one = MultiInterest(temperature=temperature, centre=centre).fit(planted, features)
    plain = TextSimilarity(centre=centre).fit(planted, features)
    users = np.arange(planted.n_users)
    np.testing.assert_allclose(one.score(users), plain.score(users), atol=1e-6)


def test_the_nearest_interest_answers(split_of):
    """Two interests at 0 and 90 degrees: the item between them is the worst, not the best."""
    split = split_of([(0, 0), (0, 1)], 1, 5)
    model = MultiInterest(distance=0.5).fit(split, Features(ITEMS))
    expected = np.cos(np.radians([0, 0, 10, 45, 10]))
    np.testing.assert_allclose(model.score(np.array([0])), [expected], atol=1e-6)
    single = MultiInterest().fit(split, Features(ITEMS)).score(np.array([0]))[0]
    assert single.argmax() == 3


def test_the_soft_maximum_by_hand(split_of):
    """Interests at 0 degrees (items 0 and 2, mean at 5) and at 90, shares 2/3 and 1/3."""
    split = split_of([(0, 0), (0, 2), (0, 1)], 1, 5)
    found = MultiInterest(0.5, temperature=0.5).fit(split, Features(ITEMS)).score(np.array([0]))
    to = np.radians([0, 90, 10, 45, 100])
    first, second = np.cos(to - np.radians(5)), np.cos(to - np.radians(90))
    expected = 0.5 * np.log(2 / 3 * np.exp(first / 0.5) + 1 / 3 * np.exp(second / 0.5))
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


def test_an_event_counts_half_after_a_half_life(split_of):
    split = timed(split_of([(0, 0), (0, 1)], 1, 5), 1, 11)
    model = MultiInterest(half_life_seconds=10 * DAY).fit(split, Features(ITEMS))
    np.testing.assert_allclose(model.histories_.toarray(), [[0.5, 1, 0, 0, 0]])
    toward = decayed_interest(ITEMS[:2], [1, 11], 10)
    expected = unit_rows(toward[None]) @ ITEMS.T
    np.testing.assert_allclose(model.score(np.array([0])), expected, atol=1e-6)


def test_decay_shifts_the_shares_of_the_interests(split_of):
    """An old interest with two items against a new one with one: memory decides which leads."""
    cells = [(0, 0), (0, 2), (0, 1)]
    split = timed(split_of(cells, 1, 5), 1, 1, 31)
    at_45 = []
    for half_life in (np.inf, 10 * DAY):
        model = MultiInterest(0.5, half_life, temperature=10.0).fit(split, Features(ITEMS))
        at_45.append(model.score(np.array([0]))[0, [2, 4]])
    assert at_45[0][0] > at_45[0][1]
    assert at_45[1][0] < at_45[1][1]


def test_the_latest_of_several_events_counts(split_of):
    split = timed(split_of([(0, 0), (0, 0), (0, 1)], 1, 5), 21, 1, 31)
    model = MultiInterest(half_life_seconds=10 * DAY).fit(split, Features(ITEMS))
    np.testing.assert_allclose(model.histories_.toarray(), [[0.5, 1, 0, 0, 0]])


def test_the_vectors_are_those_of_the_measure(split_of):
    rng = np.random.default_rng(0)
    rows = unit_rows(rng.normal(size=(40, 4)))
    taken = rng.choice(40, 25, replace=False)
    split = split_of([(0, item) for item in taken], 1, 40)
    found = MultiInterest(distance=0.6).fit(split, Features(rows)).score(np.array([0]))[0]
    own = rows[np.sort(taken)]
    labels = interests(own, 0.6)
    vectors = unit_rows(np.stack([own[labels == k].mean(axis=0) for k in range(labels.max() + 1)]))
    assert len(vectors) > 2
    np.testing.assert_allclose(found, (vectors @ rows.T).max(axis=0), atol=1e-5)


def test_many_small_interests_are_the_nearest_item(split_of):
    split = split_of([(0, 0), (0, 1), (0, 2)], 1, 5)
    found = MultiInterest(distance=1e-6).fit(split, Features(ITEMS)).score(np.array([0]))
    np.testing.assert_allclose(found[0], (ITEMS[:3] @ ITEMS.T).max(axis=0), atol=1e-6)


def test_items_without_text_say_nothing(split_of):
    rows = ITEMS.copy()
    rows[1] = 0
    features = Features(rows)
    with_it = MultiInterest(0.5).fit(split_of([(0, 0), (0, 1)], 1, 5), features)
    without = MultiInterest(0.5).fit(split_of([(0, 0)], 1, 5), features)
    np.testing.assert_array_equal(with_it.score(np.array([0])), without.score(np.array([0])))
    nobody = MultiInterest(0.5).fit(split_of([(0, 1)], 1, 5), features)
    assert not nobody.score(np.array([0])).any()


def test_fold_in_reads_times_and_without_them_counts_all_alike(split_of):
    split = timed(split_of([(0, 0), (0, 1)], 1, 5), 1, 11)
    model = MultiInterest(0.5, 10 * DAY, temperature=0.2).fit(split, Features(ITEMS))
    times = DAY * np.array([101, 111])  # the age counts back from the user's own latest event
    folded = model.fold_in([History([0, 1], times), History([0, 1])])
    np.testing.assert_array_equal(folded[0], model.score(np.array([0]))[0])
    alike = MultiInterest(0.5, temperature=0.2).fit(split, Features(ITEMS)).score(np.array([0]))
    np.testing.assert_array_equal(folded[1], alike[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": 0}, "distance=0 and half_life_seconds=inf must be positive"),
        ({"half_life_seconds": -1}, "half_life_seconds=-1 must be positive"),
        ({"temperature": -1}, "temperature=-1 at least 0"),
        ({"half_life_seconds": 5.0}, r"2 of 2 timestamps .* use half_life_seconds=inf"),
    ],
)
def test_bad_values_are_named(split_of, options, message):
    with pytest.raises(ValueError, match=message):
        MultiInterest(**options).fit(split_of([(0, 0), (0, 1)], 1, 5), Features(ITEMS))

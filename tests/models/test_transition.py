import dataclasses

import numpy as np
import pytest
from scipy import sparse

from llmrec.models import TransitionKNN
from llmrec.models.transition import recency_weights

EXACT = {"backward": 0.5, "shrinkage": 1.0, "popularity": 1.0, "recency": 0.5}
ROWS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]  # user 0 took 0, 1, 2; user 1 took 0, 2
ROOT2 = 2**0.5
# W: 0→1 is 1, 1→2 is 1, 0→2 is 1/2 (gap 2) + 1. Items 0, 1, 2 have 2, 1, 2 events.
EXPECTED = [
    [0, 1 / (ROOT2 + 1), 1.5 / (2 * ROOT2 + 1)],
    [0.5 / (2 + 1), 0, 1 / (2 + 1)],
    [0.75 / (2 * ROOT2 + 1), 0.5 / (ROOT2 + 1), 0],
]


def timed(split, times):
    """Return the split with these timestamps, in train and history alike."""
    train = split.train.assign(timestamp=np.asarray(times, np.int64))
    return dataclasses.replace(split, train=train, history=train)


def test_hand_example(split_of):
    model = TransitionKNN(**EXACT).fit(split_of(ROWS, 2, 3))
    np.testing.assert_allclose(model.transitions_.toarray(), EXPECTED, rtol=1e-6)
    of_user_1 = np.array(EXPECTED[2]) + 0.5 * np.array(EXPECTED[0])  # 2 is the latest, then 0
    np.testing.assert_allclose(model.score(np.array([1])), [of_user_1], rtol=1e-6)


def test_the_window_bounds_the_gap(split_of):
    narrow = TransitionKNN(**EXACT, window=1).fit(split_of(ROWS, 2, 3)).transitions_
    assert narrow[0, 2] == pytest.approx(1 / (2 * ROOT2 + 1))  # user 1's alone
    wide = TransitionKNN(**EXACT, window=2).fit(split_of(ROWS, 2, 3)).transitions_
    np.testing.assert_allclose(wide.toarray(), EXPECTED, rtol=1e-6)


def test_direction_counts_unless_backward_is_1(split_of):
    split = split_of(ROWS, 2, 3)
    one_way = TransitionKNN(backward=0.0, popularity=0.5).fit(split).transitions_.toarray()
    assert (one_way[np.tril_indices(3)] == 0).all()
    both = TransitionKNN(backward=1.0, popularity=0.5).fit(split).transitions_.toarray()
    np.testing.assert_allclose(both, both.T)


def test_timestamps_order_a_sequence_and_rows_break_ties(split_of):
    # Rows 0, 2, 1 of user 0 with times 1, 2, 2: 0, 2, 1. User 1's rows stand in reverse.
    split = timed(split_of([(1, 2), (0, 0), (0, 2), (1, 0), (0, 1)], 2, 3), [9, 1, 2, 3, 2])
    moved = TransitionKNN(backward=0.0, shrinkage=0.0, popularity=0.0).fit(split).transitions_
    # 0→2: user 0 and user 1, 2→1 and 0→1 (gap 2): user 0.
    expected = np.array([[0, 0.5, 2], [0, 0, 0], [0, 1, 0]]) / np.sqrt([[2], [1], [2]])
    np.testing.assert_allclose(moved.toarray(), expected, rtol=1e-6)
    ages = recency_weights(split, 0.5).toarray()
    np.testing.assert_allclose(ages, [[0.25, 1, 0.5], [0.5, 0, 1]])


def test_a_repeated_item_does_not_follow_itself_and_counts_at_its_latest_place(split_of):
    split = split_of([(0, 0), (0, 0), (0, 1)], 1, 2)
    model = TransitionKNN(backward=0.0, shrinkage=0.0, popularity=0.0).fit(split)
    expected = [[0, 1.5 / ROOT2], [0, 0]]  # gaps 1 and 2; item 0 has two events
    np.testing.assert_allclose(model.transitions_.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(recency_weights(split, 0.5).toarray(), [[0.5, 1]])


def test_neighbours_keeps_the_largest_of_each_column(split_of):
    kept = TransitionKNN(**EXACT, neighbours=1).fit(split_of(ROWS, 2, 3)).transitions_.toarray()
    expected = np.array(EXPECTED)
    expected[[2, 2], [0, 1]] = [0.75 / (2 * ROOT2 + 1), 0]  # column 0 keeps 2, column 1 keeps 0
    expected[1, 0] = 0
    expected[0, 2] = 1.5 / (2 * ROOT2 + 1)
    expected[1, 2] = 0
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_cold_users_are_scored_in_their_order_and_folded_in_without_it(split_of):
    split = split_of(ROWS, 3, 3, history=[(2, 1), (2, 0)])
    model = TransitionKNN(**EXACT).fit(split)
    rows = np.array(EXPECTED)
    np.testing.assert_allclose(model.score(np.array([2])), [rows[0] + 0.5 * rows[1]], rtol=1e-6)
    folded = model.fold_in(sparse.csr_matrix([[1.0, 1.0, 0.0]]))
    np.testing.assert_allclose(folded, [rows[0] + rows[1]], rtol=1e-6)


def test_single_events_give_no_transition(split_of):
    model = TransitionKNN().fit(split_of([(0, 0), (1, 1)], 2, 2))
    assert model.transitions_.nnz == 0
    assert (model.score(np.array([0, 1])) == 0).all()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"window": 0}, "window=0 and neighbours=500 must be at least 1"),
        ({"neighbours": 0}, "must be at least 1"),
        ({"backward": -0.1}, "backward=-0.1, shrinkage=10.0 and popularity=0.1 must be at least 0"),
        ({"shrinkage": -1.0}, "must be at least 0"),
        ({"popularity": -1.0}, "must be at least 0"),
        ({"recency": 0.0}, r"recency=0.0 is not in \(0, 1\]"),
        ({"recency": 1.1}, "recency=1.1"),
    ],
)
def test_bad_arguments(planted, bad, message):
    with pytest.raises(ValueError, match=message):
        TransitionKNN(**bad).fit(planted)

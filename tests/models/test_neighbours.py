import dataclasses
import warnings

import numpy as np
import pytest
from scipy import sparse

from llmrec.data import History, histories_of
from llmrec.models import Features, ItemKNN, TextKNN, TextSimilarity, TransitionKNN, neighbours
from llmrec.models.neighbours import keep_largest, recency_weights


def brute_force(x, neighbours, shrinkage):
    n = x.shape[1]
    out = np.zeros((n, n))
    for i in range(n):
        scored = []
        for j in range(n):
            dot = float(x[:, i] @ x[:, j])
            if i != j and dot > 0:
                length = np.sqrt(x[:, i].sum() * x[:, j].sum())
                scored.append((-dot / (length + shrinkage), j))
        for value, j in sorted(scored)[:neighbours]:
            out[j, i] = -value
    return out


@pytest.mark.parametrize("shrinkage", [0.0, 3.5])
@pytest.mark.parametrize("neighbours", [1, 4, 100])
def test_equals_brute_force(split_of, neighbours, shrinkage):
    x = (np.random.default_rng(1).random((25, 14)) < 0.3).astype(float)
    x[:, 5] = 0  # a cold item
    split = split_of(np.argwhere(x), *x.shape)
    model = ItemKNN(neighbours, shrinkage).fit(split)
    expected = brute_force(x, neighbours, shrinkage)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, atol=1e-6)
    np.testing.assert_allclose(model.score(np.arange(25)), x @ expected, atol=1e-5)


def test_hand_example(split_of):
    # item 0: users 0, 1; item 1: users 0, 1, 2; item 2: user 2. cos(0,1) = 2/√6, cos(1,2) = 1/√3
    split = split_of([(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (2, 2)], 3, 3)
    scores = ItemKNN().fit(split).score(np.array([2]))
    np.testing.assert_allclose(scores, [[2 / 6**0.5, 1 / 3**0.5, 1 / 3**0.5]], rtol=1e-6)


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"shrinkage": -1.0}])
def test_bad_arguments(planted, bad):
    with pytest.raises(ValueError, match="must be at least 1 and"):
        ItemKNN(**bad).fit(planted)


# Users 0 … 3 took 2, 1, 3 and 1 of the 3 items; items have 3, 2 and 2 users.
CELLS = [(0, 0), (0, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0)]


def test_tfidf_by_hand(split_of):
    model = ItemKNN(weighting="tfidf", shrinkage=0.1).fit(split_of(CELLS, 4, 3))
    # ln(3 / (1 + n)): 0 for user 0, ln(3/2) for users 1 and 3, ln(3/4) < 0 for user 2.
    one, all_ = np.log(3 / 2) ** 2, np.log(3 / 4) ** 2
    lengths = np.sqrt([all_ + one, all_, one + all_])
    expected = all_ / (np.outer(lengths, lengths) + 0.1)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-6)


def test_bm25_by_hand(split_of):
    model = ItemKNN(weighting="bm25").fit(split_of(CELLS, 4, 3))
    mean = 7 / 3
    factor = [2.2 / (1.2 * (0.25 + 0.75 * n / mean) + 1) for n in (3, 2, 2)]
    expected = (
        np.outer(factor, factor) * np.log(3 / 4) ** 2
    )  # user 2 alone links them: 0's idf is 0
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("weighting", "peer"),
    [("none", "CosineRecommender"), ("tfidf", "TFIDFRecommender"), ("bm25", "BM25Recommender")],
)
def test_weightings_equal_those_of_implicit(split_of, weighting, peer):
    nearest = pytest.importorskip("implicit.nearest_neighbours")
    x = np.random.default_rng(2).random((40, 15)) < 0.3
    split = split_of(np.argwhere(x), *x.shape)
    theirs = getattr(nearest, peer)(K=15, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the COO matrix that it makes itself
        theirs.fit(split.matrix("train").astype(np.float64), show_progress=False)
    expected = theirs.similarity.toarray()
    np.fill_diagonal(expected, 0)  # they keep an item as its own neighbour
    ours = ItemKNN(neighbours=15, weighting=weighting).fit(split).similarity_.toarray()
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_user_whose_idf_is_0_divides_nothing_by_0(split_of):
    model = ItemKNN(weighting="tfidf").fit(split_of([(0, 0), (0, 1)], 1, 3))
    assert model.similarity_.nnz == 0


def test_unknown_weighting(planted):
    with pytest.raises(ValueError, match="weighting='idf' is none of none, tfidf, bm25"):
        ItemKNN(weighting="idf").fit(planted)
    with pytest.raises(ValueError, match=r"shrinkage=2.0 has no denominator .* leave it at 0"):
        ItemKNN(weighting="bm25", shrinkage=2.0).fit(planted)


def test_keep_largest_equals_a_sort_of_every_column():
    rng = np.random.default_rng(0)
    dense = rng.integers(-2, 4, (40, 30)) * (rng.random((40, 30)) < 0.5)
    kept = keep_largest(sparse.csc_matrix(dense.astype(float)), 6).toarray()
    for column, found in zip(dense.T, kept.T, strict=True):
        rows = [row for row in np.argsort(-column, kind="stable") if column[row]][:6]
        expected = np.zeros(40)
        expected[rows] = column[rows]
        np.testing.assert_array_equal(found, expected)


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


def test_transitions_by_hand(split_of):
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
    ages = recency_weights(histories_of(split), split.n_items, 0.5).toarray()
    np.testing.assert_allclose(ages, [[0.25, 1, 0.5], [0.5, 0, 1]])


def test_a_repeated_item_does_not_follow_itself_and_counts_at_its_latest_place(split_of):
    split = split_of([(0, 0), (0, 0), (0, 1)], 1, 2)
    model = TransitionKNN(backward=0.0, shrinkage=0.0, popularity=0.0).fit(split)
    expected = [[0, 1.5 / ROOT2], [0, 0]]  # gaps 1 and 2; item 0 has two events
    np.testing.assert_allclose(model.transitions_.toarray(), expected, rtol=1e-6)
    np.testing.assert_allclose(
        recency_weights(histories_of(split), split.n_items, 0.5).toarray(), [[0.5, 1]]
    )


def test_neighbours_keeps_the_largest_of_each_column(split_of):
    kept = TransitionKNN(**EXACT, neighbours=1).fit(split_of(ROWS, 2, 3)).transitions_.toarray()
    expected = np.array(EXPECTED)
    expected[[2, 2], [0, 1]] = [0.75 / (2 * ROOT2 + 1), 0]  # column 0 keeps 2, column 1 keeps 0
    expected[1, 0] = 0
    expected[0, 2] = 1.5 / (2 * ROOT2 + 1)
    expected[1, 2] = 0
    np.testing.assert_allclose(kept, expected, rtol=1e-6)


def test_cold_users_and_histories_are_scored_in_their_order(split_of):
    split = split_of(ROWS, 3, 3, history=[(2, 1), (2, 0)])
    model = TransitionKNN(**EXACT).fit(split)
    rows = np.array(EXPECTED)
    np.testing.assert_allclose(model.score(np.array([2])), [rows[0] + 0.5 * rows[1]], rtol=1e-6)
    folded = model.fold_in([History([1, 0]), History([0, 1]), History([0, 1, 0])])
    wanted = [rows[0] + 0.5 * rows[1], rows[1] + 0.5 * rows[0], rows[0] + 0.5 * rows[1]]
    np.testing.assert_allclose(folded, wanted, rtol=1e-6)


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
def test_transition_refuses_bad_arguments(planted, bad, message):
    with pytest.raises(ValueError, match=message):
        TransitionKNN(**bad).fit(planted)


# Cosines: 0·1 = 0.8, 0·2 = 0, 0·3 = -1, 1·2 = 0.6; item 4 has no text. Lengths do not count.
VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 2], [-1, 0], [0, 0]], np.float32)
TAKEN = [(0, 0), (0, 1), (1, 2), (1, 1)]


def test_text_votes_by_hand(split_of):
    model = TextKNN(power=2, recency=0.5).fit(split_of(TAKEN, 2, 5), Features(items=VECTORS))
    near, far = 0.8**2, 0.6**2
    expected = np.zeros((5, 5))
    expected[[0, 1, 1, 2], [1, 0, 2, 1]] = [near, near, far, far]
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-5)
    scores = model.score(np.array([0, 1]))  # the latest of both is 1; 0 or 2 came before it
    by_hand = [expected[1] + 0.5 * expected[0], expected[1] + 0.5 * expected[2]]
    np.testing.assert_allclose(scores, by_hand, rtol=1e-5)


def test_each_item_votes_for_its_nearest_and_ties_go_to_the_smaller_code(split_of):
    split, text = split_of(TAKEN, 2, 5), Features(items=VECTORS)
    votes = TextKNN(power=1, neighbours=1).fit(split, text).similarity_.toarray()
    expected = np.zeros((5, 5))
    expected[[0, 1, 2], [1, 0, 1]] = [0.8, 0.8, 0.6]
    np.testing.assert_allclose(votes, expected, rtol=1e-5)
    equal = Features(items=np.ones((5, 2), np.float32))
    tied = TextKNN(neighbours=2).fit(split, equal).similarity_.toarray()
    assert [np.flatnonzero(row).tolist() for row in tied] == [
        [1, 2],
        [0, 2],
        [0, 1],
        [0, 1],
        [0, 1],
    ]


def test_blocks_of_texts_do_not_change_the_result(split_of, features, monkeypatch, planted):
    whole = TextKNN(neighbours=7).fit(planted, features).similarity_.toarray()
    monkeypatch.setattr(neighbours, "ROWS", 13)
    in_blocks = TextKNN(neighbours=7).fit(planted, features).similarity_.toarray()
    np.testing.assert_allclose(in_blocks, whole, rtol=1e-5)


def test_power_1_without_limits_ranks_unseen_items_as_the_mean_of_the_history_does(split_of):
    text = np.random.default_rng(0).random((8, 4)).astype(np.float32)  # all cosines positive
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    split = split_of([(0, 0), (0, 3), (0, 5)], 1, 8)
    knn = TextKNN(power=1).fit(split, Features(items=text)).recommend(np.array([0]), 5)[0]
    mean = TextSimilarity().fit(split, Features(items=text)).recommend(np.array([0]), 5)[0]
    assert knn.tolist() == mean.tolist()


@pytest.mark.parametrize("bad", [{"power": 0.0}, {"power": np.nan}, {"neighbours": 0}])
def test_text_knn_refuses_bad_arguments(planted, features, bad):
    with pytest.raises(ValueError, match="must be positive and neighbours="):
        TextKNN(**bad).fit(planted, features)


def test_text_knn_refuses_a_bad_recency(planted, features):
    with pytest.raises(ValueError, match="recency=0 is not in"):
        TextKNN(recency=0).fit(planted, features)

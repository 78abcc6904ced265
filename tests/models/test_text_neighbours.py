import numpy as np
import pytest

from llmrec.models import Features, TextKNN, TextSimilarity, text_neighbours

# Cosines: 0·1 = 0.8, 0·2 = 0, 0·3 = -1, 1·2 = 0.6; item 4 has no text. Lengths do not count.
VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 2], [-1, 0], [0, 0]], np.float32)
ROWS = [(0, 0), (0, 1), (1, 2), (1, 1)]


def test_hand_example(split_of):
    model = TextKNN(power=2, recency=0.5).fit(split_of(ROWS, 2, 5), Features(items=VECTORS))
    near, far = 0.8**2, 0.6**2
    expected = np.zeros((5, 5))
    expected[[0, 1, 1, 2], [1, 0, 2, 1]] = [near, near, far, far]
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-5)
    scores = model.score(np.array([0, 1]))  # the latest of both is 1; 0 or 2 came before it
    by_hand = [expected[1] + 0.5 * expected[0], expected[1] + 0.5 * expected[2]]
    np.testing.assert_allclose(scores, by_hand, rtol=1e-5)


def test_each_item_votes_for_its_nearest_and_ties_go_to_the_smaller_code(split_of):
    split, text = split_of(ROWS, 2, 5), Features(items=VECTORS)
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


def test_blocks_do_not_change_the_result(split_of, features, monkeypatch, planted):
    whole = TextKNN(neighbours=7).fit(planted, features).similarity_.toarray()
    monkeypatch.setattr(text_neighbours, "ROWS", 13)
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
def test_bad_arguments(planted, features, bad):
    with pytest.raises(ValueError, match="must be positive and neighbours="):
        TextKNN(**bad).fit(planted, features)


def test_bad_recency(planted, features):
    with pytest.raises(ValueError, match="recency=0 is not in"):
        TextKNN(recency=0).fit(planted, features)

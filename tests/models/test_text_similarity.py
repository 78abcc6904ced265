import numpy as np
import pytest

from llmrec.data import History
from llmrec.models import Features, TextSimilarity

ITEMS = np.array([[1, 0], [0, 1], [0.6, 0.8], [0, 0]], np.float32)


def test_hand_example(split_of):
    split = split_of([(0, 0), (1, 0), (1, 1)], 3, 4)
    scores = TextSimilarity().fit(split, Features(ITEMS)).score(np.arange(3))
    half = 0.5**0.5
    expected = [[1, 0, 0.6, 0], [half, half, 1.4 * half, 0], [0, 0, 0, 0]]  # user 2: no history
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_weights_pull_the_mean(split_of):
    split = split_of([(0, 0), (0, 1)], 1, 4, weights=[3, 4])
    weighted = TextSimilarity(weighted=True).fit(split, Features(ITEMS))
    np.testing.assert_allclose(weighted.score(np.array([0])), [[0.6, 0.8, 1.0, 0.0]], atol=1e-6)
    folded = weighted.fold_in([History([0, 1, 1], weights=[3, 1, 3])])
    np.testing.assert_allclose(folded, weighted.score(np.array([0])), atol=1e-6)


def test_user_vectors_replace_the_mean(split_of):
    split = split_of([(0, 0)], 1, 4)
    features = Features(ITEMS, users=np.array([[0.0, 2.0]]))
    scores = TextSimilarity().fit(split, features).score(np.array([0]))
    np.testing.assert_allclose(scores, [[0, 1, 0.8, 0]], atol=1e-6)


def test_centring_takes_away_what_the_warm_items_share(split_of):
    """Items 0 and 1 are warm: the mean is (2, 1); item 3 has no text and keeps its zero row."""
    items = np.array([[3, 1], [1, 1], [2, 3], [0, 0]], np.float32)
    split = split_of([(0, 0), (1, 1)], 3, 4)
    model = TextSimilarity(centre=True).fit(split, Features(items))
    np.testing.assert_allclose(model.items_, [[1, 0], [-1, 0], [0, 1], [0, 0]], atol=1e-6)
    expected = [[1, -1, 0, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(model.score(np.arange(3)), expected, atol=1e-6)


def test_centring_takes_the_users_own_mean_from_user_vectors(split_of):
    items = np.array([[1, 0], [-1, 0], [0, 1], [0, 0]], np.float32)
    users = np.array([[9, 5], [5, 5], [7, 8]], np.float32)  # user 2 has no train row
    split = split_of([(0, 0), (1, 1)], 3, 4)
    model = TextSimilarity(centre=True).fit(split, Features(items, users))
    np.testing.assert_allclose(model.users_, [[1, 0], [-1, 0], [0, 1]], atol=1e-6)


def test_centring_nothing_changes_nothing(split_of):
    items = np.array([[0, 0], [1, 1]], np.float32)  # the only warm item has no text
    model = TextSimilarity(centre=True).fit(split_of([(0, 0)], 1, 2), Features(items))
    assert np.array_equal(model.items_[0], [0, 0])
    assert model.items_[1] == pytest.approx([0.5**0.5, 0.5**0.5])


@pytest.mark.parametrize(
    ("users", "message"),
    [
        (np.ones((1, 3)), "users vectors have 3 dimensions but items have 2"),
        (np.ones((2, 2)), r"users vectors have shape \(2, 2\), expected \(1, d\)"),
        (np.full((1, 2), np.inf), "users vectors of row 0 hold NaN or infinity"),
    ],
)
def test_bad_user_vectors(split_of, users, message):
    with pytest.raises(ValueError, match=message):
        TextSimilarity().fit(split_of([(0, 0)], 1, 4), Features(ITEMS, users=users))

import numpy as np
import pytest
from scipy import sparse

from llmrec.data import History
from llmrec.models import Features, GivenScores, Popularity, TextSimilarity, top_k
from llmrec.models.base import mean_history


def test_top_k_breaks_ties_by_item_code_and_pads():
    scores = np.array([[1, 3, 3, 2, 3], [-np.inf, 0, -np.inf, 0, -np.inf]], np.float32)
    items, best = top_k(scores, 3)
    assert items.tolist() == [[1, 2, 4], [1, 3, -1]]
    assert best.tolist() == [[3, 3, 3], [0, 0, -np.inf]]
    assert top_k(scores, 2)[0].tolist() == [[1, 2], [1, 3]]  # a tie across the border


def test_top_k_equals_a_full_sort_on_many_ties():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (40, 25)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.4] = -np.inf
    for k in (1, 5, 24, 25, 40):
        items, best = top_k(scores, k)
        for row in range(40):
            ranked = sorted((-scores[row, i], i) for i in range(25) if scores[row, i] > -np.inf)[:k]
            expected = [i for _, i in ranked] + [-1] * (k - len(ranked))
            assert items[row].tolist() == expected
            assert best[row][: len(ranked)].tolist() == [-s for s, _ in ranked]


def test_seen_items_come_from_history_not_only_train(split_of):
    split = split_of([(0, 0), (1, 0), (1, 1)], 2, 4, history=[(0, 3)])
    items, scores = Popularity().fit(split).recommend(np.array([0, 1]), 3)
    assert items.tolist() == [[1, 2, -1], [2, 3, -1]]
    assert scores.tolist() == [[0.5, 0.0, -np.inf], [0.0, 0.0, -np.inf]]


def test_blocks_do_not_change_the_lists(planted, features, monkeypatch):
    model = TextSimilarity().fit(planted, features)
    whole = model.recommend(np.arange(30), 7)[0]
    monkeypatch.setattr("llmrec.models.base.BLOCK", 100)  # two users a block
    assert np.array_equal(model.recommend(np.arange(30), 7)[0], whole)


def test_a_failed_fit_leaves_the_model_unfitted(planted):
    model = TextSimilarity()
    with pytest.raises(ValueError, match="needs items vectors"):
        model.fit(planted, Features())
    with pytest.raises(ValueError, match="not fitted"):
        model.score(np.array([0]))
    with pytest.raises(AttributeError, match="TextSimilarity has no attribute 'scroe'"):
        _ = model.scroe


def test_mean_history_by_hand():
    items = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    histories = sparse.csr_matrix(np.array([[3.0, 4.0], [0.0, 0.0]], np.float32))
    np.testing.assert_allclose(mean_history(histories, items), [[0.6, 0.8], [0, 0]], atol=1e-7)


@pytest.fixture
def split(split_of):
    return split_of([(0, 0), (1, 2)], 2, 3)


def test_the_given_table_is_ranked_without_what_was_seen(split):
    model = GivenScores(np.array([[9.0, 1.0, 2.0], [0.5, 0.25, 9.0]])).fit(split)
    assert model.score(np.array([1, 0])).tolist() == [[0.5, 0.25, 9.0], [9.0, 1.0, 2.0]]
    assert model.score(np.array([1])).dtype == np.float32
    assert model.recommend(np.array([0, 1]), 2)[0].tolist() == [[2, 1], [0, 1]]


def test_a_table_of_another_shape_or_with_gaps_is_refused(split):
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(2, 3\)"):
        GivenScores(np.zeros((3, 2))).fit(split)
    with pytest.raises(ValueError, match="NaN or infinity"):
        GivenScores(np.array([[0, np.nan, 0], [0, 0, 0]])).fit(split)


def test_unknown_users_and_histories_are_refused(split):
    model = GivenScores(np.zeros((2, 3))).fit(split)
    with pytest.raises(ValueError, match="unknown user code 2"):
        model.score(np.array([2]))
    with pytest.raises(NotImplementedError, match="cannot score users unseen in training"):
        model.fold_in([History([0])])


def test_repr_tells_the_shape_not_the_numbers():
    assert repr(GivenScores(np.zeros((2, 3)))) == "GivenScores(scores=(2, 3))"

import numpy as np
import pytest
from scipy import sparse

from llmrec.models import Features, Popularity, TextSimilarity, top_k
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

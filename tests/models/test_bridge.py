import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from llmrec.models import EASE, Bridge, Features
from llmrec.models.bridge import text_map


def test_equals_ridge_from_text_to_each_users_ease_scores(planted, features):
    ease = EASE(l2=5.0).fit(planted).score(np.arange(30))
    bridge = Bridge(l2=5.0, alpha=0.7).fit(planted, features).score(np.arange(30))
    warm = np.arange(47)
    ridge = Ridge(alpha=0.7).fit(features.items[warm], ease[:, warm].T)
    expected = ridge.predict(features.items).T
    # the bridge leaves out each user's intercept, which no ranking sees
    gap = expected - bridge
    np.testing.assert_allclose(gap, np.repeat(gap[:, :1], 50, axis=1), atol=1e-5)


def test_scores_are_history_times_map_times_text(planted, features):
    model = Bridge(l2=5.0, alpha=0.7).fit(planted, features)
    centred = features.items - features.items[:47].mean(axis=0)
    expected = planted.matrix("history") @ model.map_ @ centred.T
    np.testing.assert_allclose(model.score(np.arange(30)), expected, atol=1e-4)


def test_wide_vectors_take_the_smaller_inverse_to_the_same_scores(planted, features):
    wide = np.linalg.qr(np.random.default_rng(0).normal(size=(90, 8)))[0].T  # more than 47 columns
    rotated = Features(items=features.items.astype(np.float64) @ wide)
    narrow = Bridge(l2=5.0, alpha=0.7).fit(planted, features)
    model = Bridge(l2=5.0, alpha=0.7).fit(planted, rotated)
    assert model.map_.shape == (50, 90)
    np.testing.assert_allclose(model.weights_, narrow.weights_, atol=1e-5)
    np.testing.assert_allclose(model.map_ @ wide.T, narrow.map_, atol=1e-5)


def test_keep_warm_leaves_ease_untouched(planted, features):
    kept = Bridge(l2=5.0, keep_warm=True).fit(planted, features).score(np.arange(30))
    ease = EASE(l2=5.0).fit(planted).score(np.arange(30))
    np.testing.assert_allclose(kept[:, :47], ease[:, :47], atol=1e-5)
    assert np.abs(kept[:27, 47:]).min() > 0
    assert not ease[:, 47:].any()


@pytest.mark.parametrize(("bad", "word"), [({"alpha": 0.0}, "alpha"), ({"l2": -1.0}, "l2")])
def test_bad_arguments(planted, features, bad, word):
    with pytest.raises(ValueError, match=f"{word}=.* must be positive"):
        Bridge(**bad).fit(planted, features)


def test_an_item_without_a_text_teaches_nothing_and_scores_nothing(planted, features):
    """Its zero row is no text: it is neither part of the mean nor, centred, its opposite."""
    items = features.items.copy()
    items[[3, 49]] = 0  # a warm and a cold one
    model = Bridge(l2=5.0, alpha=0.7).fit(planted, Features(items=items))
    assert not model.weights_[:, [3, 49]].any()
    others = np.setdiff1d(np.arange(47), 3)
    ease = EASE(l2=5.0).fit(planted).weights_.astype(np.float64)
    expected, _ = text_map(ease, features.items, others, 0.7)
    np.testing.assert_allclose(model.map_, expected, atol=1e-5)


@pytest.mark.parametrize("size", [12, 80])  # fewer and more dimensions than items
def test_sparse_weights_and_texts_give_the_same_map(size):
    rng = np.random.default_rng(0)
    text = (rng.random((60, size)) * (rng.random((60, size)) < 0.08)).astype(np.float32)
    weights = sparse.random(60, 60, 0.1, "csr", random_state=0)
    warm = np.arange(5, 60)
    assert (text[warm] == 0).all(axis=1).any() or size > 12
    dense, sparse_ = (text_map(b, text, warm, 0.5)[0] for b in (weights.toarray(), weights))
    np.testing.assert_allclose(sparse_, dense, atol=1e-12)
    assert np.abs(dense).max() > 0.01

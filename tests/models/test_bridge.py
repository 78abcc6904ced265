import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from llmrec.models import EASE, Bridge, Features, ItemKNN, NeighbourBridge, TextEASE
from llmrec.models.bridge import text_map


def test_equals_ridge_from_text_to_each_users_ease_scores(planted, features):
    ease = EASE(l2=5.0).fit(planted).score(np.arange(30))
    bridge = Bridge(l2=5.0, text_l2=0.7).fit(planted, features).score(np.arange(30))
    warm = np.arange(47)
    ridge = Ridge(alpha=0.7).fit(features.items[warm], ease[:, warm].T)
    expected = ridge.predict(features.items).T
    # the bridge leaves out each user's intercept, which no ranking sees
    gap = expected - bridge
    np.testing.assert_allclose(gap, np.repeat(gap[:, :1], 50, axis=1), atol=1e-5)


def test_scores_are_history_times_map_times_text(planted, features):
    model = Bridge(l2=5.0, text_l2=0.7).fit(planted, features)
    centred = features.items - features.items[:47].mean(axis=0)
    expected = planted.matrix("history") @ model.map_ @ centred.T
    np.testing.assert_allclose(model.score(np.arange(30)), expected, atol=1e-4)


def test_wide_vectors_take_the_smaller_inverse_to_the_same_scores(planted, features):
    wide = np.linalg.qr(np.random.default_rng(0).normal(size=(90, 8)))[0].T  # more than 47 columns
    rotated = Features(items=features.items.astype(np.float64) @ wide)
    narrow = Bridge(l2=5.0, text_l2=0.7).fit(planted, features)
    model = Bridge(l2=5.0, text_l2=0.7).fit(planted, rotated)
    assert model.map_.shape == (50, 90)
    np.testing.assert_allclose(model.weights_, narrow.weights_, atol=1e-5)
    np.testing.assert_allclose(model.map_ @ wide.T, narrow.map_, atol=1e-5)


def test_keep_warm_leaves_ease_untouched(planted, features):
    kept = Bridge(l2=5.0, keep_warm=True).fit(planted, features).score(np.arange(30))
    ease = EASE(l2=5.0).fit(planted).score(np.arange(30))
    np.testing.assert_allclose(kept[:, :47], ease[:, :47], atol=1e-5)
    assert np.abs(kept[:27, 47:]).min() > 0
    assert not ease[:, 47:].any()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Bridge(text_l2=0.0), "Bridge: text_l2=0.0 must be positive"),
        (Bridge(l2=-1.0), "l2=-1.0 must be positive"),
        (NeighbourBridge(text_l2=0.0), "NeighbourBridge: text_l2=0.0 must be positive"),
        (NeighbourBridge(neighbours=0), "must be at least 1 and"),
        (NeighbourBridge(shrinkage=-1.0), "must be at least 1 and"),
        (TextEASE(weight=-1.0), "TextEASE: weight=-1.0 must be at least 0"),
        (TextEASE(text_l2=0.0), "TextEASE: text_l2=0.0 must be positive"),
        (TextEASE(l2=0.0), "l2=0.0 must be positive"),
    ],
)
def test_bad_arguments(planted, features, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(planted, features)


def test_an_item_without_a_text_teaches_nothing_and_scores_nothing(planted, features):
    """Its zero row is no text: it is neither part of the mean nor, centred, its opposite."""
    items = features.items.copy()
    items[[3, 49]] = 0  # a warm and a cold one
    model = Bridge(l2=5.0, text_l2=0.7).fit(planted, Features(items=items))
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


def test_neighbour_bridge_equals_a_ridge_regression_of_the_similarities_of_warm_items(split_of):
    rng = np.random.default_rng(4)
    x = rng.random((30, 12)) < 0.3
    x[:, [3, 11]] = False  # cold items
    text = rng.normal(size=(12, 5)).astype(np.float32)
    split = split_of(np.argwhere(x), *x.shape)
    model = NeighbourBridge(neighbours=4, shrinkage=1.5, text_l2=0.7).fit(
        split, Features(items=text)
    )

    warm = np.delete(np.arange(12), [3, 11])
    similarity = ItemKNN(4, 1.5).fit(split).similarity_.toarray()
    # Ridge with an intercept centres text and columns: it differs by one constant a user.
    ridge = Ridge(alpha=0.7).fit(text[warm], similarity[:, warm].T)
    expected = x @ ridge.predict(text).T
    got = model.score(np.arange(30))
    gap = expected - got
    np.testing.assert_allclose(gap, np.repeat(gap[:, :1], 12, axis=1), atol=1e-4)
    assert np.ptp(expected, axis=1).max() > 0.1


def test_text_ease_without_weight_is_ease(planted, features):
    model = TextEASE(l2=5.0, text_l2=0.7, weight=0.0).fit(planted, features)
    np.testing.assert_allclose(model.weights_, EASE(l2=5.0).fit(planted).weights_, atol=1e-7)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_minimises_the_constrained_loss_with_a_prior_mean(planted, features, weight):
    """The gradient of ‖X − XB‖² + λ‖B − ωB₀‖² vanishes off the diagonal, where B is free."""
    x = planted.matrix("train").toarray().astype(np.float64)
    prior = Bridge(l2=5.0, text_l2=0.7).fit(planted, features).weights_.astype(np.float64)
    b = TextEASE(l2=5.0, text_l2=0.7, weight=weight).fit(planted, features).weights_.astype(float)
    gradient = -2 * x.T @ (x - x @ b) + 2 * 5.0 * (b - weight * prior)
    off = ~np.eye(len(b), dtype=bool)
    off[:, 47:] = False  # cold items are no part of the loss
    assert np.abs(gradient[off]).max() < 1e-4
    assert np.abs(np.diag(b)).max() == 0
    assert np.abs(b - EASE(l2=5.0).fit(planted).weights_).max() > 0.01


def test_a_stiff_prior_is_the_bridge(planted, features, monkeypatch):
    """λ → ∞ in the model, with B₀ held, gives ωB₀ without its diagonal."""
    prior = Bridge(l2=5.0, text_l2=0.7).fit(planted, features).weights_
    monkeypatch.setattr("llmrec.models.bridge.text_map", lambda *_: (prior, np.eye(len(prior))))
    stiff = TextEASE(l2=1e9, weight=2.0).fit(planted, features).weights_
    off = ~np.eye(len(prior), dtype=bool)
    np.testing.assert_allclose(stiff[off], 2 * prior[off], atol=1e-5)


def test_cold_items_keep_their_prior_mean(planted, features):
    prior = Bridge(l2=5.0, text_l2=0.7).fit(planted, features).weights_
    weights = TextEASE(l2=5.0, text_l2=0.7, weight=0.5).fit(planted, features).weights_
    assert np.abs(prior[:47, 47:]).min() > 0
    np.testing.assert_allclose(weights[:, 47:], 0.5 * prior[:, 47:], atol=1e-7)

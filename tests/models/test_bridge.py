import numpy as np
import pytest
from sklearn.linear_model import Ridge

from llmrec.models import EASE, Bridge, Features


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

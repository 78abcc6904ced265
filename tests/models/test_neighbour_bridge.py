import numpy as np
import pytest
from sklearn.linear_model import Ridge

from llmrec.models import Features, ItemKNN, NeighbourBridge


def test_equals_a_ridge_regression_of_the_similarities_of_warm_items(split_of):
    rng = np.random.default_rng(4)
    x = rng.random((30, 12)) < 0.3
    x[:, [3, 11]] = False  # cold items
    text = rng.normal(size=(12, 5)).astype(np.float32)
    split = split_of(np.argwhere(x), *x.shape)
    model = NeighbourBridge(neighbours=4, shrinkage=1.5, alpha=0.7).fit(split, Features(items=text))

    warm = np.delete(np.arange(12), [3, 11])
    similarity = ItemKNN(4, 1.5).fit(split).similarity_.toarray()
    # Ridge with an intercept centres text and columns: it differs by one constant a user.
    ridge = Ridge(alpha=0.7).fit(text[warm], similarity[:, warm].T)
    expected = x @ ridge.predict(text).T
    got = model.score(np.arange(30))
    gap = expected - got
    np.testing.assert_allclose(gap, np.repeat(gap[:, :1], 12, axis=1), atol=1e-4)
    assert np.ptp(expected, axis=1).max() > 0.1


def test_alpha_must_be_positive(planted, features):
    with pytest.raises(ValueError, match=r"NeighbourBridge: alpha=0.0 must be positive"):
        NeighbourBridge(alpha=0.0).fit(planted, features)


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"shrinkage": -1.0}])
def test_bad_arguments_of_the_neighbours(planted, features, bad):
    with pytest.raises(ValueError, match="must be at least 1 and"):
        NeighbourBridge(**bad).fit(planted, features)

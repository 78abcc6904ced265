import numpy as np
import pytest

from llmrec.models import EASE, Bridge, Features, TextEASE


def test_without_weight_it_is_ease(planted, features):
    model = TextEASE(l2=5.0, alpha=0.7, weight=0.0).fit(planted, features)
    np.testing.assert_allclose(model.weights_, EASE(l2=5.0).fit(planted).weights_, atol=1e-7)


@pytest.mark.parametrize("weight", [0.5, 1.0])
def test_minimises_the_constrained_loss_with_a_prior_mean(planted, features, weight):
    """The gradient of ‖X − XB‖² + λ‖B − ωB₀‖² vanishes off the diagonal, where B is free."""
    x = planted.matrix("train").toarray().astype(np.float64)
    prior = Bridge(l2=5.0, alpha=0.7).fit(planted, features).weights_.astype(np.float64)
    b = TextEASE(l2=5.0, alpha=0.7, weight=weight).fit(planted, features).weights_.astype(float)
    gradient = -2 * x.T @ (x - x @ b) + 2 * 5.0 * (b - weight * prior)
    off = ~np.eye(len(b), dtype=bool)
    off[:, 47:] = False  # cold items are no part of the loss
    assert np.abs(gradient[off]).max() < 1e-4
    assert np.abs(np.diag(b)).max() == 0
    assert np.abs(b - EASE(l2=5.0).fit(planted).weights_).max() > 0.01


def test_a_stiff_prior_is_the_bridge(planted, features, monkeypatch):
    """λ → ∞ in the model, with B₀ held, gives ωB₀ without its diagonal."""
    prior = Bridge(l2=5.0, alpha=0.7).fit(planted, features).weights_
    monkeypatch.setattr("llmrec.models.text_ease.text_map", lambda *_: (prior, np.eye(len(prior))))
    stiff = TextEASE(l2=1e9, weight=2.0).fit(planted, features).weights_
    off = ~np.eye(len(prior), dtype=bool)
    np.testing.assert_allclose(stiff[off], 2 * prior[off], atol=1e-5)


def test_cold_items_keep_their_prior_mean(planted, features):
    prior = Bridge(l2=5.0, alpha=0.7).fit(planted, features).weights_
    weights = TextEASE(l2=5.0, alpha=0.7, weight=0.5).fit(planted, features).weights_
    assert np.abs(prior[:47, 47:]).min() > 0
    np.testing.assert_allclose(weights[:, 47:], 0.5 * prior[:, 47:], atol=1e-7)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"weight": -1.0}, "TextEASE: weight=-1.0 must be at least 0"),
        ({"alpha": 0.0}, "alpha=0.0 must be positive"),
        ({"l2": 0.0}, "l2=0.0 must be positive"),
    ],
)
def test_bad_arguments(planted, features, bad, message):
    with pytest.raises(ValueError, match=message):
        TextEASE(**bad).fit(planted, features)


def test_bad_vectors(planted):
    with pytest.raises(ValueError, match="TextEASE needs items vectors"):
        TextEASE().fit(planted, Features())

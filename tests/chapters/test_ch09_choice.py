"""The conditional logit: closed forms, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from chapters.ch09_choice import ConditionalLogit, Panel


def marked(taken, of, pairs=2):
    """``of`` readers choose one of ``pairs`` candidates; ``taken`` of them the marked first one."""
    features = np.zeros((of, pairs, 1))
    features[:, 0] = 1
    chosen = np.zeros((of, pairs), bool)
    chosen[np.arange(of), np.where(np.arange(of) < taken, 0, 1)] = True
    return Panel(features, chosen, np.ones((of, pairs), bool))


def test_without_a_ridge_the_weight_is_the_log_of_the_odds():
    model = ConditionalLogit(l2=0).fit([marked(3, 4)])
    assert model.weights_ == pytest.approx([np.log(3)], abs=1e-5)
    # Of three candidates: e^w / (e^w + 2) = 3/4.
    assert ConditionalLogit(l2=0).fit([marked(3, 4, 3)]).weights_ == pytest.approx(
        [np.log(6)], abs=1e-5
    )


def test_the_ridge_solves_its_own_equation():
    # The slope of -(3/4 ln σ(w) + 1/4 ln σ(-w)) + ridge w² is σ(w) - 3/4 + 2 ridge w.
    (w,) = ConditionalLogit(l2=0.1).fit([marked(3, 4)]).weights_
    assert expit(w) - 0.75 + 0.2 * w == pytest.approx(0, abs=1e-6)


def test_panels_are_pooled_and_a_closed_candidate_does_not_count():
    a, b = marked(2, 2), marked(1, 2)
    assert ConditionalLogit(0).fit([a, b]).weights_ == pytest.approx([np.log(3)], abs=1e-5)
    wide = marked(3, 4, 3)
    closed = Panel(wide.features, wide.chosen, np.array([[True, True, False]] * 4))
    assert ConditionalLogit(0).fit([closed]).weights_ == pytest.approx([np.log(3)], abs=1e-5)


def test_who_chose_both_of_two_says_nothing_of_them():
    both = Panel(np.array([[[1.0], [0.0]]]), np.ones((1, 2), bool), np.ones((1, 2), bool))
    assert ConditionalLogit(0).fit([both]).weights_ == pytest.approx([0], abs=1e-9)


def test_scores_are_the_features_times_the_weights():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(50, 4, 3))
    chosen = np.eye(4, dtype=bool)[rng.integers(0, 4, 50)]
    model = ConditionalLogit(0.01).fit([Panel(features, chosen, np.ones((50, 4), bool))])
    assert model.weights_.shape == (3,)
    np.testing.assert_allclose(model.score(features), features @ model.weights_)
    with pytest.raises(ValueError, match="features have 2 columns, the weights 3"):
        model.score(features[..., :2])


def test_the_learned_weights_recover_those_that_chose():
    rng, w = np.random.default_rng(1), np.array([1.5, -1.0, 0.0])
    features = rng.normal(size=(4000, 5, 3))
    noise = rng.gumbel(size=(4000, 5))  # with Gumbel noise the model is exactly true
    chosen = np.eye(5, dtype=bool)[(features @ w + noise).argmax(axis=1)]
    model = ConditionalLogit(0).fit([Panel(features, chosen, np.ones((4000, 5), bool))])
    assert model.weights_ == pytest.approx(w, abs=0.1)


def test_what_cannot_be_learned_from_is_refused():
    ones = np.ones((1, 2), bool)
    with pytest.raises(ValueError, match="row 0 of chosen is empty"):
        Panel(np.zeros((1, 2, 1)), ~ones, ones)
    with pytest.raises(ValueError, match="candidate 1 of row 0 was chosen and is not open"):
        Panel(np.zeros((1, 2, 1)), ones, np.array([[True, False]]))
    with pytest.raises(ValueError, match=r"must be \(m, c, k\)"):
        Panel(np.zeros((1, 2)), ones, ones)
    with pytest.raises(ValueError, match="l2=-1 must be at least 0"):
        ConditionalLogit(-1).fit([marked(1, 2)])
    with pytest.raises(ValueError, match=r"panels have \[\] features"):
        ConditionalLogit().fit([])

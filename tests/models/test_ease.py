from types import SimpleNamespace

import numpy as np
import pytest

from llmrec.models import EASE, Bridge, Features, Inverses, TextEASE, TextSimilarity, ease


def test_equals_the_explicit_formula(planted):
    x = planted.matrix("train").toarray().astype(np.float64)
    p = np.linalg.inv(x.T @ x + 5.0 * np.eye(x.shape[1]))
    b = -p / np.diag(p)
    np.fill_diagonal(b, 0.0)
    model = EASE(l2=5.0).fit(planted)
    np.testing.assert_allclose(model.weights_, b, atol=1e-6)
    warm = np.arange(27)
    np.testing.assert_allclose(model.score(warm), x[warm] @ b, atol=1e-5)


def test_minimises_the_constrained_ridge_loss(planted):
    """The gradient of ‖X − XB‖² + λ‖B‖² vanishes off the diagonal, where B is free."""
    x = planted.matrix("train").toarray().astype(np.float64)
    b = EASE(l2=5.0).fit(planted).weights_.astype(np.float64)
    gradient = -2 * x.T @ (x - x @ b) + 2 * 5.0 * b
    off = ~np.eye(len(b), dtype=bool)
    assert np.abs(gradient[off]).max() < 1e-4
    assert np.abs(np.diag(b)).max() == 0


def test_hand_example(split_of):
    # XᵀX + I = [[3, 2], [2, 3]]; P = [[3, −2], [−2, 3]] / 5; B_01 = 2/3
    split = split_of([(0, 0), (0, 1), (1, 0), (1, 1)], 2, 2)
    np.testing.assert_allclose(
        EASE(l2=1.0).fit(split).weights_, [[0, 2 / 3], [2 / 3, 0]], rtol=1e-6
    )


@pytest.mark.parametrize("l2", [0.0, -1.0, float("nan")])
def test_bad_l2(planted, l2):
    with pytest.raises(ValueError, match=f"l2={l2} must be positive"):
        EASE(l2=l2).fit(planted)


def test_too_many_items_for_the_memory(planted, monkeypatch):
    monkeypatch.setattr(
        "llmrec.models.ease.psutil.virtual_memory", lambda: SimpleNamespace(available=59_999)
    )
    with pytest.raises(MemoryError, match=r"for 50 items .* use ItemKNN or ALS"):
        EASE().fit(planted)  # needs 3 · 8 · 50² = 60,000 bytes


def test_fits_share_an_inverse_that_they_are_given_and_keep_their_bits(planted, monkeypatch):
    texts = Features(items=np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    models = (EASE(l2=5.0), Bridge(l2=5.0), Bridge(l2=5.0, text_l2=9.0), TextEASE(l2=5.0))
    models += (EASE(l2=6.0), TextSimilarity())
    apart = [model.fit(planted, texts).score(np.arange(30)) for model in models]
    real, made = ease.ease_inverse, []
    monkeypatch.setattr(ease, "ease_inverse", lambda x, l2: made.append(l2) or real(x, l2))
    monkeypatch.setattr("llmrec.models.bridge.ease_inverse", ease.ease_inverse)
    inverses = Inverses(planted)
    for model, scores in zip(models, apart, strict=True):
        fitted = model.fit(planted, texts, **inverses.given(model))
        assert np.array_equal(fitted.score(np.arange(30)), scores)
    assert made == [5.0, 6.0]

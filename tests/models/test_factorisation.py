import implicit.cpu.als
import implicit.cpu.bpr
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from llmrec.data import histories_of
from llmrec.models import ALS, BPR, PureSVD


def test_als_equals_implicit_called_directly(planted):
    with threadpool_limits(1, "blas"):
        direct = implicit.cpu.als.AlternatingLeastSquares(
            factors=5, regularization=0.3, alpha=2.0, iterations=7, num_threads=1, random_state=4
        )
        direct.fit(planted.matrix("train"), show_progress=False)
    model = ALS(5, l2=0.3, confidence=2.0, iterations=7, seed=4).fit(planted)
    np.testing.assert_allclose(
        model.score(np.arange(30)), direct.user_factors @ direct.item_factors.T, atol=1e-5
    )


def test_als_fold_in_solves_the_normal_equations(planted):
    model = ALS(5, l2=0.3, confidence=2.0, seed=4).fit(planted)
    q = model.item_factors_.astype(np.float64)
    x = planted.matrix("history")[[28]].toarray()[0]
    c = np.where(x > 0, 2.0, 1.0)
    p = np.linalg.solve((q.T * c) @ q + 0.3 * np.eye(5), (q.T * c) @ x)
    np.testing.assert_allclose(model.fold_in(histories_of(planted, [28]))[0], q @ p, atol=1e-4)


def test_bpr_equals_implicit_called_directly(planted):
    direct = implicit.cpu.bpr.BayesianPersonalizedRanking(
        factors=5, iterations=9, num_threads=1, random_state=4
    )
    direct.fit(planted.matrix("train"), show_progress=False)
    model = BPR(5, iterations=9, seed=4).fit(planted)
    expected = direct.user_factors @ direct.item_factors.T
    assert np.array_equal(model.user_factors_ @ model.item_factors_.T, expected)


def test_cold_rows_are_zero(planted):
    als, bpr = ALS(5).fit(planted), BPR(5).fit(planted)
    for model in (als, bpr):
        assert not model.item_factors_[[47, 48, 49]].any()
    assert not als.user_factors_[[27, 28, 29]].any()
    assert not bpr.user_factors_[[27, 28, 29], :5].any()


def test_seeds_differ(planted):
    for kind in (ALS, BPR):
        one, two = (kind(5, seed=seed).fit(planted).score(np.arange(27)) for seed in (1, 2))
        assert not np.array_equal(one, two)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ALS(factors=0), "ALS: factors=0 must be positive"),
        (ALS(confidence=-1.0), r"ALS: confidence=-1.0 must be positive"),
        (BPR(iterations=0), "BPR: iterations=0 must be positive"),
        (BPR(lr=0.0), r"BPR: lr=0.0 must be positive"),
    ],
)
def test_bad_arguments(planted, model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(planted)


def test_pure_svd_equals_the_dense_decomposition(planted):
    x = planted.matrix("train").toarray().astype(np.float64)
    u, sigma, vt = np.linalg.svd(x, full_matrices=False)
    wanted = (u[:, :4] * sigma[:4]) @ vt[:4]  # the best approximation of rank 4
    model = PureSVD(factors=4).fit(planted)
    warm = np.arange(27)
    np.testing.assert_allclose(model.score(warm), wanted[warm], atol=1e-5)
    np.testing.assert_array_equal(model.item_factors_[[47, 48, 49]], 0)


def test_pure_svd_gives_the_same_bits_twice(planted):
    first, second = (PureSVD(factors=3).fit(planted).item_factors_ for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("factors", [0, 30])
def test_pure_svd_refuses_more_factors_than_the_matrix_has(planted, factors):
    with pytest.raises(ValueError, match=rf"factors={factors} must lie between 1 and 29"):
        PureSVD(factors=factors).fit(planted)

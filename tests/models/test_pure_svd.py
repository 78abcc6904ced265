"""PureSVD against the dense decomposition, and its bounds."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.models import PureSVD


def test_equals_the_dense_decomposition(planted):
    x = planted.matrix("train").toarray().astype(np.float64)
    u, sigma, vt = np.linalg.svd(x, full_matrices=False)
    wanted = (u[:, :4] * sigma[:4]) @ vt[:4]  # the best approximation of rank 4
    model = PureSVD(factors=4).fit(planted)
    warm = np.arange(27)
    np.testing.assert_allclose(model.score(warm), wanted[warm], atol=1e-5)
    np.testing.assert_array_equal(model.item_factors_[[47, 48, 49]], 0)


def test_the_same_bits_twice(planted):
    first, second = (PureSVD(factors=3).fit(planted).item_factors_ for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("factors", [0, 30])
def test_more_factors_than_the_matrix_has(planted, factors):
    with pytest.raises(ValueError, match=rf"factors={factors} must lie between 1 and 29"):
        PureSVD(factors=factors).fit(planted)

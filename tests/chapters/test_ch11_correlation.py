import numpy as np
import pytest
from scipy.stats import spearmanr

from chapters.ch11_correlation import rank_correlation


def test_three_values_by_hand():
    """Of the six orders of three, two give 1 or -1 and four give a half: 2/6 and 6/6."""
    assert rank_correlation([1, 2, 3], [5, 7, 9]) == (pytest.approx(1), pytest.approx(2 / 6))
    assert rank_correlation([1, 2, 3], [9, 7, 5]) == (pytest.approx(-1), pytest.approx(2 / 6))
    assert rank_correlation([1, 2, 3], [10, 30, 20]) == (pytest.approx(0.5), 1.0)


def test_it_is_spearmans_with_ties_too():
    rng = np.random.default_rng(0)
    for _ in range(5):
        x, y = rng.integers(0, 5, (2, 7))
        assert rank_correlation(x, y)[0] == pytest.approx(spearmanr(x, y).statistic)


def test_the_smallest_p_is_two_in_all_orders():
    assert rank_correlation(range(5), range(5))[1] == pytest.approx(2 / 120)


def test_a_constant_says_nothing():
    assert rank_correlation([1, 1, 1], [1, 2, 3]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1], [1], "give 2 to 8 pairs"),
        ([1, 2], [1, 2, 3], "give 2 to 8 pairs"),
        (range(9), range(9), "give 2 to 8 pairs"),
        ([1, np.nan], [1, 2], "is NaN"),
    ],
)
def test_bad_values_are_named(x, y, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(x, y)

"""Drift over periods, and what its null model keeps and breaks."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.interest import (
    drift,
    period_vectors,
    similarity_by_lag,
)


def at(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane: their cosines are those of the angles between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_period_vectors_are_means_of_what_a_period_holds() -> None:
    periods, means = period_vectors(5 * at(0, 90, 0), [699, 1, 99], 100)
    assert periods.tolist() == [0, 6]
    np.testing.assert_allclose(means, [[0.5, 0.5], [1, 0]], atol=1e-7)


def test_similarity_by_lag() -> None:
    # Lags 1 (0 and 60 degrees), 3 (60 and 180), 4 (0 and 180).
    found = similarity_by_lag([2, 1, 5], at(60, 0, 180), [1, 2, 3, 5])
    np.testing.assert_allclose(found, [0.5, np.nan, (-0.5 - 1) / 2], atol=1e-6)
    assert similarity_by_lag([1, 2], at(0, 60), [1, 2]).tolist() == pytest.approx([0.5])


def test_drift_is_near_minus_far() -> None:
    assert drift([2, 1, 5], at(60, 0, 180), near=1, far=4) == pytest.approx(0.5 + 1)
    assert drift([2, 1, 5], at(60, 0, 180), near=1, far=3) == pytest.approx(0.5 + 0.75)
    assert drift([2, 1, 5], at(60, 0, 180), near=2, far=4) == pytest.approx(0.5 + 1)
    assert np.isnan(drift([1, 2], at(0, 60), near=1, far=2))


def test_drift_of_periods_in_any_order_is_zero_on_average() -> None:
    from itertools import permutations

    rows = np.random.default_rng(0).normal(size=(5, 3))
    values = [drift(order, rows, 1, 3) for order in permutations([0, 1, 3, 4, 9])]
    assert np.mean(values) == pytest.approx(0, abs=1e-7)
    assert np.std(values) > 0.05


def test_bad_input_is_named() -> None:
    for call, message in [
        (lambda: period_vectors(at(1, 2), [5], 9), "2 vectors and 1 timestamps"),
        (lambda: period_vectors(at(1), [5], 0), "period_seconds=0 must be positive"),
        (lambda: similarity_by_lag([1, 1], at(1, 2), [1, 2]), "as many distinct periods"),
        (lambda: drift([1, 2], at(1, 2), 2, 2), "near=2, far=2"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()

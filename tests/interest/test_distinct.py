"""Distances below which items belong together, and counts of interests."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.interest import distinct_interests, interest_distance, interests


def at(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane: their cosines are those of the angles between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_the_distance_is_a_quantile_of_all_pairs() -> None:
    # Pairs are 60, 90 and 30 degrees apart: cosines 0.5, 0, 0.866; half of the pairs: 0.5.
    assert interest_distance(at(0, 60, 90), share=0.5) == pytest.approx(0.5)
    assert interest_distance(7 * at(0, 60, 90), share=0.5) == pytest.approx(0.5)
    rows = np.random.default_rng(0).normal(size=(60, 5))
    distance = interest_distance(rows, share=0.1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = (1 - unit @ unit.T)[np.triu_indices(60, 1)]
    assert (pairs < distance).mean() == pytest.approx(0.1, abs=1e-3)


def test_interests_are_joined_below_the_mean_distance_and_largest_first() -> None:
    rows = at(90, 0, 10, 20, 100)
    assert interests(rows, 0.1).tolist() == [1, 0, 0, 0, 1]
    assert interests(2 * rows, 0.1).tolist() == [1, 0, 0, 0, 1]  # lengths do not count
    assert distinct_interests(rows, 0.1) == 2
    # Average linkage: 20 degrees against {0, 10} is (1 - cos 20 + 1 - cos 10) / 2 = 0.0377.
    assert distinct_interests(at(0, 10, 20), 0.038) == 1
    assert distinct_interests(at(0, 10, 20), 0.037) == 2
    assert distinct_interests(rows, 1e-6) == 5
    assert distinct_interests(at(7), 0.1) == 1
    assert distinct_interests(np.zeros((3, 2)), 0.5) == 3  # texts without words have nothing alike


def test_equal_sizes_keep_the_order_of_their_first_item() -> None:
    assert interests(at(90, 0, 91, 1), 0.01).tolist() == [0, 1, 0, 1]


def test_bad_input_is_named() -> None:
    for call, message in [
        (lambda: interest_distance(at(1)), r"shape \(1, 2\): give \(n, d\) with n ≥ 2"),
        (lambda: interest_distance(at(1, 2), share=5), "share=5 must lie between 0 and 1"),
        (lambda: interests(at(1, 2), 0), "distance=0 is not positive"),
        (lambda: interests([1.0], 1), r"shape \(1,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()

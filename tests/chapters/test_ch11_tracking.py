"""Decay and sessions: hand-computed vectors, and live updates that equal the formula."""

from __future__ import annotations

import numpy as np
import pytest

from chapters.ch11_tracking import (
    DecayedInterest,
    SessionInterest,
    decay_weights,
    decayed_interest,
    session_interest,
    sessions,
)


@pytest.fixture
def events() -> tuple[np.ndarray, np.ndarray]:
    """Vectors and timestamps of thirty events in no order of time."""
    rng = np.random.default_rng(4)
    return rng.normal(size=(30, 6)), rng.integers(0, 900, 30).astype(float)


def test_a_half_life_halves() -> None:
    assert decay_weights([0, 10, 20], 10).tolist() == [0.25, 0.5, 1]
    assert decay_weights([0, 10, 20], 10, now=30).tolist() == [0.125, 0.25, 0.5]
    assert decay_weights([5, 0], np.inf).tolist() == [1, 1]


def test_the_decayed_mean_by_hand() -> None:
    # Weights 1/2 and 1 of (1, 0) and (0, 1): (1/3, 2/3). Lengths do not count.
    found = decayed_interest([[7, 0], [0, 2]], [0, 10], 10)
    np.testing.assert_allclose(found, [1 / 3, 2 / 3], atol=1e-12)


def test_without_forgetting_it_is_the_mean_of_unit_rows(events) -> None:
    rows, times = events
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(decayed_interest(rows, times, np.inf), mean, atol=1e-7)
    np.testing.assert_allclose(decayed_interest(rows, times, 1e9), mean, atol=1e-5)
    # and with hardly any memory it is the latest event
    latest = rows[times.argmax()] / np.linalg.norm(rows[times.argmax()])
    np.testing.assert_allclose(decayed_interest(rows, times, 1e-3), latest, atol=1e-6)


def test_shifting_the_clock_changes_nothing(events) -> None:
    rows, times = events
    np.testing.assert_allclose(
        decayed_interest(rows, times, 50), decayed_interest(rows, times + 1e6, 50), atol=1e-9
    )


@pytest.mark.parametrize("half_life", [30.0, np.inf])
def test_event_by_event_equals_the_formula_in_any_order(events, half_life) -> None:
    rows, times = events
    live = DecayedInterest(half_life)
    for n, (row, time) in enumerate(zip(rows, times, strict=True), start=1):
        live = live.add(row, time)
        np.testing.assert_allclose(
            live.vector, decayed_interest(rows[:n], times[:n], half_life), atol=1e-9
        )
        assert live.mass == pytest.approx(decay_weights(times[:n], half_life).sum())


def test_a_century_of_silence_does_not_overflow() -> None:
    live = DecayedInterest(1.0).add([1, 0], 0).add([0, 1], 3e9)
    np.testing.assert_allclose(live.vector, [0, 1])


def test_the_mass_fades_but_the_vector_stays() -> None:
    live = DecayedInterest(10).add([1, 0], 0).add([1, 0], 10)
    assert live.mass == 1.5
    assert live.mass_at(20) == 0.75
    assert DecayedInterest(10).mass_at(5) == 0


def test_adding_leaves_the_old_state_alone() -> None:
    one = DecayedInterest(10).add([1, 0], 0)
    one.add([0, 1], 5)
    np.testing.assert_array_equal(one.vector, [1, 0])


def test_a_long_pause_ends_a_session() -> None:
    assert sessions([0, 10, 21, 100, 105], 10).tolist() == [0, 0, 1, 2, 2]
    assert sessions([105, 0, 21, 10, 100], 10).tolist() == [2, 0, 1, 0, 2]
    assert sessions([], 10).tolist() == []


def test_a_session_is_joined_with_what_came_before() -> None:
    # Long term (1, 0), session (0, 1).
    rows, times = [[3, 0], [1, 0], [0, 1], [0, 5]], [0, 1, 100, 101]
    for weight, expected in [(0, [1, 0]), (1, [0, 1]), (0.5, [0.5**0.5] * 2), (0.25, [3, 1])]:
        expected = np.array(expected) / np.linalg.norm(expected)
        found = session_interest(rows, times, 10, weight=weight)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    # A single session is all there is.
    np.testing.assert_allclose(session_interest(rows[:2], times[:2], 10, weight=0), [1, 0])


def test_the_long_term_decays_and_the_session_does_not() -> None:
    rows, times = [[1, 0], [0, 1], [1, 0], [0, 1]], [0, 10, 100, 105]
    # Before the session: weights 1/2 and 1; in it: one each.
    long, short = np.array([1, 2]) / 5**0.5, np.array([1, 1]) / 2**0.5
    expected = (long + short) / np.linalg.norm(long + short)
    np.testing.assert_allclose(
        session_interest(rows, times, 50, half_life_seconds=10), expected, atol=1e-6
    )


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("half_life", [30.0, np.inf])
def test_sessions_event_by_event_equal_the_formula(events, half_life, weight) -> None:
    rows, times = events
    order = np.argsort(times, kind="stable")
    rows, times = rows[order], times[order]
    live = SessionInterest(40, half_life, weight)
    for n, (row, time) in enumerate(zip(rows, times, strict=True), start=1):
        live = live.add(row, time)
        expected = session_interest(rows[:n], times[:n], 40, half_life, weight)
        np.testing.assert_allclose(live.vector, expected, atol=1e-6)
    assert sessions(times, 40).max() > 3


def test_bad_input_is_named() -> None:
    one = SessionInterest(10).add([1, 0], 5)
    for call, message in [
        (lambda: decay_weights([1, 2], 0), "half_life_seconds=0 must be positive"),
        (lambda: decay_weights([1, 2], 5, now=1), "an event at 2 lies after now=1"),
        (lambda: decay_weights([], 5), r"shape \(0,\)"),
        (lambda: decayed_interest([[1, 0]], [1, 2], 5), "1 vectors and timestamps of shape"),
        (lambda: DecayedInterest(-1), "half_life_seconds=-1 must be positive"),
        (lambda: DecayedInterest(1).vector, "no event has been added"),
        (lambda: DecayedInterest(1).add([1, 0], 5).mass_at(4), "lies after now=4"),
        (lambda: sessions([1], 0), "gap_seconds=0 must be positive"),
        (lambda: session_interest([[1, 0]], [1], 5, weight=2), "weight=2 must lie between 0 and 1"),
        (lambda: SessionInterest(5, weight=-1), "weight=-1 must lie"),
        (lambda: SessionInterest(5).vector, "no event has been added"),
        (lambda: one.add([1, 0], 4), "an event at 4 after one at 5: sessions need the order"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()

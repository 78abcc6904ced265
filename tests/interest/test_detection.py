"""The detector of drift: by hand, no look ahead, false alarms as asked, and sooner for larger."""

from __future__ import annotations

import numpy as np
import pytest

from llmrec.interest import DriftDetector, calibrated, detect_drift, drift_statistic

NARROW = DriftDetector(recent=1, warm_up=1, slack=0)


def at(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def walk(n: int, change: int, angle: float, rng: np.random.Generator) -> np.ndarray:
    """Noisy vectors around one direction, from event `change` on around one at that angle."""
    centre = np.where(np.arange(n) < change, 0.0, np.radians(angle))
    rows = np.zeros((n, 8))
    rows[:, 0], rows[:, 1] = np.cos(centre), np.sin(centre)
    return rows + 0.4 * rng.normal(size=rows.shape)


def test_the_statistic_by_hand() -> None:
    # Cosines of event 1 to event 0: 1; of event 2 to both before: 0. Means so far: 1, 1/2.
    rows = at(0, 0, 90)
    np.testing.assert_allclose(drift_statistic(rows, NARROW), [0, 0, 0.5], atol=1e-6)
    slack = DriftDetector(recent=1, warm_up=1, slack=0.1)
    # m = -0.1, then -0.1 + (0.5 - 0.1) = 0.3: the rise above its lowest point is 0.4.
    np.testing.assert_allclose(drift_statistic(rows, slack), [0, 0, 0.4], atol=1e-6)
    # Two recent events, the means at 0, 15 and 90 degrees; all before them at 0, 15 and 0.
    wide = DriftDetector(recent=2, warm_up=1, slack=0)
    found = drift_statistic(at(0, 30, -30, 60, 120), wide)
    np.testing.assert_allclose(found, [0, 0, 0, 0, 2 / 3], atol=1e-6)


def test_a_rise_of_the_cosine_is_no_drift() -> None:
    assert drift_statistic(at(0, 90, 0, 20, 20, 20), NARROW)[-1] == pytest.approx(0, abs=1e-6)


def test_no_event_is_judged_by_what_comes_later() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 5))
    detector = DriftDetector(recent=4, warm_up=6)
    whole = drift_statistic(rows, detector)
    for n in (1, 9, 10, 33):
        np.testing.assert_allclose(drift_statistic(rows[:n], detector), whole[:n], atol=1e-6)
    assert (whole[:9] == 0).all()


def test_the_alarm_names_the_event_and_where_the_fall_began() -> None:
    rows = at(*[0] * 30, *[90] * 30)
    alarm = detect_drift(rows, DriftDetector(recent=5, warm_up=10, slack=0.01, threshold=1.0))
    assert alarm is not None
    assert alarm.onset == 30
    assert 30 < alarm.index < 36
    assert alarm.statistic == pytest.approx(
        drift_statistic(rows, DriftDetector(recent=5, warm_up=10, slack=0.01))[alarm.index]
    )
    assert alarm.statistic > 1.0
    assert detect_drift(rows, DriftDetector()) is None  # not calibrated: never rings
    assert detect_drift(rows[:8], DriftDetector(threshold=0)) is None  # too short to be watched


def test_false_alarms_are_as_rare_as_asked() -> None:
    rng = np.random.default_rng(1)

    # Users differ in how varied they are; a threshold must hold for new users of the same kind.
    def still() -> np.ndarray:
        rows = walk(60, 60, 0, rng)
        return rows + rng.uniform(0, 0.6) * rng.normal(size=rows.shape)

    detector = DriftDetector(recent=5, warm_up=10)
    for asked in (0.05, 0.3):
        ready = calibrated(detector, [still() for _ in range(150)], rng, asked, shuffles=10)
        rang = np.mean([detect_drift(still(), ready) is not None for _ in range(600)])
        assert rang == pytest.approx(asked, abs=3 * np.sqrt(asked * (1 - asked) / 500))
    assert ready.recent == 5
    assert detector.threshold == np.inf


def test_larger_jumps_are_found_more_often_and_sooner() -> None:
    rng = np.random.default_rng(2)
    detector = DriftDetector(recent=5, warm_up=10)
    ready = calibrated(detector, [walk(80, 80, 0, rng) for _ in range(60)], rng)
    found, delay = [], []
    for angle in (40, 70, 120):
        alarms = [detect_drift(walk(80, 40, angle, rng), ready) for _ in range(80)]
        after = [alarm.index - 40 for alarm in alarms if alarm and alarm.index >= 40]
        found.append(len(after) / len(alarms))
        delay.append(np.median(after))
    assert found[0] < found[1] <= found[2]
    assert found[2] > 0.9
    assert delay[0] > delay[1] > delay[2]


def test_calibration_can_be_repeated() -> None:
    rows = [np.random.default_rng(s).normal(size=(30, 4)) for s in range(5)]
    first, again = (calibrated(DriftDetector(), rows, np.random.default_rng(7)) for _ in range(2))
    assert first == again
    assert first.threshold > 0


def test_bad_input_is_named() -> None:
    rng = np.random.default_rng(0)
    for call, message in [
        (lambda: DriftDetector(recent=0), "recent=0 and warm_up=10 must be at least 1"),
        (lambda: DriftDetector(slack=-1), "slack=-1 at least 0"),
        (lambda: drift_statistic([1.0], NARROW), r"shape \(1,\)"),
        (lambda: calibrated(NARROW, [at(1, 2)], rng, 0), "false_alarms=0 must lie"),
        (lambda: calibrated(DriftDetector(), [at(1, 2)], rng), "no sequence has the 20 events"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()

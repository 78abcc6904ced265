"""Noticing that an interest has moved while it moves: a Page-Hinkley test on two vectors.

The statistic at an event reads nothing later. How high it may rise by chance is not looked up in a
table but measured, on the same sequences in shuffled order, where nothing can have moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from llmrec.interest.distinct import checked_rows
from llmrec.vectors import unit_rows


@dataclass(frozen=True)
class DriftDetector:
    """How drift is looked for; see `drift_statistic` for the formula.

    Attributes
    ----------
    recent:
        How many of the latest events make the recent vector, at least 1. More notice small changes,
        fewer notice large ones sooner.
    warm_up:
        How many events must lie before them, at least 1.
    slack:
        A fall of the cosine that is no drift, at least 0.
    threshold:
        The alarm rings above it; see `calibrated`. As it comes, ``inf``, it never rings.
    """

    recent: int = 10
    warm_up: int = 10
    slack: float = 0.05
    threshold: float = np.inf

    def __post_init__(self) -> None:
        if min(self.recent, self.warm_up) < 1 or self.slack < 0:
            raise ValueError(
                f"recent={self.recent} and warm_up={self.warm_up} must be at least 1,"
                f" slack={self.slack} at least 0"
            )


@dataclass(frozen=True)
class Alarm:
    """Where `detect_drift` rang.

    Attributes
    ----------
    index:
        The event at which it rang; its time is ``timestamps[index]``.
    onset:
        The event with which the fall began, as far as the statistic can tell.
    statistic:
        Its value at ``index``.
    """

    index: int
    onset: int
    statistic: float


def drift_statistic(vectors: ArrayLike, detector: DriftDetector) -> np.ndarray:
    """Return how far recent events have left the long-term interest, at each event, ``(n,)``.

    With ``c_i`` the cosine between the mean of the ``recent`` events up to ``i`` and the mean of
    all events before those, and ``c̄_i`` the mean of ``c`` so far (*Page-Hinkley*),

    ``m_i = Σ_{j ≤ i} (c̄_j - c_j - slack)``, ``g_i = m_i - min(0, min_{j ≤ i} m_j)``.

    It is 0 as long as fewer than ``warm_up`` events lie before the recent ones. ``vectors (n, d)``,
    oldest first.

    References
    ----------
    Page 1954, "Continuous inspection schemes", Biometrika 41; Gama et al. 2014, "A survey on
    concept drift adaptation", ACM Computing Surveys 46(4).
    """
    rise, first = _rise(vectors, detector)
    return np.concatenate([np.zeros(first), (rise - np.minimum.accumulate(rise))[1:]])


def detect_drift(vectors: ArrayLike, detector: DriftDetector) -> Alarm | None:
    """Return the first event at which the `drift_statistic` is above the threshold, or None.

    To go on watching after an alarm, call again with the events from ``onset`` on.
    """
    rise, first = _rise(vectors, detector)
    statistic = (rise - np.minimum.accumulate(rise))[1:]
    above = np.flatnonzero(statistic > detector.threshold)
    if not len(above):
        return None
    at = int(above[0])
    lowest = at - int(rise[: at + 1][::-1].argmin())  # the latest of equal ones
    return Alarm(first + at, first + lowest, float(statistic[at]))


def calibrated(
    detector: DriftDetector,
    sequences: Sequence[ArrayLike],
    rng: np.random.Generator,
    false_alarms: float = 0.05,
    shuffles: int = 20,
) -> DriftDetector:
    """Return the detector with the threshold that chance alone passes in this share of cases.

    Each sequence ``(n_u, d)`` is put in ``shuffles`` random orders; the threshold is the
    ``1 - false_alarms`` quantile of the highest value that each order reaches, at any event. So a
    user whose interest stands still has this chance of *any* alarm, if his sequence is as long and
    as varied as these. Calibrate on other users than those to be judged.

    Raises
    ------
    ValueError
        When ``false_alarms`` is outside 0 … 1, or no sequence is long enough to be watched.
    """
    if not 0 < false_alarms < 1:
        raise ValueError(f"false_alarms={false_alarms} must lie between 0 and 1, such as 0.05")
    shortest = detector.warm_up + detector.recent
    long = [rows for one in sequences if len(rows := np.asarray(one)) >= shortest]
    if not long:
        raise ValueError(f"no sequence has the {shortest} events of warm_up + recent")
    highest = [
        drift_statistic(rng.permutation(rows), detector).max()
        for rows in long
        for _ in range(shuffles)
    ]
    quantile = np.quantile(highest, 1 - false_alarms, method="higher")
    return replace(detector, threshold=float(quantile))


def _rise(vectors: ArrayLike, detector: DriftDetector) -> tuple[np.ndarray, int]:
    """Return 0, then ``m_i`` from the first event on that can be judged; and which one that is."""
    rows = unit_rows(checked_rows(vectors, min_rows=1)).astype(np.float64)
    first = min(detector.warm_up + detector.recent - 1, len(rows))
    sums = np.vstack([np.zeros(rows.shape[1]), np.cumsum(rows, axis=0)])
    until = np.arange(first, len(rows)) + 1
    past = sums[until - detector.recent]
    cosine = (unit_rows(sums[until] - past) * unit_rows(past)).sum(axis=1, dtype=np.float64)
    usual = np.cumsum(cosine) / np.arange(1, len(cosine) + 1)
    return np.concatenate([[0.0], np.cumsum(usual - cosine - detector.slack)]), first

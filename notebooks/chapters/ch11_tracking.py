"""Interest kept up to date: decay by half-life and sessions, in one pass or event by event.

Each measure exists twice, as a formula over all events and as a frozen state with ``add``. Both
give the same vector, so that what is served live is what was evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from llmrec.interest.distinct import checked_rows
from llmrec.vectors import decay, unit_rows


def decay_weights(
    timestamps: ArrayLike, half_life_seconds: float, now: float | None = None
) -> np.ndarray:
    """Return what each event still counts, ``2^(-(now - t) / half_life_seconds)``, ``(n,)``.

    ``now`` is the latest event where it is not given; ``half_life_seconds=inf`` never forgets.
    ValueError when the half-life is not positive, there is no event, or one lies after ``now``.
    """
    times = np.asarray(timestamps, np.float64)
    if times.ndim != 1 or not len(times):
        raise ValueError(f"timestamps have shape {times.shape}: give one for each event")
    latest = float(times.max())
    now = latest if now is None else now
    if latest > now:
        raise ValueError(f"an event at {latest:g} lies after now={now:g}")
    return decay(now - times, _positive("half_life_seconds", half_life_seconds))


def decayed_interest(
    vectors: ArrayLike, timestamps: ArrayLike, half_life_seconds: float
) -> np.ndarray:
    """Return the decayed mean of one user's items, ``Σ w_i x̂_i / Σ w_i``, ``(d,)``.

    ``w`` are `decay_weights`. The moment at which one asks cancels out: silence changes how much is
    known (`DecayedInterest.mass_at`), not what. ``half_life_seconds=inf`` is the plain mean of the
    unit rows. ValueError when lengths differ.
    """
    rows = unit_rows(checked_rows(vectors, min_rows=1)).astype(np.float64)
    weights = decay_weights(_one_each(rows, timestamps), half_life_seconds)
    return weights @ rows / weights.sum()


@dataclass(frozen=True, eq=False)
class DecayedInterest:
    """A decayed mean that takes one event at a time: the `decayed_interest` of all added so far.

    Events may come late, in any order. Nothing but a sum and a mass is kept of the past.

    Attributes
    ----------
    half_life_seconds:
        ``inf`` never forgets.
    total, mass, latest:
        ``Σ w_i x̂_i``, ``Σ w_i`` and the latest timestamp, which the weights refer to.
    """

    half_life_seconds: float
    total: np.ndarray | float = 0.0
    mass: float = 0.0
    latest: float = -np.inf

    def __post_init__(self) -> None:
        _positive("half_life_seconds", self.half_life_seconds)

    def add(self, vector: ArrayLike, timestamp: float) -> DecayedInterest:
        """Return the interest after one more event."""
        row = unit_rows(checked_rows(np.asarray(vector)[None], min_rows=1))[0].astype(np.float64)
        if not self.mass:
            return replace(self, total=row, mass=1.0, latest=float(timestamp))
        latest = max(self.latest, float(timestamp))
        kept, new = decay_weights([self.latest, timestamp], self.half_life_seconds, latest)
        total, mass = kept * self.total + new * row, float(kept * self.mass + new)
        return replace(self, total=total, mass=mass, latest=latest)

    @property
    def vector(self) -> np.ndarray:
        """The decayed mean ``(d,)``; ValueError before the first event."""
        if not self.mass:
            raise ValueError("no event has been added yet: there is no interest to show")
        return np.asarray(self.total / self.mass)

    def mass_at(self, now: float) -> float:
        """Return ``Σ w_i`` at a later moment: how many fresh events the memory is worth."""
        if not self.mass:
            return 0.0
        return float(decay_weights([self.latest], self.half_life_seconds, now)[0] * self.mass)


def sessions(timestamps: ArrayLike, gap_seconds: float) -> np.ndarray:
    """Return the session of each event ``(n,)``: 0 the earliest, a longer pause ends one.

    Events may stand in any order. ValueError when ``gap_seconds`` is not positive.
    """
    times = np.asarray(timestamps, np.float64)
    order = np.argsort(times, kind="stable")
    pauses = np.diff(times[order], prepend=times[order][:1])
    labels = np.empty(len(times), np.int64)
    labels[order] = np.cumsum(pauses > _positive("gap_seconds", gap_seconds))
    return labels


def session_interest(
    vectors: ArrayLike,
    timestamps: ArrayLike,
    gap_seconds: float,
    half_life_seconds: float = np.inf,
    weight: float = 0.5,
) -> np.ndarray:
    """Return the unit vector that joins the latest session with all earlier ones, ``(d,)``.

    ``(1 - weight) l̂ + weight ŝ``: ``s`` the mean of the latest of the `sessions`, ``l`` the
    `decayed_interest` of everything before it, each scaled to length one first, so that ``weight``
    does not depend on how focused either is. Whoever has one session only is that session.

    Raises
    ------
    ValueError
        When lengths differ, a time is not positive or ``weight`` is outside 0 … 1.
    """
    rows = checked_rows(vectors, min_rows=1)
    times = _one_each(rows, timestamps)
    labels = sessions(times, gap_seconds)
    now = labels == labels.max()
    short = decayed_interest(rows[now], times[now], np.inf)
    if now.all():
        return _joined(None, short, weight)
    return _joined(decayed_interest(rows[~now], times[~now], half_life_seconds), short, weight)


@dataclass(frozen=True, eq=False)
class SessionInterest:
    """A `session_interest` that takes one event at a time, in the order of time.

    Attributes
    ----------
    gap_seconds, half_life_seconds, weight:
        As in `session_interest`.
    before, everything, session:
        Decayed means of all earlier sessions, of all events, and of the running session.
    """

    gap_seconds: float
    half_life_seconds: float = np.inf
    weight: float = 0.5
    before: DecayedInterest | None = None
    everything: DecayedInterest | None = None
    session: DecayedInterest | None = None

    def __post_init__(self) -> None:
        _positive("gap_seconds", self.gap_seconds)
        _positive("half_life_seconds", self.half_life_seconds)
        _share("weight", self.weight)

    def add(self, vector: ArrayLike, timestamp: float) -> SessionInterest:
        """Return the interest after one more event; ValueError when it lies before the last one."""
        before, everything, session = self.before, self.everything, self.session
        if everything is None or session is None:
            everything, session = DecayedInterest(self.half_life_seconds), DecayedInterest(np.inf)
        elif timestamp < everything.latest:
            raise ValueError(
                f"an event at {timestamp:g} after one at {everything.latest:g}: sessions need the"
                " order of time"
            )
        elif timestamp - everything.latest > self.gap_seconds:
            before, session = everything, DecayedInterest(np.inf)
        return replace(
            self,
            before=before,
            everything=everything.add(vector, timestamp),
            session=session.add(vector, timestamp),
        )

    @property
    def vector(self) -> np.ndarray:
        """The joined unit vector ``(d,)``; ValueError before the first event."""
        if self.session is None:
            raise ValueError("no event has been added yet: there is no interest to show")
        long = None if self.before is None else self.before.vector
        return _joined(long, self.session.vector, self.weight)


def _joined(long: np.ndarray | None, short: np.ndarray, weight: float) -> np.ndarray:
    _share("weight", weight)
    if long is None:
        return unit_rows(short[None])[0]
    both = unit_rows(np.stack([long, short]))
    return unit_rows(((1 - weight) * both[0] + weight * both[1])[None])[0]


def _one_each(rows: np.ndarray, timestamps: ArrayLike) -> np.ndarray:
    times = np.asarray(timestamps, np.float64)
    if times.shape != (len(rows),):
        raise ValueError(f"{len(rows)} vectors and timestamps of shape {times.shape}: one each")
    return times


def _positive(name: str, value: float) -> float:
    if not value > 0:
        raise ValueError(f"{name}={value} must be positive")
    return value


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name}={value} must lie between 0 and 1")

"""Personal frequency: what this user took most often and most lately, then what everybody takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check, rows_of
from llmrec.vectors import decay

DAY = 86_400


@dataclass(eq=False, repr=False)
class PersonalFrequency(Recommender):
    """Score an item by a user's own decayed count of it, backed off to everybody's.

    ``s(u, i) = (c_ui + β p_i) / (c_u + β)`` with ``c_ui = Σ 2^(−age / half_life_days)`` over the events
    in which ``u`` took ``i``, ``c_u = Σ_i c_ui``, and ``p_i`` the share of ``i`` in the decayed
    counts of all users. It is a probability: how likely the next event of ``u`` is one of ``i``.

    What was never taken is ordered by ``p_i``, alike for everybody: `recommend`, which leaves seen
    items out, is then the list of the latest best-sellers. The model is made for the question of
    what is taken *again*, which ``evaluate(…, repeats=True)`` asks.

    Parameters
    ----------
    half_life_days:
        Days after which an event counts half, > 0; ``inf`` forgets nothing.
    backoff:
        β > 0, in events: a user with so many (decayed) events is believed half.

    Attributes
    ----------
    counts_:
        float32 sparse ``(n_users, n_items)``, ``c``, of ``split.history``.
    popularity_:
        float32 ``(n_items,)``, ``p``, of ``split.train``; it sums to 1, and is 0 for cold items.

    References
    ----------
    Hu, He, Gao and Zhang, Modeling personalized item frequency information for next-basket
    recommendation, SIGIR 2020.

    Notes
    -----
    Ages run from the latest event of the part; unknown timestamps (0) are all of one age. A row is
    one event, whatever its weight.
    """

    half_life_days: float = 60.0
    backoff: float = 1.0

    def _fit(self, split: Split, features: Features) -> None:
        check(
            self.half_life_days > 0 and 0 < self.backoff < np.inf,
            f"PersonalFrequency: half_life_days={self.half_life_days} and backoff={self.backoff}"
            " must be positive",
        )
        times = split.history["timestamp"].to_numpy(np.float64)
        cells = (split.history["user"], split.history["item"])
        shape = (split.n_users, split.n_items)
        self.now_ = float(times.max())
        self.counts_ = sparse.csr_matrix((self._weights(times), cells), shape).astype(np.float32)
        self.popularity_ = recent_shares(split, self.half_life_days)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self._from(self.counts_[self._codes(users)])

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return scores for decayed counts of each history; without times all events count 1."""
        rows = self._checked(histories)
        weights = [np.ones(len(r)) if r.times is None else self._weights(r.times) for r in rows]
        return self._from(rows_of([row.items for row in rows], weights, self.seen_.shape[1]))

    def _weights(self, times: np.ndarray) -> np.ndarray:
        """Return what each event counts; one after the latest of training counts 1."""
        return decay(np.maximum(self.now_ - times, 0) / DAY, self.half_life_days)

    def _from(self, counts: sparse.csr_matrix) -> np.ndarray:
        backoff, dense = np.float32(self.backoff), counts.toarray()
        total = dense.sum(axis=1, keepdims=True) + backoff
        return np.asarray((dense + backoff * self.popularity_) / total)


def recent_shares(split: Split, half_life_days: float) -> np.ndarray:
    """Return each item's share of all decayed train events, float32 ``(n_items,)``."""
    time = split.train["timestamp"].to_numpy(np.float64)
    weights = decay((time.max() - time) / DAY, half_life_days)
    counts = np.bincount(split.train["item"], weights, split.n_items)
    return (counts / counts.sum()).astype(np.float32)

"""Personal frequency: what this user took most often and most lately, then what everybody takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec.data import Split
from llmrec.models.base import Features, Recommender

DAY = 86_400


class PersonalFrequency(Recommender):
    """Score an item by a user's own decayed count of it, backed off to everybody's.

    ``s(u, i) = (c_ui + β p_i) / (c_u + β)`` with ``c_ui = Σ 2^(−age / half_life)`` over the events
    in which ``u`` took ``i``, ``c_u = Σ_i c_ui``, and ``p_i`` the share of ``i`` in the decayed
    counts of all users. It is a probability: how likely the next event of ``u`` is one of ``i``.

    What was never taken is ordered by ``p_i``, alike for everybody: `recommend`, which leaves seen
    items out, is then the list of the latest best-sellers. The model is made for the question of
    what is taken *again*, which `llmrec.evaluation.evaluate_baskets` asks.

    Parameters
    ----------
    half_life:
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
    one event, whatever its weight. `fold_in` gets a matrix without times: its entries are taken as
    counts.
    """

    counts_: sparse.csr_matrix
    popularity_: np.ndarray

    reads_order = True

    def __init__(self, half_life: float = 60.0, backoff: float = 1.0) -> None:
        self.half_life = half_life
        self.backoff = backoff

    def _fit(self, split: Split, features: Features) -> None:
        if not self.half_life > 0 or not 0 < self.backoff < np.inf:
            raise ValueError(
                f"PersonalFrequency: half_life={self.half_life} and backoff={self.backoff} must be"
                " positive"
            )
        shape = (split.n_users, split.n_items)
        cells = (split.history["user"], split.history["item"])
        counts = sparse.csr_matrix((decayed(split.history, self.half_life), cells), shape)
        total = np.bincount(
            split.train["item"], decayed(split.train, self.half_life), split.n_items
        )
        self.counts_ = counts.astype(np.float32)
        self.popularity_ = (total / total.sum()).astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.counts_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return scores for histories whose entries are (decayed) counts."""
        counts = self._histories(histories).toarray()
        total = counts.sum(axis=1, keepdims=True) + np.float32(self.backoff)
        out: np.ndarray = (counts + np.float32(self.backoff) * self.popularity_) / total
        return out


def decayed(events: pd.DataFrame, half_life: float) -> np.ndarray:
    """Return what each event counts, ``2^(−age / half_life)``: the latest one counts 1.

    Ages are in days, timestamps in seconds.
    """
    time = events["timestamp"].to_numpy(np.float64)
    age = (time.max() - time) / DAY
    out: np.ndarray = np.exp2(-age / half_life)
    return out

"""Recent popularity: the list of best-sellers of the last weeks."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from chapters.ch08_personal_frequency import decayed
from llmrec.data import Split
from llmrec.models.base import Features, Recommender


class RecentPopularity(Recommender):
    """Score an item by its share of all events, each halved with every half-life of its age.

    ``s(u, i) = Σ_{events of i} 2^(−age / half_life) / Σ_{all events} 2^(−age / half_life)``, for
    every user alike.

    Parameters
    ----------
    half_life:
        Days after which an event counts half, > 0; ``inf`` counts events.

    Attributes
    ----------
    popularity_:
        float32 ``(n_items,)`` of ``split.train``; it sums to 1, and is 0 for cold items.

    Raises
    ------
    ValueError
        By `fit`, when ``half_life`` is not positive.

    Notes
    -----
    `Popularity` counts users, this counts events. Ages run from the latest train event; unknown
    timestamps (0) are all of one age.
    """

    popularity_: np.ndarray

    def __init__(self, half_life: float = 60.0) -> None:
        self.half_life = half_life

    def _fit(self, split: Split, features: Features) -> None:
        if not self.half_life > 0:
            raise ValueError(f"RecentPopularity: half_life={self.half_life} must be positive")
        counts = np.bincount(
            split.train["item"], decayed(split.train, self.half_life), split.n_items
        )
        self.popularity_ = (counts / counts.sum()).astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.popularity_, (len(self._codes(users)), 1))

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return the popularities for every history: they do not depend on it."""
        return np.tile(self.popularity_, (self._histories(histories).shape[0], 1))

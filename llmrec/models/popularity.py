"""Most popular first: what every personalised model has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender


class Popularity(Recommender):
    """Score an item by the share of users who took it: ``s(u, i) = |{v : x_vi = 1}| / n_users``.

    Attributes
    ----------
    popularity_:
        float32 ``(n_items,)``, in [0, 1]; 0 for cold items.

    Notes
    -----
    Repeated events of one user count once.
    """

    def _fit(self, split: Split, features: Features) -> None:
        counts = np.asarray(split.matrix("train").sum(axis=0)).ravel()
        self.popularity_ = (counts / split.n_users).astype(np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.popularity_, (len(self._codes(users)), 1))

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return the popularities for every history: they do not depend on it."""
        return np.tile(self.popularity_, (len(self._checked(histories)), 1))

"""A finished table of scores as a recommender, so that it can be evaluated like any other."""

from __future__ import annotations

import numpy as np

from llmrec.data import Split
from llmrec.models.base import Features, Recommender


class GivenScores(Recommender):
    """Return the scores that were given: ``s(u, i) = scores[u, i]``.

    For scores computed elsewhere, such as a blend of two models or a network in a notebook. There
    is no `fold_in`: a history says nothing about such a table.

    Parameters
    ----------
    scores:
        ``(n_users, n_items)``, finite.

    Raises
    ------
    ValueError
        By `fit`, when the shape is not the split's or a score is not finite.
    """

    def __init__(self, scores: np.ndarray) -> None:
        self.scores = scores

    def _fit(self, split: Split, features: Features) -> None:
        if self.scores.shape != (split.n_users, split.n_items):
            raise ValueError(
                f"GivenScores: scores have shape {self.scores.shape}, expected"
                f" ({split.n_users}, {split.n_items}): one row a user, one column an item"
            )
        if not np.isfinite(self.scores).all():
            raise ValueError("GivenScores: scores hold NaN or infinity; give each item a number")

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.scores[self._codes(users)].astype(np.float32, copy=False)

    def __repr__(self) -> str:
        return f"GivenScores(scores={self.scores.shape})"

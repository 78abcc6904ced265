"""Zero-shot text similarity: the language model alone, with nothing learned from behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check, check_vectors, mean_history
from llmrec.vectors import centred, unit_rows


@dataclass(eq=False, repr=False)
class TextSimilarity(Recommender):
    """Score an item by the cosine of its text vector to the user's: ``s(u, i) = ⟨x̂_u, t̂_i⟩``.

    ``x_u`` is ``features.users[u]`` when given, else the mean of the history's item vectors. Cold
    items are scored like any other; a user without history or vector scores 0 everywhere.

    Parameters
    ----------
    weighted:
        Weight the mean by the interactions' weights (ratings, counts) instead of equally.
    centre:
        Subtract the warm items' mean vector from all items' vectors, and the mean vector of the
        users with train rows from all users' vectors, before they are scaled to length one. What
        all texts share then drops out of the cosine. A row without text (all zero) stays zero.

    Attributes
    ----------
    items_, users_:
        float32 unit rows ``(n_items, d)`` and ``(n_users, d)``.

    Notes
    -----
    Requires ``Features(items=...)``.
    """

    weighted: bool = False
    centre: bool = False

    def _fit(self, split: Split, features: Features) -> None:
        name = type(self).__name__
        items = check_vectors(features.items, split.n_items, "items", name)
        taken = split.matrix("train").getnnz(axis=0) > 0
        items = unit_rows(centred(items, warm=taken) if self.centre else items)
        if features.users is None:
            users = mean_history(split.matrix("history", binary=not self.weighted), items)
        else:
            users = check_vectors(features.users, split.n_users, "users", name)
            known = split.matrix("train").getnnz(axis=1) > 0
            users = unit_rows(centred(users, warm=known) if self.centre else users)
            check(
                users.shape[1] == items.shape[1],
                f"{name}: users vectors have {users.shape[1]} dimensions but items have"
                f" {items.shape[1]}; encode both with one encoder",
            )
        self.items_, self.users_ = items, users

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.users_[self._codes(users)] @ self.items_.T

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return cosines to the mean of each history's item vectors."""
        rows = self._matrix(histories, binary=not self.weighted)
        return mean_history(rows, self.items_) @ self.items_.T

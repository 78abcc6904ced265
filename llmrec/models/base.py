"""The contract of a recommender: fit, score, recommend, fold in.

Introduced in chapter 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import sparse

from llmrec.data import Split


@dataclass(frozen=True)
class Features:
    """Text vectors a model may use: ``items (n_items, d)`` and ``users (n_users, d)``, unit rows."""

    items: np.ndarray | None = None
    users: np.ndarray | None = None


class Recommender(ABC):
    """One recommender: ``__init__`` only stores its arguments, learned state ends in ``_``."""

    seen_: sparse.csr_matrix  # (n_users, n_items), what each user already has

    def fit(self, split: Split, features: Features | None = None) -> Self:
        """Learn from ``split.train`` (never from valid or test) and return self."""
        self.seen_ = split.matrix("history")
        self._fit(split, features or Features())
        return self

    @abstractmethod
    def _fit(self, split: Split, features: Features) -> None: ...

    @abstractmethod
    def score(self, users: np.ndarray) -> np.ndarray:
        """Return float32 ``(len(users), n_items)``, higher is better, for user codes."""

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return float32 ``(m, n_items)`` scores for users known only by ``histories (m, n_items)``."""
        raise NotImplementedError(f"{type(self).__name__} cannot score users unseen in training")

    def recommend(self, users: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(items, scores)``, each ``(len(users), k)``, best first, seen items left out."""
        raise NotImplementedError

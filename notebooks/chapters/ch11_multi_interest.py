"""MultiInterest: a user as several decayed interests, each of which may answer for an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from llmrec.data import History, Split, histories_of
from llmrec.interest import interests
from llmrec.models.base import Features, Recommender, check, check_vectors, rows_of
from llmrec.vectors import centred, decay, unit_rows


@dataclass(eq=False, repr=False)
class MultiInterest(Recommender):
    """Score an item by the user's interests: ``s(u, i) = τ log Σ_k π_k exp(⟨v̂_k, t̂_i⟩ / τ)``.

    The items of a history fall into `llmrec.interest.interests`. Interest k has the vector
    ``v_k = Σ w_j t̂_j`` over its items and the share ``π_k = Σ w_j`` of the whole, with
    ``w_j = 2^(-age_j / half_life_seconds)``, the age counted back from the user's latest event. This is the
    log density of a mixture of von Mises-Fisher distributions with concentration ``1 / τ``; as τ
    falls to 0 it becomes ``max_k ⟨v̂_k, t̂_i⟩``, in which the shares do not count.

    Parameters
    ----------
    distance:
        Mean cosine distance below which items are of one interest, > 0 (`interest_distance` finds
        it for a catalogue); ``inf``: one interest a user.
    half_life_seconds:
        Seconds after which an event counts half, > 0; ``inf`` never forgets.
    temperature:
        τ ≥ 0.
    centre:
        Subtract the warm items' mean vector first, as `TextSimilarity` does.

    Attributes
    ----------
    items_:
        float32 unit rows ``(n_items, d)``.
    histories_:
        float32 sparse ``(n_users, n_items)``, ``w`` of each item in ``split.history``; of an item
        taken several times the latest event counts.

    References
    ----------
    Pal et al. 2020, "PinnerSage: multi-modal user embedding framework for recommendations at
    Pinterest", KDD. Banerjee et al. 2005, "Clustering on the unit hypersphere using von
    Mises-Fisher distributions", JMLR 6.

    Notes
    -----
    Requires ``Features(items=...)`` and learns nothing: cold items are scored like any other. One
    interest without decay is `TextSimilarity`. An item without text belongs to no interest.
    """

    distance: float = np.inf
    half_life_seconds: float = np.inf
    temperature: float = 0.0
    centre: bool = False

    def _fit(self, split: Split, features: Features) -> None:
        check(
            self.distance > 0 and self.half_life_seconds > 0 and self.temperature >= 0,
            f"MultiInterest: distance={self.distance} and half_life_seconds="
            f"{self.half_life_seconds} must be positive, temperature={self.temperature} at least 0",
        )
        unknown = int((split.history["timestamp"] == 0).sum())
        check(
            np.isinf(self.half_life_seconds) or not unknown,
            f"MultiInterest: {unknown} of {len(split.history)} timestamps are unknown (0): use"
            " half_life_seconds=inf",
        )
        items = check_vectors(features.items, split.n_items, "items", "MultiInterest")
        warm = split.matrix("train").getnnz(axis=0) > 0
        self.items_ = unit_rows(centred(items, warm=warm) if self.centre else items)
        self.histories_ = self._weighted(histories_of(split), split.n_items)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self._from(self.histories_[self._codes(users)])

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return scores for histories; without times all of its items count alike."""
        return self._from(self._weighted(self._checked(histories), self.seen_.shape[1]))

    def _weighted(self, histories: Sequence[History], n_items: int) -> sparse.csr_matrix:
        """Return ``w`` of each item of each history, by its latest event, ``(m, n_items)``."""
        items, weights = [], []
        for row in histories:
            taken, back = np.unique(row.items[::-1], return_index=True)  # the first is the latest
            times = np.zeros(len(row)) if row.times is None else row.times
            age = times[-1:] - times[::-1][back]
            items.append(taken)
            weights.append(decay(age, self.half_life_seconds))
        return rows_of(items, weights, n_items)

    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        out = np.zeros(histories.shape, np.float32)
        has_text = (self.items_ != 0).any(axis=1)
        for row, (start, end) in enumerate(
            zip(histories.indptr, histories.indptr[1:], strict=False)
        ):
            items, weights = histories.indices[start:end], histories.data[start:end]
            kept = has_text[items] & (weights > 0)  # a weight may have decayed to 0
            if kept.any():
                shares, vectors = self._mixture(items[kept], weights[kept].astype(np.float64))
                out[row] = self._density(shares, vectors @ self.items_.T)
        return out

    def _mixture(self, items: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the interests' shares ``(k,)`` and unit vectors ``(k, d)``."""
        rows = self.items_[items]
        label = (
            interests(rows, self.distance)
            if np.isfinite(self.distance)
            else np.zeros(len(items), np.int64)
        )
        of = sparse.csr_matrix((weights, (label, np.arange(len(items)))))  # (k, n)
        shares = np.asarray(of.sum(axis=1)).ravel()
        return shares / shares.sum(), unit_rows(of @ rows)

    def _density(self, shares: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        """Return ``τ log Σ_k π_k exp(cos / τ)`` of cosines ``(k, n_items)``."""
        best = cosines.max(axis=0)
        if not self.temperature:
            return best
        terms = shares[:, None] * np.exp((cosines - best) / self.temperature)
        return best + self.temperature * np.log(terms.sum(axis=0))

"""MultiInterest: a user as several decayed interests, each of which may answer for an item."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from chapters.ch11_tracking import decay_weights
from llmrec.data import Split
from llmrec.interest import interests
from llmrec.models.base import Features, Recommender, check_vectors
from llmrec.vectors import centred, unit_rows


class MultiInterest(Recommender):
    """Score an item by the user's interests: ``s(u, i) = τ log Σ_k π_k exp(⟨v̂_k, t̂_i⟩ / τ)``.

    The items of a history fall into `llmrec.interest.interests`. Interest k has the vector
    ``v_k = Σ w_j t̂_j`` over its items and the share ``π_k = Σ w_j`` of the whole, with
    ``w_j = 2^(-age_j / half_life)``, the age counted back from the user's latest event. This is the
    log density of a mixture of von Mises-Fisher distributions with concentration ``1 / τ``; as τ
    falls to 0 it becomes ``max_k ⟨v̂_k, t̂_i⟩``, in which the shares do not count.

    Parameters
    ----------
    distance:
        Mean cosine distance below which items are of one interest, > 0 (`interest_distance` finds
        it for a catalogue); ``inf``: one interest a user.
    half_life:
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

    items_: np.ndarray
    histories_: sparse.csr_matrix

    reads_order = True

    def __init__(
        self,
        distance: float = np.inf,
        half_life: float = np.inf,
        temperature: float = 0.0,
        centre: bool = False,
    ) -> None:
        self.distance = distance
        self.half_life = half_life
        self.temperature = temperature
        self.centre = centre

    def _fit(self, split: Split, features: Features) -> None:
        if not self.distance > 0 or not self.half_life > 0 or not self.temperature >= 0:
            raise ValueError(
                f"MultiInterest: distance={self.distance} and half_life={self.half_life} must be"
                f" positive, temperature={self.temperature} at least 0"
            )
        items = check_vectors(features.items, split.n_items, "items", "MultiInterest")
        warm = split.matrix("train").getnnz(axis=0) > 0
        self.items_ = unit_rows(centred(items, warm=warm) if self.centre else items)
        self.histories_ = decayed_histories(split, self.half_life)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.fold_in(self.histories_[self._codes(users)])

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return scores for histories whose entries stand for ``2^(-age / half_life)``.

        A binary matrix has no time: every item then counts alike. Entries that are not positive say
        nothing.
        """
        histories = self._histories(histories)
        out = np.zeros(histories.shape, np.float32)
        said = (self.items_ != 0).any(axis=1)
        for row, (start, end) in enumerate(
            zip(histories.indptr, histories.indptr[1:], strict=False)
        ):
            items, weights = histories.indices[start:end], histories.data[start:end]
            kept = said[items] & (weights > 0)
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


def decayed_histories(split: Split, half_life: float) -> sparse.csr_matrix:
    """Return ``2^(-age / half_life)`` of each item of each user's history, by its latest event.

    float32 ``(n_users, n_items)``; the age counts back, in seconds, from the user's own latest
    event. ``half_life=inf`` gives ones and needs no timestamps.

    Raises
    ------
    ValueError
        When there is a half-life but a timestamp is unknown (0).
    """
    events = split.history
    if np.isfinite(half_life) and (unknown := int((events["timestamp"] == 0).sum())):
        raise ValueError(
            f"MultiInterest: {unknown} of {len(events)} timestamps are unknown (0): use"
            " half_life=inf"
        )
    last = events.sort_values("timestamp", kind="stable").drop_duplicates(
        ["user", "item"], keep="last"
    )
    latest = last.groupby("user")["timestamp"].transform("max")
    age = (latest - last["timestamp"]).to_numpy(np.float64)
    cells = (decay_weights(-age, half_life, now=0).astype(np.float32), (last["user"], last["item"]))
    return sparse.csr_matrix(cells, (split.n_users, split.n_items))

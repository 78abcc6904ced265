"""Ensembles: several recommenders joined into one, with learned weights or by ranks alone."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import optimize, sparse, stats

from llmrec.data import History, Split, histories_of
from llmrec.models.base import Features, Recommender, check

CELLS = 4_000_000  # scores of one member held at once: 16 MB
RRF = 60  # the constant of reciprocal-rank fusion


class _Fusion(Recommender):
    """Fits fresh copies of its members and joins their scores."""

    members: Mapping[str, Recommender]
    features: Mapping[str, Features] | None

    def _fit(self, split: Split, features: Features) -> None:
        own = self.features or {}
        kind, unknown = type(self).__name__, sorted(set(own) - set(self.members))
        check(len(self.members) > 0, f"{kind}: members is empty: name a recommender")
        check(
            not unknown,
            f"{kind}: features name {', '.join(map(repr, unknown))}, which is no member (they are"
            f" {', '.join(self.members)})",
        )
        self.members_ = {
            name: type(member)(**member.params).fit(split, own.get(name, features))
            for name, member in self.members.items()
        }

    def score(self, users: np.ndarray) -> np.ndarray:
        codes = self._codes(users)
        scores = [member.score(codes) for member in self.members_.values()]
        return self._fuse(scores, self.seen_[codes])

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        scores = [member.fold_in(histories) for member in self.members_.values()]
        return self._fuse(scores, self._matrix(histories))

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the state without text vectors: they serve to fit an ensemble, not to use it."""
        params, learned = super().state()
        return params | {"members": None, "features": None}, learned

    @classmethod
    def from_state(cls, params: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        members = {one: type(m)(**m.params) for one, m in learned["members_"].items()}
        return super().from_state({**params, "members": members}, learned)

    @abstractmethod
    def _fuse(self, scores: list[np.ndarray], seen: sparse.csr_matrix) -> np.ndarray:
        """Join the members' ``(n, n_items)`` scores; what is in ``seen`` cannot be recommended."""


@dataclass(eq=False, repr=False)
class ReciprocalRankFusion(_Fusion):
    """Add up reciprocal ranks: ``s(u, i) = Σ_m 1 / (60 + rank_m(u, i))``.

    Ranks run from 1 over the items that are not in the history; equal scores share their mean rank.
    Nothing is learned, which makes it the control of `Ensemble`.

    Parameters
    ----------
    members:
        Recommenders by name; each fit makes and fits copies of them.
    features:
        Text vectors of the members that read others than those given to `fit`, by name.

    Attributes
    ----------
    members_:
        The fitted copies by name.

    References
    ----------
    Cormack, Clarke and Büttcher, Reciprocal rank fusion outperforms Condorcet and individual rank
    learning methods, SIGIR 2009.
    """

    members: Mapping[str, Recommender]
    features: Mapping[str, Features] | None = None

    def _fuse(self, scores: list[np.ndarray], seen: sparse.csr_matrix) -> np.ndarray:
        total = np.zeros(seen.shape, np.float64)
        for of_member in scores:
            last = of_member.astype(np.float32, copy=True)
            last[seen.nonzero()] = -np.inf
            total += 1 / (RRF + stats.rankdata(-last, axis=1))
        return total.astype(np.float32)


@dataclass(eq=False, repr=False)
class Ensemble(_Fusion):
    """Add up standardised scores with learned weights: ``s(u, i) = Σ_m w_m z_m(u, i)``.

    ``z_m(u, i) = (s_m(u, i) - μ) / σ`` with the mean and the standard deviation of member ``m``'s
    scores of user ``u`` over the items that are not in the history; 0 where σ = 0. The weights,
    ``w ≥ 0`` and ``Σ w = 1``, are proportional to the β ≥ 0 that maximise the mean log-likelihood
    of the validation items under a softmax over a shortlist,

    ``log p(i | u) = Σ_m β_m z_m(u, i) - log Σ_{j in L_u} exp Σ_m β_m z_m(u, j)``,

    where ``L_u`` joins every member's first ``shortlist`` items: what decides the top of the list,
    not its long tail, sets the weights. The problem is convex.

    Parameters
    ----------
    members:
        Recommenders by name; each fit makes and fits copies of them.
    weights:
        Given weights by name, at least 0, scaled to sum to 1. None learns them on ``split.valid``
        with members fitted on ``split.train``.
    features:
        Text vectors of the members that read others than those given to `fit`, by name.
    shortlist:
        How many items each member puts on the shortlist.

    Attributes
    ----------
    members_:
        The fitted copies by name.
    weights_:
        Weight by name.

    Raises
    ------
    ValueError
        When weights are to be learned and no validation item is on a shortlist.

    Notes
    -----
    What may be known at test time often includes the validation events. Learn the weights on a
    split with a valid part, then fit an ensemble with these ``weights`` on the split without it.
    """

    members: Mapping[str, Recommender]
    weights: Mapping[str, float] | None = None
    features: Mapping[str, Features] | None = None
    shortlist: int = 100

    def _fit(self, split: Split, features: Features) -> None:
        if self.weights is None:
            check(self.shortlist >= 1, f"Ensemble: shortlist={self.shortlist} must be at least 1")
            super()._fit(split, features)
            found = self._learn(split)
        else:
            check(
                set(self.weights) == set(self.members),
                f"Ensemble: weights name {', '.join(self.weights)}, but members"
                f" {', '.join(self.members)}",
            )
            found = np.array([self.weights[name] for name in self.members], np.float64)
            check(
                found.min() >= 0 and 0 < found.sum() < np.inf,
                f"Ensemble: weights={dict(self.weights)} must be at least 0, not all of them 0",
            )
            super()._fit(split, features)
        self.weights_ = dict(zip(self.members, (found / found.sum()).tolist(), strict=True))

    def _fuse(self, scores: list[np.ndarray], seen: sparse.csr_matrix) -> np.ndarray:
        total = np.zeros(seen.shape, np.float64)
        for weight, of_member in zip(self.weights_.values(), scores, strict=True):
            total += weight * standardised(of_member, seen)
        return total.astype(np.float32)

    def _learn(self, split: Split) -> np.ndarray:
        lists = list(self._shortlists(split))
        check(
            len(lists) > 0,
            f"Ensemble: split {split.name!r} has no validation item among any member's first"
            f" {self.shortlist}: use a split with valid, a longer shortlist or give weights",
        )
        z = np.vstack([rows for rows, _ in lists])
        target = np.concatenate([is_target for _, is_target in lists])
        owner = np.repeat(np.arange(len(lists)), [len(rows) for rows, _ in lists])
        beta = softmax_weights(z, target, owner)
        return beta if beta.any() else np.ones_like(beta)  # nobody helps: no one is preferred

    def _shortlists(self, split: Split) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield ``z (candidates, members)`` and which are targets, for each user with a target."""
        history = split.matrix("history")
        targets = split.matrix("valid") > history
        asked = np.flatnonzero(targets.getnnz(axis=1))
        cold = np.isin(asked, split.cold_users) & (history[asked].getnnz(axis=1) > 0)
        step = max(1, CELLS // split.n_items)
        for group, is_cold in ((asked[~cold], False), (asked[cold], True)):
            for start in range(0, len(group), step):
                users = group[start : start + step]
                seen, known = history[users], histories_of(split, users) if is_cold else []
                z = [
                    standardised(member.fold_in(known) if is_cold else member.score(users), seen)
                    for member in self.members_.values()
                ]
                listed = np.any([self._first(of_member, seen) for of_member in z], axis=0)
                for row, user in enumerate(users):
                    items = np.flatnonzero(listed[row])
                    is_target = np.isin(items, targets[[user]].indices)
                    if is_target.any():
                        yield np.stack([of_member[row, items] for of_member in z], 1), is_target

    def _first(self, z: np.ndarray, seen: sparse.csr_matrix) -> np.ndarray:
        """Return which items are among each row's first; those tied with the next one are not."""
        masked = z.copy()
        masked[seen.nonzero()] = -np.inf
        if self.shortlist >= masked.shape[1]:
            return masked > -np.inf
        return masked > -np.partition(-masked, self.shortlist, axis=1)[:, [self.shortlist]]


def standardised(scores: np.ndarray, seen: sparse.csr_matrix) -> np.ndarray:
    """Return each row minus its mean, over its standard deviation, both over unseen items.

    float64 ``(n, n_items)``; a row whose unseen items all score the same gives zeros.
    """
    unseen = np.ones(scores.shape, bool)
    unseen[seen.nonzero()] = False
    centred = np.asarray(scores, np.float64)
    n = np.maximum(unseen.sum(axis=1, keepdims=True), 1)
    centred = centred - (centred * unseen).sum(axis=1, keepdims=True) / n
    spread = np.sqrt((np.square(centred) * unseen).sum(axis=1, keepdims=True) / n)
    # Equal float32 scores leave only rounding behind.
    least = 1e-6 * np.abs(scores).max(axis=1, keepdims=True, initial=0)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > least)


def softmax_weights(z: np.ndarray, target: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return the β ≥ 0 that maximise the mean log-likelihood of the targets, see `Ensemble`.

    Parameters
    ----------
    z:
        ``(rows, members)`` standardised scores of all users' shortlists.
    target:
        ``(rows,)`` bool; each user has at least one.
    owner:
        ``(rows,)`` the user of each row: 0, 1, …, sorted.
    """
    first = np.flatnonzero(np.diff(owner, prepend=-1))
    wanted = np.add.reduceat(target.astype(np.float64), first)  # targets of each user
    n = wanted.sum()

    # Minimise −(1/n) Σ_u [Σ_{i ∈ T_u} ⟨β, z_ui⟩ − |T_u| log Σ_{j ∈ L_u} exp⟨β, z_uj⟩]: convex, as a
    # sum of log-sum-exps, with the gradient (1/n) Σ_u [|T_u| E_p z − Σ_{T_u} z]. All users' lists
    # lie below each other, and `reduceat` adds or compares within each.
    def loss(beta: np.ndarray) -> tuple[float, np.ndarray]:
        logit = z @ beta
        logit -= np.maximum.reduceat(logit, first)[owner]  # the largest is 0: exp cannot overflow
        weight = np.exp(logit)
        total = np.add.reduceat(weight, first)
        expected = (wanted / total)[owner] * weight  # |T_u| p: how often a row is expected to be it
        value = (wanted @ np.log(total) - logit[target].sum()) / n
        return float(value), (expected @ z - z[target].sum(axis=0)) / n

    members = z.shape[1]
    bounds = [(0.0, None)] * members
    return optimize.minimize(loss, np.zeros(members), jac=True, bounds=bounds).x

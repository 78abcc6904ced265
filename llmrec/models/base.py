"""The contract of a recommender: fit, score, recommend, fold in."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self

import numpy as np
from scipy import sparse

from llmrec.data import History, Split
from llmrec.vectors import unit_rows

BLOCK = 1 << 24  # scores held at once by recommend(): 64 MiB of float32


@dataclass(frozen=True)
class Features:
    """Text vectors a model may use: ``items (n_items, d)``, ``users (n_users, d)``, unit rows."""

    items: np.ndarray | None = None
    users: np.ndarray | None = None


class NotFittedError(ValueError, AttributeError):
    """Learned state was asked for before `Recommender.fit`; hasattr() still answers False."""


def check(condition: bool | np.bool_, message: str) -> None:
    """Raise ValueError with the message unless the condition holds."""
    if not condition:
        raise ValueError(message)


class Recommender(ABC):
    """One recommender: ``__init__`` only stores its arguments, learned state ends in ``_``.

    A subclass is a ``@dataclass(eq=False, repr=False)`` of its arguments. It implements `_fit` and
    `score`, and `fold_in` where a user can be described by a history alone. Scores are finite for
    every user and item code, the cold ones too.

    Attributes
    ----------
    seen_:
        ``(n_users, n_items)`` binary matrix of ``split.history``: what is never recommended.
    """

    seen_: sparse.csr_matrix

    def fit(self, split: Split, features: Features | None = None, **given: Any) -> Self:
        """Learn from ``split.train`` (never from valid or test) and return self.

        ``given`` is what some models can be handed because another fit computed it, such as EASE's
        ``inverse``; it changes how long a fit takes, not what it gives.

        Raises
        ------
        ValueError
            When the train part is empty, or when the model needs text vectors that are missing,
            misshapen or not finite.
        """
        check(
            len(split.train) > 0,
            f"{type(self).__name__}.fit: split {split.name!r} has no train interactions;"
            " choose a smaller test share",
        )
        self._fit(split, features or Features(), **given)
        self.seen_ = split.matrix("history")
        return self

    @abstractmethod
    def _fit(self, split: Split, features: Features) -> None: ...

    @abstractmethod
    def score(self, users: np.ndarray) -> np.ndarray:
        """Return float32 ``(len(users), n_items)``, higher is better, for user codes."""

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return float32 ``(m, n_items)`` scores for ``m`` users known by their histories.

        A model reads of a `History` what it needs: the items, their order, times or weights.

        Raises
        ------
        NotImplementedError
            When the model cannot describe a user by a history alone.
        """
        raise NotImplementedError(
            f"{type(self).__name__} cannot score users unseen in training: it has no fold_in"
        )

    def recommend(self, users: np.ndarray, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(items, scores)``, each ``(len(users), k)``, best first, seen items left out.

        Equal scores are ordered by item code. A user with fewer than ``k`` unseen items gets all of
        them, then item -1 with score -inf.

        Parameters
        ----------
        users:
            User codes ``(n,)``.
        k:
            Length of each list, at least 1; it may exceed the catalogue.

        Returns
        -------
        tuple of int64 and float32 arrays, both ``(n, k)``.
        """
        codes = self._codes(users)
        check(k == int(k) and k >= 1, f"recommend: k={k} must be a whole number of at least 1")
        items = np.empty((len(codes), k), np.int64)
        scores = np.empty((len(codes), k), np.float32)
        step = max(1, BLOCK // self.seen_.shape[1])
        for start in range(0, len(codes), step):
            block = slice(start, start + step)
            masked = self.score(codes[block]).astype(np.float32, copy=True)
            masked[self.seen_[codes[block]].nonzero()] = -np.inf
            items[block], scores[block] = top_k(masked, k)
        return items, scores

    @property
    def params(self) -> dict[str, Any]:
        """The arguments of ``__init__`` by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the arguments and what `fit` learned, by name, as `llmrec.models.save` keeps them.

        Learned values are arrays, CSR matrices, plain values or fitted members by name.
        """
        params = self.params
        return params, {key: value for key, value in vars(self).items() if key not in params}

    @classmethod
    def from_state(cls, params: Mapping[str, Any], learned: Mapping[str, Any]) -> Self:
        """Return the fitted model that `state` described."""
        model = cls(**params)
        vars(model).update(learned)
        return model

    def __repr__(self) -> str:
        inside = ", ".join(f"{name}={value!r}" for name, value in self.params.items())
        return f"{type(self).__name__}({inside})"

    def __getattr__(self, name: str) -> NoReturn:
        """Say "not fitted" when learned state is asked for before `fit` (only misses come here)."""
        if name.endswith("_") and not name.startswith("_") and "seen_" not in vars(self):
            raise NotFittedError(f"{type(self).__name__} is not fitted: call fit(split) first")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _codes(self, users: np.ndarray) -> np.ndarray:
        """Return user codes as int64, or say which one is unknown."""
        codes = np.asarray(users)
        if codes.ndim != 1 or (codes.size and codes.dtype.kind not in "iu"):
            raise ValueError(
                f"users must be a list of integer user codes, got {codes.dtype} of shape"
                f" {codes.shape}"
            )
        n_users = self.seen_.shape[0]
        unknown = codes[(codes < 0) | (codes >= n_users)]
        if unknown.size:
            raise ValueError(
                f"unknown user code {unknown[0]}: codes are positions in dataset.user_ids,"
                f" 0 to {n_users - 1}"
            )
        return codes.astype(np.int64)

    def _checked(self, histories: Sequence[History]) -> list[History]:
        """Return the histories, or say which one does not fit the catalogue."""
        n_items = self.seen_.shape[1]
        for place, history in enumerate(histories):
            if not isinstance(history, History):
                raise ValueError(
                    "fold_in takes a list of llmrec.data.History(items), got"
                    f" {type(history).__name__}"
                )
            if (history.items >= n_items).any():
                raise ValueError(
                    f"fold_in: history {place} holds item {history.items.max()}, but codes run from"
                    f" 0 to {n_items - 1}"
                )
        return list(histories)

    def _matrix(self, histories: Sequence[History], *, binary: bool = True) -> sparse.csr_matrix:
        """Return what was taken as float32 CSR ``(m, n_items)``, or else the summed weights."""
        rows = self._checked(histories)
        weights = [
            np.ones(len(row)) if binary or row.weights is None else row.weights for row in rows
        ]
        out = rows_of([row.items for row in rows], weights, self.seen_.shape[1])
        if binary:
            out.data[:] = 1.0
        return out


class FromHistory(Recommender):
    """A recommender whose scores are a function of the items of a history, `_from`."""

    def score(self, users: np.ndarray) -> np.ndarray:
        return self._from(self.seen_[self._codes(users)])

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        return self._from(self._matrix(histories))

    @abstractmethod
    def _from(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return float32 ``(m, n_items)`` scores for a matrix of histories of that shape."""


@dataclass(eq=False, repr=False)
class GivenScores(Recommender):
    """A finished table of scores, to be evaluated like any other: ``s(u, i) = scores[u, i]``.

    There is no `fold_in`: a history says nothing about such a table.

    Parameters
    ----------
    scores:
        ``(n_users, n_items)``, finite.
    """

    scores: np.ndarray

    def _fit(self, split: Split, features: Features) -> None:
        check(
            self.scores.shape == (split.n_users, split.n_items),
            f"GivenScores: scores have shape {self.scores.shape}, expected"
            f" ({split.n_users}, {split.n_items}): one row a user, one column an item",
        )
        check(
            np.isfinite(self.scores).all(),
            "GivenScores: scores hold NaN or infinity; give each item a number",
        )

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.scores[self._codes(users)].astype(np.float32, copy=False)

    def __repr__(self) -> str:
        return f"GivenScores(scores={self.scores.shape})"


def rows_of(
    items: Sequence[np.ndarray], weights: Sequence[np.ndarray], n_items: int
) -> sparse.csr_matrix:
    """Return float32 CSR ``(m, n_items)`` of each row's items and weights; equal cells add up."""
    starts = np.cumsum([0, *map(len, items)])
    codes, values = (
        np.concatenate([np.empty(0, kind), *parts]).astype(kind)
        for parts, kind in ((items, np.int32), (weights, np.float32))
    )
    out = sparse.csr_matrix((values, codes, starts), (len(items), n_items), dtype=np.float32)
    out.sum_duplicates()
    return out


def top_k(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ``k`` best ``(items, scores)`` of each row; -inf marks what may not be listed.

    Ties go to the smaller item code; rows with fewer than ``k`` finite scores end in item -1 with
    score -inf.

    Examples
    --------
    >>> items, _ = top_k(np.array([[0.5, 0.9, 0.5, -np.inf]], np.float32), 4)
    >>> items.tolist()
    [[1, 0, 2, -1]]
    """
    n, n_items = scores.shape
    items = np.full((n, k), -1, np.int64)
    best = np.full((n, k), -np.inf, np.float32)
    for row in range(n):
        values = scores[row]
        candidates = np.arange(n_items)
        if k < n_items:  # all that reach the k-th value, so that ties at the border stay whole
            border = np.partition(values, n_items - k)[n_items - k]
            candidates = np.flatnonzero(values >= border)
        order = candidates[np.argsort(-values[candidates], kind="stable")][:k]
        order = order[values[order] > -np.inf]
        items[row, : len(order)] = order
        best[row, : len(order)] = values[order]
    return items, best


def check_vectors(vectors: np.ndarray | None, rows: int, what: str, model: str) -> np.ndarray:
    """Return text vectors as float32 ``(rows, d)``, or raise one line that says what is wrong."""
    if vectors is None:
        raise ValueError(
            f"{model} needs {what} vectors: pass fit(split, Features({what}=encoder.encode(texts)))"
        )
    out = np.asarray(vectors)
    if out.ndim != 2 or out.shape[0] != rows or out.shape[1] < 1:
        raise ValueError(
            f"{model}: {what} vectors have shape {out.shape}, expected ({rows}, d): one row for"
            f" each of dataset.{what[:-1]}_ids"
        )
    if out.dtype.kind not in "fiu":
        raise ValueError(f"{model}: {what} vectors are {out.dtype}, expected numbers")
    bad = np.flatnonzero(~np.isfinite(out).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{model}: {what} vectors of row {bad[0]} hold NaN or infinity ({bad.size} such rows);"
            " encode that text again"
        )
    return np.ascontiguousarray(out, np.float32)


def mean_history(histories: sparse.csr_matrix, items: np.ndarray) -> np.ndarray:
    """Return the unit vector along the weighted mean of each history's item vectors.

    ``x_u = Σ_i w_ui t_i / ‖Σ_i w_ui t_i‖``, ``(m, d)``; an empty history gives a zero row. The mean
    and the sum differ only in length, which the division removes.
    """
    return unit_rows(histories @ items)

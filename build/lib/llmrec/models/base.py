"""The contract of a recommender: fit, score, recommend, fold in."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

import numpy as np
from scipy import sparse

from llmrec.data import Split
from llmrec.vectors import unit_rows

BLOCK = 1 << 24  # scores held at once by recommend(): 64 MiB of float32


@dataclass(frozen=True)
class Features:
    """Text vectors a model may use: ``items (n_items, d)``, ``users (n_users, d)``, unit rows."""

    items: np.ndarray | None = None
    users: np.ndarray | None = None


class NotFittedError(ValueError, AttributeError):
    """Learned state was asked for before `Recommender.fit`; hasattr() still answers False."""


class Recommender(ABC):
    """One recommender: ``__init__`` only stores its arguments, learned state ends in ``_``.

    A subclass implements `_fit` and `score`, and `fold_in` where a user can be described by a
    history alone. Scores are finite for every user and item code, the cold ones too.

    Attributes
    ----------
    seen_:
        ``(n_users, n_items)`` binary matrix of ``split.history``: what is never recommended.
    """

    seen_: sparse.csr_matrix

    #: Whether `score` reads the order of ``split.history``, which the matrix of `fold_in` lacks.
    reads_order: ClassVar[bool] = False

    def fit(self, split: Split, features: Features | None = None) -> Self:
        """Learn from ``split.train`` (never from valid or test) and return self.

        Raises
        ------
        ValueError
            When the train part is empty, or when the model needs text vectors that are missing,
            misshapen or not finite.
        """
        if len(split.train) == 0:
            raise ValueError(
                f"{type(self).__name__}.fit: split {split.name!r} has no train interactions;"
                " choose a smaller test share"
            )
        self._fit(split, features or Features())
        self.seen_ = split.matrix("history")
        return self

    @abstractmethod
    def _fit(self, split: Split, features: Features) -> None: ...

    @abstractmethod
    def score(self, users: np.ndarray) -> np.ndarray:
        """Return float32 ``(len(users), n_items)``, higher is better, for user codes."""

    def fold_in(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return float32 ``(m, n_items)`` scores for users known by ``(m, n_items)`` histories.

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
        if k != int(k) or k < 1:
            raise ValueError(f"recommend: k={k} must be a whole number of at least 1")
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

    def _histories(self, histories: sparse.csr_matrix) -> sparse.csr_matrix:
        """Return histories as float32 CSR of the catalogue's width, or say what is wrong."""
        matrix = sparse.csr_matrix(histories, dtype=np.float32)
        if matrix.shape[1] != self.seen_.shape[1]:
            raise ValueError(
                f"fold_in: histories have {matrix.shape[1]} columns but the catalogue has"
                f" {self.seen_.shape[1]} items"
            )
        if not np.isfinite(matrix.data).all():
            raise ValueError("fold_in: histories hold NaN or infinite weights; remove those rows")
        return matrix


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

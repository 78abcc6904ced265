"""Three tables with fixed column names, checked once, and the split every model is fitted on.

Introduced in chapter 4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

Part = Literal["train", "valid", "test", "history"]


@dataclass(frozen=True)
class Dataset:
    """Interactions, items and (optionally) users, with the text that describes the items.

    Attributes
    ----------
    name:
        Short name, such as ``"ml-100k"``.
    interactions:
        One row an event: ``user``, ``item``, ``timestamp`` (int64 seconds; 0 where unknown),
        ``weight`` (float: rating, count or strength) and ``action`` (verb, such as ``"rated"``).
    items:
        One row an item: ``item``, ``title`` and further text columns.
    users:
        One row a user: ``user`` and attributes; None when there is no such table.
    dropped:
        What validation removed, by reason: never silent.
    """

    name: str
    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def user_ids(self) -> np.ndarray:
        """Distinct user ids, sorted; a user's *code* is its position here."""
        return np.sort(self.interactions["user"].unique())

    @cached_property
    def item_ids(self) -> np.ndarray:
        """Item ids in the order of the items table; an item's *code* is its position here."""
        return self.items["item"].to_numpy()

    @property
    def n_users(self) -> int:
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Split:
    """Train, validation and test interactions of one dataset, in integer codes.

    Every frame has columns ``user``, ``item`` (codes), ``timestamp``, ``weight``, ``action``.
    All users and all items of the dataset have a code, the cold ones too, so that every matrix is
    ``(n_users, n_items)``.

    Attributes
    ----------
    history:
        What may be known when scoring: ``train``, plus the fold-in half of cold users. Seen items
        are removed from recommendations by this table.
    """

    dataset: Dataset
    name: str
    seed: int
    train: pd.DataFrame
    valid: pd.DataFrame
    test: pd.DataFrame
    history: pd.DataFrame

    @property
    def n_users(self) -> int:
        return self.dataset.n_users

    @property
    def n_items(self) -> int:
        return self.dataset.n_items

    def matrix(self, part: Part = "train", *, binary: bool = True) -> sparse.csr_matrix:
        """Return one part as a sparse ``(n_users, n_items)`` float32 matrix.

        Duplicate events are counted once when ``binary``; otherwise their weights are summed.
        """
        frame: pd.DataFrame = getattr(self, part)
        weight = np.ones(len(frame), np.float32) if binary else frame["weight"].to_numpy(np.float32)
        cells = (frame["user"].to_numpy(), frame["item"].to_numpy())
        out = sparse.csr_matrix((weight, cells), (self.n_users, self.n_items), dtype=np.float32)
        out.sum_duplicates()
        if binary:
            out.data[:] = 1.0
        return out

    @cached_property
    def test_users(self) -> np.ndarray:
        """Codes of users with at least one test interaction, sorted."""
        return np.sort(self.test["user"].unique())

    @cached_property
    def cold_items(self) -> np.ndarray:
        """Codes of items without a train interaction, sorted."""
        return np.setdiff1d(np.arange(self.n_items), self.train["item"].to_numpy())

    @cached_property
    def cold_users(self) -> np.ndarray:
        """Codes of users without a train interaction, sorted."""
        return np.setdiff1d(np.arange(self.n_users), self.train["user"].to_numpy())

    @cached_property
    def hash(self) -> str:
        """Sha256 over the (user, item, timestamp) rows of every part: pins a split's content."""
        digest = hashlib.sha256()
        for part in ("train", "valid", "test", "history"):
            frame: pd.DataFrame = getattr(self, part)
            rows = frame[["user", "item", "timestamp"]].to_numpy(np.int64)
            digest.update(part.encode())
            digest.update(rows[np.lexsort(rows.T[::-1])].tobytes())
        return digest.hexdigest()

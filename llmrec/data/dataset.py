"""Three tables with fixed column names, checked once, and the split every model is fitted on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy import sparse

from llmrec.data.validation import INTERACTION_COLUMNS, validate

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
        What loading removed, filled in or added, by reason: never silent.

    Raises
    ------
    DataError
        When a table breaks these rules; the message names table, column and row.
    """

    name: str
    interactions: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate(self.interactions, self.items, self.users)

    @classmethod
    def from_folder(
        cls,
        path: str | Path,
        columns: Mapping[str, str] | None = None,
        *,
        name: str | None = None,
        drop_duplicates: bool = False,
    ) -> Dataset:
        """Read ``interactions``, ``items`` and, if there, ``users``, each a .csv or .parquet file.

        CSV files are UTF-8 with a header, separated by commas, semicolons or tabs; there an empty
        cell is a missing one, ids are whole numbers when all of them look like it, else text, and
        further columns stay text. Timestamps are seconds since 1970 (a median beyond the year 2200
        means milliseconds or less) or ISO 8601 dates (UTC unless they say otherwise); years, dates
        as numbers and mixed units are refused. Names of columns are known in any letters and with
        blanks, and so are common other names, such as ``rating`` or ``product_id``, where only one
        would do, and the first column of words where ``title`` is absent. ``timestamp``,
        ``weight`` and ``action`` may be absent, or have gaps: 0, 1.0 and "interacted" stand in, but
        an event without a rating among ratings is left out. Items that occur in interactions only
        get a row with an empty title. ``dropped`` counts all of that, and events repeated.

        Parameters
        ----------
        path:
            The folder.
        columns:
            The files' column names → ours, as in ``{"movieId": "item", "name": "title"}``.
        name:
            The dataset's name; default: the folder's.
        drop_duplicates:
            Drop repeated events that agree in all five columns; otherwise they are kept, counted.

        Raises
        ------
        FileNotFoundError
            When the folder or a needed file is absent.
        DataError
            When a file cannot be read or breaks the rules, a column that is read has a bad cell,
            or most events are on items without a row; file, column and row are named.
        """
        from llmrec.data.folder import read_folder

        tables, counts = read_folder(Path(path), columns or {}, drop_duplicates=drop_duplicates)
        return cls(name or Path(path).resolve().name, *tables, dropped=counts)

    @cached_property
    def coded(self) -> pd.DataFrame:
        """Interactions with codes for ids, rows in the order of ``interactions``."""
        events = self.interactions
        return pd.DataFrame(
            {
                "user": pd.Index(self.user_ids).get_indexer(events["user"]),
                "item": pd.Index(self.item_ids).get_indexer(events["item"]),
                **{name: events[name].to_numpy() for name in ("timestamp", "weight")},
                "action": events["action"].array,
            }
        )[list(INTERACTION_COLUMNS)]

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

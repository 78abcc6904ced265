"""A model that serves alone: the fitted model, its items and users, and a card that
describes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types
from scipy import sparse

from llmrec.data import DataError, Dataset, Split
from llmrec.models import Recommender, top_k
from llmrec.models.saved import SavedModelError, load, save
from llmrec.repro.record import write_json
from llmrec.text import clean

CARD = "card.json"
OUTPUT = "llmrec-study"  # the folder that a study makes inside that of its tables
TABLES = ("items", "users", "refused")


@dataclass(frozen=True)
class Served:
    """A fitted model with the tables that turn ids into codes and codes into titles.

    Attributes
    ----------
    model:
        Fitted on everything.
    items:
        ``item, title`` and, where there is one, ``year``, in the order of codes: what a list needs.
    users:
        The column ``user``, in the order of codes.
    refused:
        Rows ``user, item`` that are never listed, such as low ratings; empty where there are none.
    card:
        What the model is and where it comes from, for people.
    """

    model: Recommender
    items: pd.DataFrame
    users: pd.DataFrame
    refused: pd.DataFrame
    card: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: Recommender,
        dataset: Dataset,
        refused: pd.DataFrame | None = None,
        card: Mapping[str, Any] | None = None,
    ) -> Served:
        """Return a model fitted on a dataset with that dataset's tables."""
        users = pd.DataFrame({"user": dataset.user_ids})
        none = pd.DataFrame(
            {"user": users["user"].iloc[:0], "item": dataset.items["item"].iloc[:0]}
        )
        hidden = none if refused is None else refused[["user", "item"]]
        return cls(model, _named(dataset.items), users, hidden, card or {})

    @property
    def name(self) -> str:
        """The name of the dataset that the model was fitted on."""
        return str(self.card.get("dataset", "the study"))

    def user(self, user: str) -> int:
        """Return a user's code.

        Raises
        ------
        ValueError
            With the range of valid ids, when there is no such user.
        """
        ids = self.users["user"].to_numpy()
        found = np.flatnonzero(ids.astype(str) == str(user))
        if found.size == 0:
            raise ValueError(
                f"no user {user!r} in {self.name}: its {len(ids)} users are {ids[0]} to {ids[-1]}"
            )
        return int(found[0])

    def codes(self, items: Sequence[str]) -> np.ndarray:
        """Return the codes of items by their ids, in the order given.

        Raises
        ------
        ValueError
            When there is no such item.
        """
        ids = pd.Index(self.items["item"].astype(str))
        found = ids.get_indexer(pd.Index([str(item) for item in items]))
        if (found < 0).any():
            unknown = items[int(np.argmin(found))]
            raise ValueError(
                f"no item {unknown!r} in {self.name}, which has {len(ids)}, such as {ids[0]}"
            )
        return found

    def history(self, code: int) -> np.ndarray:
        """Return the items that the model knows a user to have taken."""
        return self.model.seen_[[code]].indices

    def list_for(self, code: int, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(items, scores)`` of a user, best first, without what was seen or refused."""
        scores = self.model.score(np.array([code])).astype(np.float32, copy=True)
        hidden = self.refused["user"].to_numpy() == self.users["user"].iloc[code]
        refused = pd.Index(self.items["item"]).get_indexer(self.refused["item"][hidden])
        return _best(scores, np.concatenate([self.history(code), refused[refused >= 0]]), k)

    def list_for_items(self, history: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(items, scores)`` for somebody new who took these items, the latest last.

        Raises
        ------
        NotImplementedError
            When the model cannot describe a user by a history alone.
        """
        scores = _folded(self.model, history, len(self.items))
        return _best(scores.astype(np.float32, copy=True), np.unique(history), k)

    def save(self, folder: str | Path) -> Path:
        """Write model, tables and card; `load_served` reads them."""
        path = save(self.model, folder)
        for name in TABLES:
            frame: pd.DataFrame = getattr(self, name)
            aside = path / f".{name}.parquet"
            frame.to_parquet(aside, index=False)
            aside.replace(path / f"{name}.parquet")
        write_json(path / CARD, dict(self.card))
        return path


def load_served(folder: str | Path) -> Served:
    """Return what `Served.save` wrote: a model folder, or the folder of a study that has one.

    Raises
    ------
    FileNotFoundError
        When a file is absent.
    SavedModelError
        When the files do not belong together.
    """
    path = Path(folder)
    path = next(
        (p for p in (path, path / "model", path / OUTPUT / "model") if (p / CARD).is_file()),
        path,
    )
    if not (path / CARD).is_file():
        raise FileNotFoundError(
            f"{path} has no {CARD}: give the folder that llmrec study wrote, or its model folder"
        )
    model = load(path)
    tables = {}
    for name in TABLES:
        file = path / f"{name}.parquet"
        if not file.is_file():
            raise FileNotFoundError(f"{path} has no {file.name}: run llmrec study again")
        try:
            tables[name] = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            raise SavedModelError(f"{file} cannot be read: run llmrec study again") from error
    shape = (len(tables["users"]), len(tables["items"]))
    if model.seen_.shape != shape:
        raise SavedModelError(
            f"{path}: the model is made for {model.seen_.shape} users and items, the tables hold"
            f" {shape}: they are of different studies"
        )
    try:
        card = json.loads((path / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise SavedModelError(f"{path / CARD} is damaged: run llmrec study again") from error
    if not isinstance(card, dict) or not {"dataset", "model"} <= set(card):
        raise SavedModelError(f"{path / CARD} names no dataset and model: run llmrec study again")
    return Served(model=model, card=card, **tables)


def kept_card(folder: str | Path) -> Mapping[str, Any] | None:
    """Return the card of a saved model without loading the model; None where there is none."""
    try:
        card = json.loads((Path(folder) / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) else None


def check_tables(dataset: Dataset, refused: pd.DataFrame) -> None:
    """Write the tables that a model is served with to nowhere: what fails, fails before the work.

    Raises
    ------
    DataError
        When one of them cannot be written as Parquet.
    """
    users = pd.DataFrame({"user": dataset.user_ids})
    frames = {"items": _named(dataset.items), "users": users, "refused": refused}
    for name, frame in frames.items():
        try:
            frame.to_parquet(io.BytesIO(), index=False)
        except (ValueError, TypeError, OverflowError) as error:
            raise DataError(f"the table {name} cannot be saved with a model: {error}") from error


def everything(dataset: Dataset) -> Split:
    """Return a split that hides nothing: a list for today may use all of the past."""
    events = dataset.coded
    none = events.iloc[:0]
    return Split(dataset, "everything", 0, events, none, none, history=events)


def _named(items: pd.DataFrame) -> pd.DataFrame:
    """Return what a list needs of the items: further columns may be large, or of mixed types."""
    named = items[[name for name in ("item", "title", "year") if name in items.columns]]
    if "year" in named and not types.is_numeric_dtype(named["year"]):
        return named.assign(year=named["year"].map(clean))
    return named


def _folded(model: Recommender, history: np.ndarray, n_items: int) -> np.ndarray:
    """Return the scores of a history, the latest last; a member that reads order gets its order."""
    shape = (1, n_items)
    items, age = np.unique(history[::-1], return_index=True)
    row = np.zeros(len(items), int)
    if members := getattr(model, "members_", None):
        seen = sparse.csr_matrix((np.ones(len(items), np.float32), (row, items)), shape, np.float32)
        return model._fuse([_folded(one, history, n_items) for one in members.values()], seen)
    fading = getattr(model, "recency", 1.0) if model.reads_order else 1.0
    past = sparse.csr_matrix((np.float32(fading) ** age, (row, items)), shape, np.float32)
    return model.fold_in(past)


def _best(scores: np.ndarray, hidden: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores[0, hidden] = -np.inf
    items, best = top_k(scores, k)
    listed = items[0] >= 0
    return items[0][listed], best[0][listed]

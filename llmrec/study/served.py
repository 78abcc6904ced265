"""A model that serves alone: fitted, with its items and users and a card that describes it."""

from __future__ import annotations

import io
import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from llmrec.cache import write_json
from llmrec.data import DataError, Dataset, History, Split
from llmrec.models import Recommender, top_k
from llmrec.models.saved import (
    CONFIG,
    MANIFEST,
    WEIGHTS,
    SavedModelError,
    check_seal,
    load,
    save,
    seal,
)
from llmrec.text import clean

CARD = "card.json"
OUTPUT = "llmrec-study"  # the folder that a study makes inside that of its tables
TABLES = ("items", "users", "refused")
COLUMNS = {"items": ("item", "title"), "users": ("user",), "refused": ("user", "item")}
FILES = (CONFIG, WEIGHTS, CARD, *(f"{name}.parquet" for name in TABLES))  # that the manifest seals
AGAIN = "run llmrec study again"
REASONS = 3
CELLS = 4_000_000  # scores held at once


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
        return cls(model, served_items(dataset), users, hidden, card or {})

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
        codes = np.flatnonzero(ids.astype(str) == str(user))
        if codes.size == 0:
            raise ValueError(
                f"no user {user!r} in {self.name}: its {len(ids)} users are {ids[0]} to {ids[-1]}"
            )
        return int(codes[0])

    def codes(self, items: Sequence[str]) -> np.ndarray:
        """Return the codes of items by their ids, in the order given.

        Raises
        ------
        ValueError
            When there is no such item.
        """
        ids = pd.Index(self.items["item"].astype(str))
        codes = ids.get_indexer(pd.Index([str(item) for item in items]))
        if (codes < 0).any():
            unknown = items[int(np.argmin(codes))]
            raise ValueError(
                f"no item {unknown!r} in {self.name}, which has {len(ids)}, such as {ids[0]}"
            )
        return codes

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
        scores = self.model.fold_in([History(history)])
        return _best(scores.astype(np.float32, copy=True), np.unique(history), k)

    def reasons(self, items: np.ndarray, history: np.ndarray) -> list[list[int]]:
        """Return for each item what of the history speaks for it most, best first, three at most.

        An item ``j`` of the history speaks for ``i`` by what the model would score ``i`` for
        somebody who has only ``j``, above its score for somebody who has nothing. For EASE, ItemKNN
        and text similarity these are the very terms that a score sums; popularity has none.
        """
        people = [History(history[:0]), *(History(history[[row]]) for row in range(len(history)))]
        step = max(1, CELLS // len(self.items))
        blocks = [people[at : at + step] for at in range(0, len(people), step)]
        scores = np.concatenate([self.model.fold_in(block)[:, items] for block in blocks])
        voices = scores[1:] - scores[0]
        best = np.argsort(-voices, axis=0, kind="stable")[:REASONS]
        return [
            [int(history[row]) for row in rows if voices[row, column] > 0]
            for column, rows in enumerate(best.T)
        ]

    def save(self, folder: str | Path) -> Path:
        """Write model, tables and card, all of them at once; `load_served` reads them.

        The files are written into a folder aside, which then takes the other's place: nobody sees
        files of two models. The manifest holds the sha256 of each.

        Raises
        ------
        OSError
            When the folder holds files that are not a saved model's: they are left alone.
        """
        path = Path(folder)
        check_replaceable(path)
        aside = _beside(path)
        try:
            save(self.model, aside)
            for name in TABLES:
                getattr(self, name).to_parquet(aside / f"{name}.parquet", index=False)
            write_json(aside / CARD, dict(self.card))
            seal(aside, FILES)
            _take_place(aside, path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return path


def _beside(path: Path) -> Path:
    """Return a name beside a path that nobody has and nobody can foresee."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")


def _take_place(aside: Path, path: Path) -> None:
    """Rename a folder over another; a second process may do the same at this moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        old = _beside(path)
        with suppress(FileNotFoundError):
            path.rename(old)
        try:
            aside.rename(path)
        except OSError:
            if not path.exists():  # not the other process's folder in the way
                raise
        else:
            return
        finally:
            shutil.rmtree(old, ignore_errors=True)


def check_replaceable(path: Path) -> None:
    """Say so where a folder's place is taken by what `Served.save` did not write.

    Raises
    ------
    OSError
        With the name of the first such file.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise OSError(f"{path} is a link or a file: move it away, or name another folder")
    others = {one.name for one in path.iterdir()} - {MANIFEST, *FILES} if path.is_dir() else ()
    if others:
        raise OSError(
            f"{path} holds {min(others)}, which is no part of a saved model: move it away, or name"
            " another folder"
        )


def card_of(folder: Path) -> dict[str, Any]:
    """Return the card of a saved model whose every file is the one that it was saved with.

    Raises
    ------
    FileNotFoundError
        When a file is absent.
    SavedModelError
        When one is damaged, or of another model.
    """
    check_seal(folder)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if not {"dataset", "model"} <= set(card):
            raise ValueError("it names no dataset and model")
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SavedModelError(f"{folder / CARD} cannot be read: {AGAIN}") from error
    return dict(card)


def load_served(folder: str | Path) -> Served:
    """Return what `Served.save` wrote: a model folder, or the folder of a study that has one.

    Raises
    ------
    FileNotFoundError
        When a file is absent.
    SavedModelError
        When one is damaged, or they do not belong together.
    """
    path = Path(folder)
    places = (path, path / "model", path / OUTPUT / "model")
    path = next((place for place in places if (place / CARD).is_file()), path)
    if not (path / CARD).is_file():
        raise FileNotFoundError(
            f"{path} has no {CARD}: give the folder that llmrec study wrote, or its model folder"
        )
    card = card_of(path)
    try:
        model = load(path)
        tables = {name: pd.read_parquet(path / f"{name}.parquet") for name in TABLES}
    except SavedModelError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise SavedModelError(f"{path} cannot be read: {AGAIN}") from error
    for name, columns in COLUMNS.items():
        if missing := [column for column in columns if column not in tables[name]]:
            raise SavedModelError(f"{path}: {name}.parquet has no column {missing[0]!r}: {AGAIN}")
    for name, column in (("items", "item"), ("users", "user")):
        if not tables[name][column].is_unique:
            raise SavedModelError(f"{path}: {name}.parquet holds an id twice: {AGAIN}")
    shape = (len(tables["users"]), len(tables["items"]))
    if model.seen_.shape != shape:
        raise SavedModelError(
            f"{path}: the model is made for {model.seen_.shape} users and items, the tables hold"
            f" {shape}: they are of different studies"
        )
    return Served(model=model, card=card, **tables)


def check_tables(dataset: Dataset, refused: pd.DataFrame) -> None:
    """Write the tables that a model is served with to nowhere: what fails, fails before the work.

    Raises
    ------
    DataError
        When one of them cannot be written as Parquet.
    """
    users = pd.DataFrame({"user": dataset.user_ids})
    frames = {"items": served_items(dataset), "users": users, "refused": refused}
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


def served_items(dataset: Dataset) -> pd.DataFrame:
    """Return what a list needs of the items: further columns may be large, or of mixed types."""
    items = dataset.items
    items = items[[name for name in ("item", "title", "year") if name in items.columns]]
    if "year" in items and not types.is_numeric_dtype(items["year"]):
        return items.assign(year=items["year"].map(clean))
    return items


def _best(scores: np.ndarray, hidden: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores[0, hidden] = -np.inf
    items, best = top_k(scores, min(k, scores.shape[1]))
    listed = items[0] >= 0
    return items[0][listed], best[0][listed]

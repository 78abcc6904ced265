"""Planted worlds for the experiment's tests: small splits, and models that count their fits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from llmrec.data import Dataset, cold_item_split
from llmrec.evaluation import Evaluation
from llmrec.experiment import Run
from llmrec.models import Recommender

# In a namespace: what a plain global holds would count as part of the code that reads it.
LOG = SimpleNamespace(fits=Counter(), seen=[])  # fits by model name; (name, valid rows, test rows)


class Placed(Recommender):
    """Scores items by code, plus a taste of its own; counts its fits."""

    def __init__(self, name: str = "placed", quality: float = 0.0, fail: bool = False) -> None:
        self.name = name
        self.quality = quality
        self.fail = fail

    def _fit(self, split, features):
        LOG.fits[self.name] += 1
        LOG.seen.append((self.name, len(split.valid), len(split.test)))
        if self.fail:
            raise KeyboardInterrupt
        self.n_items_ = split.n_items

    def score(self, users):
        return np.tile(np.arange(self.n_items_, dtype=np.float32), (len(users), 1))


def taste_world(personal: bool, n_users: int = 150, n_items: int = 100, n_topics: int = 4):
    """A dataset whose items' text tells their topic, and a table of that text.

    Where tastes are not personal, all users prefer the same topic: text tells what is popular.
    """
    rng = np.random.default_rng(5)
    topics = rng.integers(0, n_topics, n_items)
    tastes = rng.integers(0, n_topics, n_users) if personal else np.zeros(n_users, int)
    likes = np.where(tastes[:, None] == topics, 0.5, 0.06)
    user, item = np.nonzero(rng.random((n_users, n_items)) < likes)
    events = pd.DataFrame({"user": user, "item": item, "timestamp": 0, "weight": 1.0})
    items = pd.DataFrame({"item": range(n_items), "title": [f"item {i}" for i in range(n_items)]})
    text = np.eye(n_topics, 8)[topics] + 0.1 * rng.normal(size=(n_items, 8))
    return Dataset("tastes", events.assign(action="took"), items), text.astype(np.float32)


def new_items(world, text, seed: int, valid: float = 0.0) -> Run:
    """A fifth of the items hidden, of which alone is asked."""
    split = cold_item_split(world, valid=valid, seed=seed)
    asked = np.unique((split.valid if valid else split.test)["item"])
    return Run(f"split {seed}", split, {"text": text}, items=asked)


class Judge:
    """Gives planted values instead of measuring: a value by model name, split and user."""

    def __init__(self, values):
        self.values = values

    def __call__(self, model, split, ks, metrics, users=None, items=None, part="test"):
        column = self.values[model.name, split.seed, part]
        users = np.arange(len(column)) if users is None else np.asarray(users)
        return Evaluation(model.name, ks, users, {"ndcg@10": column[users]})


def bare_run(split_of, seed: int, n_users: int = 40, name: str = "") -> Run:
    """A split of which little but the seed matters."""
    cells = [(user, 0) for user in range(n_users)]
    split = split_of(cells, n_users, 3, valid=cells[:2], test=cells[: 3 + seed])
    return Run(name or f"run {seed}", replace(split, seed=seed))

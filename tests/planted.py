"""A small world with a known right answer: 30 users, 50 items, three planted taste groups."""

import numpy as np
import pandas as pd
import pytest

from llmrec.data import Dataset, Split
from llmrec.models import Features

N_USERS, N_ITEMS, N_GROUPS = 30, 50, 3
COLD_ITEMS, COLD_USERS = (47, 48, 49), (27, 28, 29)  # one of each group


def make_split(cells, n_users, n_items, *, history=(), test=(), valid=(), weights=None):
    """Return a Split whose train part holds the (user, item) cells; `history` adds to it."""

    def frame(pairs, weight=None):
        pairs = np.asarray(list(pairs), np.int64).reshape(-1, 2)
        return pd.DataFrame(
            {
                "user": pairs[:, 0],
                "item": pairs[:, 1],
                "timestamp": np.int64(0),
                "weight": 1.0 if weight is None else np.asarray(weight, float),
                "action": "viewed",
            }
        )

    items = pd.DataFrame({"item": range(n_items), "title": [f"item {i}" for i in range(n_items)]})
    everyone = frame([(user, 0) for user in range(n_users)])  # gives each user a code
    train = frame(cells, weights)
    known = pd.concat([train, frame(history)], ignore_index=True)
    return Split(
        Dataset("planted", everyone, items),
        name="planted",
        seed=0,
        train=train,
        valid=frame(valid),
        test=frame(test),
        history=known,
    )


def group(codes):
    return np.asarray(codes) % N_GROUPS


@pytest.fixture(scope="session")
def split_of():
    return make_split


@pytest.fixture(scope="session")
def planted():
    return make_planted()


@pytest.fixture(scope="session")
def features():
    return make_features()


def make_planted():
    """Each warm user took 10 of the 15 or so warm items of the own group; cold users tell 3."""
    rng = np.random.default_rng(7)
    cells, history, test = [], [], []
    for user in range(N_USERS):
        own = np.flatnonzero(group(np.arange(N_ITEMS)) == group(user))
        own = rng.permutation(np.setdiff1d(own, COLD_ITEMS))
        if user in COLD_USERS:
            history += [(user, item) for item in own[:3]]
            test += [(user, item) for item in own[3:6]]
        else:
            cells += [(user, item) for item in own[:10]]
            test += [(user, item) for item in own[10:]]
    return make_split(cells, N_USERS, N_ITEMS, history=history, test=test)


def make_features():
    """Item text vectors: the group's direction plus noise, unit rows."""
    rng = np.random.default_rng(3)
    vectors = np.eye(N_GROUPS, 8)[group(np.arange(N_ITEMS))] + 0.1 * rng.normal(size=(N_ITEMS, 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Features(items=vectors.astype(np.float32))


@pytest.fixture
def products():
    """A small shop: three products are called Milk, one has no name."""
    rows = [(7, 1, 10, 1.0), (7, 2, 10, 2.0), (7, 3, 10, 1.0), (8, 1, 20, 1.0), (8, 4, 20, 5.0)]
    user, item, timestamp, weight = zip(*rows, strict=True)
    events = pd.DataFrame(
        {"user": user, "item": item, "timestamp": timestamp, "weight": weight, "action": "bought"}
    )
    items = pd.DataFrame(
        {
            "item": [1, 2, 3, 4, 5],
            "title": ["Milk", "Milk", "Bread", "", "Milk"],
            "brand": ["National", "Private", "National", "National", "Private"],
        }
    )
    return Dataset("shop", events, items)

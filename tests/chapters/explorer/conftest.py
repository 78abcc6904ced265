"""Five films, four users: three have a past and a future, all by hand."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch00_people import explore
from llmrec.data import Dataset, Split
from llmrec.models import EASE, Features, Popularity, TextSimilarity

TITLES = ["Heat", "Ran", "Up & <away>", "Alien", "Big", "Fargo"]
GENRES = ["Crime", "Drama, War", "Animation", "Horror", "Comedy", "Crime, Comedy"]
DAY = 86_400


def events(rows):
    """(user, item, day) rows as a coded frame."""
    user, item, day = np.array(rows).T
    frame = {"user": user, "item": item, "timestamp": day * DAY, "weight": 1.0 + item % 5}
    return pd.DataFrame(frame).assign(action="rated")


TRAIN = [(0, 3, 3), (0, 0, 1), (0, 1, 2), (1, 0, 1), (1, 4, 1), (2, 2, 5), (3, 0, 1), (3, 1, 2)]
TEST = [(0, 5, 9), (0, 2, 8), (0, 0, 9), (1, 1, 9), (2, 0, 9)]


@pytest.fixture(scope="session")
def split():
    items = pd.DataFrame({"item": range(6), "title": TITLES, "genres": GENRES})
    items["year"] = 1990 + items["item"]
    train, test = events(TRAIN), events(TEST)
    everything = pd.concat([train, test], ignore_index=True)
    dataset = Dataset("films", everything.assign(user=everything["user"] + 70), items)
    return Split(dataset, "time", 0, train, train[:0], test, history=train)


@pytest.fixture(scope="session")
def vectors():
    return np.random.default_rng(1).normal(size=(6, 4)).astype(np.float32)


@pytest.fixture(scope="session")
def models(split, vectors):
    return {
        "Popularity": Popularity().fit(split),
        "EASE": EASE(l2=1.0).fit(split),
        "Text": TextSimilarity().fit(split, Features(items=vectors)),
    }


@pytest.fixture(scope="session")
def explorer(split, models, vectors):
    texts = ["The user rated Heat.", "read </script> & <b>", "third", "fourth"]
    groups = {"short": np.array([2]), "long": np.array([0, 1])}
    return explore(split, models, vectors, texts, groups, k=4, window=2)

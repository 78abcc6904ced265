import numpy as np
import pandas as pd
import pytest

from chapters.ch13_lineups import beauty_models, citeulike_models, hold_out_last
from llmrec.data import Dataset, Split, last_out_split
from llmrec.models import Ensemble, Features, Recommender

PARTS = ("train", "valid", "test", "history")


@pytest.fixture(scope="module")
def dataset():
    """Return 12 users who each walk six items further round a circle of 12."""
    events = [(f"u{u:02}", (u + step) % 12) for u in range(12) for step in range(6)]
    table = pd.DataFrame(events, columns=["user", "item"])
    table = table.assign(timestamp=0, weight=1.0, action="took")
    items = pd.DataFrame({"item": range(12), "title": [f"no. {i}" for i in range(12)]})
    return Dataset("circle", table, items)


@pytest.fixture(scope="module")
def text():
    angle = 2 * np.pi * np.arange(12) / 12
    return Features(items=np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32))


def test_the_last_rows_of_each_user_are_held_out(dataset):
    split = last_out_split(dataset)  # five train rows a user
    held = hold_out_last(split, n=3)
    of_user = {part: getattr(held, part).query("user == 4")["item"].tolist() for part in PARTS}
    assert of_user == {"train": [4, 5], "valid": [6, 7, 8], "test": [], "history": [4, 5]}
    assert len(held.train) + len(held.valid) == len(split.train)
    assert "last 3 of train held out" in held.name


def test_a_user_with_too_few_rows_keeps_them(dataset):
    split = last_out_split(dataset)
    train = split.train.drop(split.train.query("user == 0").index[1:])
    short = Split(dataset, "short", 0, train, split.valid, split.test, history=train)
    held = hold_out_last(short, n=2)
    assert held.train.query("user == 0")["item"].tolist() == [0]
    assert held.valid.query("user == 0").empty
    with pytest.raises(ValueError, match="no user of 'short' has more than 5 train rows"):
        hold_out_last(short, n=5)


def check(models: dict[str, Recommender], tuning: Split, final: Split, text: Features) -> None:
    for name, model in models.items():
        assert not hasattr(model, "seen_"), f"{name} is fitted on the tuning split"
        items, _ = model.fit(final, text).recommend(np.arange(12), 1)
        # Users took u … u + 4, so that the nearest and next item is u + 5 or u - 1.
        assert np.isin((items[:, 0] - np.arange(12)) % 12, (5, 11)).all(), name
        if isinstance(model, Ensemble):
            again = Ensemble(model.members, features=model.features).fit(tuning, text)
            assert model.weights == again.weights_


def test_beauty(dataset, text):
    tuning = last_out_split(dataset, valid=True)
    models = beauty_models(tuning, text)
    without_text = ["transitions", "neighbours", "behaviour"]
    assert sorted(models) == sorted([*without_text, "text", "behaviour and text", "rank fusion"])
    assert all("text" not in getattr(models[name], "members", {}) for name in without_text)
    assert "text" in models["behaviour and text"].members
    check(models, tuning, last_out_split(dataset), text)
    # The circle is walked one way: transitions know the direction, text does not.
    ahead = models["transitions"].recommend(np.arange(12), 1)[0][:, 0]
    assert ((ahead - np.arange(12)) % 12 == 5).all()


def test_citeulike(dataset, text):
    final = last_out_split(dataset)
    tuning = hold_out_last(final, n=1)
    assert list(citeulike_models(tuning, text)) == [
        "titles",
        "neighbours",
        "bridge",
        "titles and neighbours",
    ]
    models = citeulike_models(tuning, text, tags=text)
    assert list(models)[-1] == "titles, tags and neighbours"
    check(models, tuning, final, text)

"""Small worlds with planted tastes, written as folders of three different shapes."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec.cli import main

DAY = 86_400
ENGLISH = (
    "garden rose tulip lawn seed pruning soil orchard",
    "engine piston gearbox clutch torque brake wheel axle",
    "violin cello sonata quartet tempo chord opera fugue",
)
CHINESE = ("机器学习数据模型神经网络训练", "烹饪食谱面条饺子汤厨房香料", "旅行山川河流古城风景地图")


class World:
    """Users who take items of their own topic; an item appears on its day, the last ones late."""

    def __init__(self, n_users: int = 90, n_items: int = 60, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.topic = np.arange(n_items) % 3
        self.born = np.linspace(0, 100, n_items).astype(int)
        rows = []
        for user in range(n_users):
            days = np.sort(rng.integers(5, 101, rng.integers(6, 15)))
            for day in days:
                alive = np.flatnonzero(self.born <= day)
                own = alive[self.topic[alive] == user % 3]
                item = rng.choice(own if rng.random() < 0.9 else alive)
                rows.append((user, item, int(day) * DAY + int(rng.integers(DAY))))
        self.events = pd.DataFrame(rows, columns=["user", "item", "timestamp"])

    def words(self, item: int, topics: tuple[str, ...], n: int = 3) -> list[str]:
        own = topics[self.topic[item]]
        pool = own.split() if " " in own else [own[i : i + 2] for i in range(len(own) - 1)]
        return self.rng.choice(pool, n, replace=False).tolist()


@pytest.fixture(scope="session", autouse=True)
def cheap(tmp_path_factory):
    """A cache of this session's own, few trials, and no bars."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMREC_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("TQDM_DISABLE", "1")
        patch.setattr("llmrec.study.plan.TRIALS", {True: 2, False: 2})
        yield


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Path:
    """Plain events with times, as CSV: gaps, repeats, an unknown item, markup in a title."""
    folder = tmp_path_factory.mktemp("tables") / "shop"
    folder.mkdir()
    world = World()
    events = world.events
    again = events.head(7)
    newcomers = pd.DataFrame(
        {"user": [500, 501], "item": [3, 4], "timestamp": [40 * DAY, 99 * DAY]}
    )
    lost = pd.DataFrame({"user": [0, 1], "item": [999, 999], "timestamp": [50 * DAY, 51 * DAY]})
    pd.concat([events, again, newcomers, lost]).to_csv(folder / "interactions.csv", index=False)
    items = pd.DataFrame({"item": range(63)})  # three are never taken
    names = [" ".join(world.words(i % 60, ENGLISH)) for i in items["item"]]
    items["title"] = [f"The {name}" for name in names]
    items.loc[0, "title"] = '<script>alert(1)</script> & the rose "tulip"'
    items.loc[5, "title"] = ""
    items["about"] = [f"of {' and '.join(world.words(i % 60, ENGLISH, 2))}" for i in items["item"]]
    items["picture"] = [f"https://example.org/{i}.png" for i in items["item"]]
    items["price"] = [f"{i}.99" for i in items["item"]]
    items.to_csv(folder / "items.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def cinema(tmp_path_factory) -> Path:
    """Ratings as Parquet with other column names, dates, a list of genres and a users table."""
    folder = tmp_path_factory.mktemp("tables") / "cinema"
    folder.mkdir()
    world = World(seed=1)
    events = world.events.drop_duplicates(["user", "item"])
    fits = world.topic[events["item"]] == events["user"] % 3
    pd.DataFrame(
        {
            "uid": [f"u{user:03d}" for user in events["user"]],
            "movie": events["item"],
            "stars": np.where(fits, world.rng.integers(3, 6, len(events)), 1).astype(float),
            "when": pd.to_datetime(events["timestamp"], unit="s"),
        }
    ).to_parquet(folder / "interactions.parquet")
    items = pd.DataFrame({"id": range(60), "year": np.arange(60) + 1950})
    items["name"] = [" ".join(world.words(i, ENGLISH)) for i in range(60)]
    items["genres"] = [world.words(i, ENGLISH, 1) for i in range(60)]
    items.to_parquet(folder / "items.parquet")
    pd.DataFrame({"uid": [f"u{user:03d}" for user in range(90)], "age": range(90)}).to_parquet(
        folder / "users.parquet"
    )
    (folder / "names.yml").write_text(
        "user: uid\nitem: [movie, id]\ntitle: name\nweight: stars\ntimestamp: when\n"
    )
    return folder


@pytest.fixture(scope="session")
def library(tmp_path_factory) -> Path:
    """Counts without a time, Chinese titles without spaces."""
    folder = tmp_path_factory.mktemp("tables") / "library"
    folder.mkdir()
    world = World(seed=2)
    events = world.events.drop(columns="timestamp").drop_duplicates(["user", "item"])
    events["weight"] = world.rng.geometric(0.6, len(events))
    events.to_csv(folder / "interactions.csv", index=False)
    titles = ["".join(world.words(i, CHINESE, 4)) for i in range(60)]
    pd.DataFrame({"item": range(60), "title": titles}).to_csv(folder / "items.csv", index=False)
    return folder


@pytest.fixture(scope="session")
def answered(shop, cinema, library):
    """The folders that ``llmrec study`` wrote, and what it printed."""
    out = {}
    options = {shop: [], cinema: ["--mapping", str(cinema / "names.yml")], library: []}
    for folder, more in options.items():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert main(["study", str(folder), "--quick", "--encoder", "hash", *more]) == 0
        out[folder.name] = folder / "llmrec-study", printed.getvalue()
    return out

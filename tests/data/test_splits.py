"""Splits: hand-computed cases, guarantees on arbitrary data, and pinned contents on real data."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmrec.data import (
    Dataset,
    Split,
    cold_item_split,
    cold_user_split,
    last_out_split,
    load,
    random_split,
    time_split,
)


def dataset(rows: list[tuple[int, int, int]], n_items: int | None = None) -> Dataset:
    """(user, item, timestamp) rows; the weight is the row's number, so that rows can be told."""
    user, item, timestamp = (list(column) for column in zip(*rows, strict=True))
    interactions = pd.DataFrame(
        {
            "user": user,
            "item": item,
            "timestamp": timestamp,
            "weight": np.arange(len(rows), dtype=float),
            "action": "viewed",
        }
    )
    items = pd.DataFrame({"item": range(n_items or max(item) + 1), "title": "x"})
    return Dataset("tiny", interactions, items)


def rows(split: Split, part: str) -> list[int]:
    return getattr(split, part)["weight"].astype(int).tolist()


# By hand


def test_time_split_cuts_at_one_moment() -> None:
    data = dataset([(0, 0, 50), (0, 1, 10), (1, 0, 40), (1, 1, 20), (2, 2, 30)])
    split = time_split(data, test=0.4)
    assert (rows(split, "train"), rows(split, "test")) == ([1, 3, 4], [0, 2])
    assert rows(split, "history") == rows(split, "train")
    split = time_split(data, test=0.2, valid=0.4)
    assert [rows(split, part) for part in ("train", "valid", "test")] == [[1, 3], [2, 4], [0]]
    assert split.cold_items.tolist() == [0, 2]
    assert split.cold_users.tolist() == [2]


def test_events_of_the_boundary_second_stay_in_train() -> None:
    data = dataset([(0, 0, 1), (0, 1, 5), (1, 0, 5), (1, 1, 5), (2, 2, 9)])
    split = time_split(data, test=0.6)  # event 2 of 5 ends train: all of second 5 goes with it
    assert (rows(split, "train"), rows(split, "test")) == ([0, 1, 2, 3], [4])


def test_shares_are_rounded_half_up() -> None:
    data = dataset([(0, i, i + 1) for i in range(10)])
    assert len(time_split(data, test=0.25).test) == 3  # 2.5
    assert len(random_split(data, test=0.15).test) == 2  # 1.5
    assert len(random_split(data, test=0.14).test) == 1
    assert len(cold_item_split(data, share=0.35).test) == 4  # 3.5
    assert 0.29 * 50 < 14.5  # in floating point: the half is rounded up all the same
    data = dataset([(0, i, i + 1) for i in range(50)])
    assert len(cold_item_split(data, share=0.29).test) == 15
    assert len(random_split(data, test=0.29).test) == 15


def test_random_split_takes_its_share_of_each_user_and_leaves_one() -> None:
    data = dataset([(u, i, 0) for u in range(4) for i in range(u + 1)], n_items=4)
    split = random_split(data, test=0.5, valid=0.3)
    assert np.bincount(split.train["user"]).tolist() == [1, 1, 1, 1]
    assert np.bincount(split.valid["user"]).tolist() == [0, 0, 0, 1]  # user 2 has none left to give
    assert np.bincount(split.test["user"]).tolist() == [0, 1, 2, 2]


def test_last_out_follows_time_then_row_order() -> None:
    data = dataset([(0, 0, 9), (0, 1, 2), (0, 2, 9), (1, 0, 0), (1, 1, 0), (2, 0, 5)])
    split = last_out_split(data)
    assert (rows(split, "train"), rows(split, "test")) == ([0, 1, 3, 5], [2, 4])
    split = last_out_split(data, valid=True)
    assert [rows(split, part) for part in ("train", "valid", "test")] == [[1, 3, 5], [0], [2, 4]]
    assert rows(split, "history") == rows(split, "train")


def test_cold_users_bring_their_earliest_events() -> None:
    data = dataset([(u, i, 100 - i) for u in range(5) for i in range(5)])
    split = cold_user_split(data, share=0.2, given=0.5)  # 2.5 of 5 events: three are given
    (cold,) = split.cold_users
    known = split.history[split.history["user"] == cold]
    assert sorted(known["item"]) == [2, 3, 4]
    assert sorted(split.test["item"]) == [0, 1]
    assert split.test_users.tolist() == [cold]


def test_cold_users_bring_random_events_when_time_is_unknown() -> None:
    data = dataset([(u, i, 0) for u in range(5) for i in range(20)])
    items = set()
    for seed in range(5):
        split = cold_user_split(data, given=0.25, seed=seed)
        known = split.history[split.history["user"].isin(split.cold_users)]
        assert len(known) == 5
        items.add(tuple(sorted(known["item"])))
    assert len(items) == 5


def test_nothing_given_and_single_events() -> None:
    data = dataset([(u, 0, u + 1) for u in range(4)])
    split = cold_user_split(data, share=0.5, given=0.9)
    assert len(split.test) == 2  # a lone event is test, not history
    data = dataset([(u, i, 1 + i) for u in range(4) for i in range(3)])
    split = cold_user_split(data, share=0.5, given=0.0)
    assert len(split.test) == 6
    assert rows(split, "history") == rows(split, "train")
    split = cold_user_split(data, share=0.5, given=0.01)
    assert len(split.history) - len(split.train) == 2  # at least one each


def test_items_without_events_are_not_drawn() -> None:
    data = dataset([(0, i, 1) for i in range(10)], n_items=100)
    split = cold_item_split(data, share=0.2)
    assert len(split.test) == 2
    assert len(split.cold_items) == 92


# On arbitrary data

EVENTS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(1, 20)), min_size=2, max_size=60
)
SHARES = st.floats(0.01, 0.99)
SPLITS: dict[str, Callable[..., Split]] = {
    "time": lambda data, test, valid, seed: time_split(data, test, valid, seed),
    "random": lambda data, test, valid, seed: random_split(data, test, valid, seed),
    "last-out": lambda data, test, valid, seed: last_out_split(data, valid > 0),
    "cold-item": lambda data, test, valid, seed: cold_item_split(data, test, seed, valid),
    "cold-user": lambda data, test, valid, seed: cold_user_split(data, test, 0.5, seed, valid),
}


@pytest.mark.parametrize("name", SPLITS)
@settings(deadline=None, max_examples=60)
@given(events=EVENTS, test=SHARES, valid=st.just(0.0) | SHARES, seed=st.integers(0, 5))
def test_guarantees(
    name: str, events: list[tuple[int, int, int]], test: float, valid: float, seed: int
) -> None:
    data = dataset(events)
    try:
        split = SPLITS[name](data, test, valid, seed)
    except ValueError as error:  # refused, not returned with an empty part
        if not re.search("leaves (train|valid|test) empty|leave nothing to train on", str(error)):
            raise
        return
    again = SPLITS[name](data, test, valid, seed)
    assert split.hash == again.hash
    assert len(split.train) > 0
    assert len(split.test) > 0
    assert (len(split.valid) > 0) == (valid > 0)
    parts: list[set[int]] = [set(rows(split, part)) for part in ("train", "valid", "test")]
    given_rows = set(rows(split, "history")) - parts[0]
    assert parts[0] <= set(rows(split, "history"))
    disjoint = [*parts, given_rows]
    assert sum(map(len, disjoint)) == len(events)
    assert set().union(*disjoint) == set(range(len(events)))
    for part in ("train", "valid", "test", "history"):
        frame = getattr(split, part)
        assert list(frame) == ["user", "item", "timestamp", "weight", "action"]
        for row in frame.itertuples():
            user, item, timestamp = events[int(row.weight)]
            assert data.user_ids[row.user] == user
            assert data.item_ids[row.item] == item
            assert row.timestamp == timestamp

    hidden = pd.concat([split.valid, split.test])
    if name == "time":
        assert split.train["timestamp"].max() < hidden["timestamp"].min()
        if valid:
            assert split.valid["timestamp"].max() < split.test["timestamp"].min()
    if name in ("random", "last-out"):
        assert split.cold_users.size == 0
    if name == "last-out":
        assert split.test["user"].is_unique
        last = split.test.set_index("user")["timestamp"]
        before = split.train.groupby("user")["timestamp"].max()
        assert (before.reindex(last.index) <= last).all()
    if name == "cold-item":
        assert not set(hidden["item"]) & set(split.train["item"])
        assert not set(split.valid["item"]) & set(split.test["item"])
        assert set(hidden["item"]) <= set(split.cold_items)
    if name == "cold-user":
        assert not set(hidden["user"]) & set(split.train["user"])
        assert not set(split.valid["user"]) & set(split.test["user"])
        assert set(hidden["user"]) == set(split.cold_users)
        known = split.history[split.history["user"].isin(split.cold_users)]
        latest = known.groupby("user")["timestamp"].max()
        rest = hidden.groupby("user")["timestamp"].min()
        assert (latest <= rest.reindex(latest.index)).all()
    else:
        assert not given_rows


@pytest.mark.parametrize("split", [random_split, cold_item_split, cold_user_split])
def test_seeds_matter_and_leave_the_global_generator_alone(split: Callable[..., Split]) -> None:
    data = dataset([(u, i, 1 + u + i) for u in range(10) for i in range(10)])
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    assert split(data, seed=0).hash == split(data, seed=0).hash != split(data, seed=1).hash
    assert np.random.random() == expected  # noqa: NPY002


# Bad arguments

GOOD = dataset([(u, i, 1 + i) for u in range(3) for i in range(5)])


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: time_split(GOOD, test=0), r"test=0 is not a share between 0 and 1"),
        (lambda: time_split(GOOD, test=1.0), r"test=1\.0 is not a share"),
        (lambda: time_split(GOOD, test=float("nan")), r"test=nan is not a share"),
        (lambda: time_split(GOOD, test=0.5, valid=-0.1), r"valid=-0\.1 is not a share in \[0, 1\)"),
        (lambda: time_split(GOOD, test=0.5, valid=0.5), "leave nothing to train on"),
        (lambda: time_split(dataset([(0, 0, 0), (0, 1, 5)])), "1 of 2 timestamps are unknown"),
        (lambda: time_split(dataset([(0, 0, 5), (0, 1, 5)])), "time split .* leaves test empty"),
        (lambda: random_split(GOOD, test=2), "test=2 is not a share"),
        (lambda: random_split(GOOD, seed=-1), "seed=-1 is not a whole number"),
        (lambda: random_split(GOOD, seed=True), r"seed=True is not a whole number"),
        (lambda: random_split(dataset([(0, 0, 1), (1, 0, 1)])), "random split .* leaves test em"),
        (lambda: random_split(GOOD, test=0.9, valid=0.01), "leaves valid empty"),
        (lambda: last_out_split(dataset([(0, 0, 1), (1, 0, 1)])), "last-out .* leaves test empty"),
        (lambda: last_out_split(dataset([(0, 0, 1), (0, 1, 2)]), True), "leaves valid empty"),
        (lambda: cold_item_split(GOOD, share=-1), "share=-1 is not a share"),
        (lambda: cold_item_split(GOOD, share=0.01), "cold-item .* leaves test empty"),
        (lambda: cold_item_split(GOOD, share=0.99), "cold-item .* leaves train empty"),
        (lambda: cold_user_split(GOOD, share=1), "share=1 is not a share"),
        (lambda: cold_user_split(GOOD, given=1.0), r"given=1\.0 is not a share in \[0, 1\)"),
        (lambda: cold_user_split(GOOD, given=-0.5), r"given=-0\.5 is not a share"),
        (lambda: cold_user_split(GOOD, share=0.1), "cold-user .* leaves test empty"),
    ],
)
def test_bad_arguments_are_refused(call: Callable[[], Split], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


# Pinned contents: a change of library, seed handling or rounding shows here

PINNED: list[tuple[Callable[..., Split], dict[str, Any], str, tuple[int, int, int]]] = [
    (time_split, {}, "3d93ca0bfb40c7cb", (80003, 0, 19997)),
    (time_split, {"valid": 0.1}, "ddb3f19546693021", (70001, 10002, 19997)),
    (random_split, {}, "22db1c02a2905947", (74887, 0, 25113)),
    (
        random_split,
        {"test": 0.25, "valid": 0.05, "seed": 1},
        "f5f38ed5e56373a5",
        (69895, 4992, 25113),
    ),
    (last_out_split, {}, "ef3f14b8d5e602f9", (99057, 0, 943)),
    (last_out_split, {"valid": True}, "faee2b59a8bed290", (98114, 943, 943)),
    (cold_item_split, {}, "7a3af71b4a782234", (80420, 0, 19580)),
    (cold_item_split, {"seed": 1, "valid": 0.1}, "17615ebcb2423de1", (73591, 9741, 16668)),
    (cold_user_split, {}, "7f46f99939ae3d62", (81830, 0, 9036)),
    (
        cold_user_split,
        {"seed": 1, "given": 0.2, "valid": 0.1},
        "75c0c9570b7a1f71",
        (72016, 7285, 15104),
    ),
]


@pytest.fixture(scope="module")
def ml_100k() -> Dataset:
    return load("ml-100k")


@pytest.mark.component
@pytest.mark.parametrize(("split", "options", "pinned", "sizes"), PINNED)
def test_real_splits_are_pinned(
    ml_100k: Dataset,
    split: Callable[..., Split],
    options: dict[str, Any],
    pinned: str,
    sizes: tuple[int, int, int],
) -> None:
    first, second = split(ml_100k, **options), split(ml_100k, **options)
    assert (len(first.train), len(first.valid), len(first.test)) == sizes
    assert first.hash == second.hash
    assert first.hash[:16] == pinned

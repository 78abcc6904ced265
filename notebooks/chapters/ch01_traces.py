"""Chapter 1: what a trace of behaviour holds, and how much is known of whom."""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmrec.data import Dataset

DAY, WEEK = 86_400, 7 * 86_400


def trace(dataset: Dataset, min_events: int = 20) -> np.ndarray:
    """Return the days ``(n,)`` since the first event of the user with median activity.

    The median is that of the users with at least ``min_events`` events.
    """
    events = dataset.coded
    count = events["user"].value_counts().sort_index()
    count = count[count >= min_events].sort_values(kind="stable")
    mine = events[events["user"] == count.index[len(count) // 2]]
    return np.asarray((mine["timestamp"] - mine["timestamp"].min()) / DAY)


def known(dataset: Dataset) -> dict[str, float]:
    """Return what is known of a dataset, as one column of the chapter's table."""
    events = dataset.coded
    pairs = events.drop_duplicates(["user", "item"])
    taken = pairs["item"].value_counts().to_numpy()
    late = events["timestamp"] > events["timestamp"].quantile(0.8)
    seen = events[~late]
    return {
        "users": dataset.n_users,
        "items taken": len(taken),
        "events": len(events),
        "cells filled, %": 100 * len(pairs) / (dataset.n_users * len(taken)),
        "items a user, median": float(pairs["user"].value_counts().median()),
        "users an item, median": float(np.median(taken)),
        "top tenth of items has, %": 100 * taken[: -(-len(taken) // 10)].sum() / taken.sum(),
        "last fifth: on new items, %": 100 * (~events["item"][late].isin(seen["item"])).mean(),
        "last fifth: by new users, %": 100 * (~events["user"][late].isin(seen["user"])).mean(),
    }


def long_tail(dataset: Dataset, grid: np.ndarray) -> np.ndarray:
    """Return which share of all (user, item) pairs the most taken items hold, by share of items."""
    taken = dataset.coded.drop_duplicates(["user", "item"])["item"].value_counts().to_numpy()
    total = [0, *taken.cumsum() / taken.sum()]
    return np.interp(grid, np.arange(len(taken) + 1) / len(taken), total)


def arrivals(dataset: Dataset, column: str) -> np.ndarray:
    """Return ``(10,)``: % of each tenth of the events that is of an item (or user) first seen in it."""
    events = dataset.coded.sort_values("timestamp", kind="stable")
    tenth = np.arange(len(events)) * 10 // len(events)
    first = pd.Series(tenth).groupby(events[column].to_numpy()).transform("min")
    return np.asarray(100 * (first == tenth).groupby(tenth).mean())


def product_types(shop: Dataset, min_households: int = 20) -> tuple[Dataset, pd.DataFrame]:
    """Return the shop with products of one title as one item, and every purchase of these.

    The dataset holds a household's first purchase of each type with at least ``min_households``
    households; the frame holds all purchases of them: ``user, item`` (code of the type),
    ``timestamp``.
    """
    title = shop.interactions["item"].map(shop.items.set_index("item")["title"])
    typed = shop.interactions.assign(title=title)
    typed = typed[typed["title"] != ""]
    first = typed.sort_values("timestamp", kind="stable").drop_duplicates(["user", "title"])
    households = first["title"].value_counts()
    kept = np.sort(households.index[households >= min_households])
    code = pd.Series(np.arange(len(kept)), kept)
    first = first[first["title"].isin(kept)]
    types = Dataset(
        "shop-types",
        first.drop(columns="title").assign(item=first["title"].map(code)).reset_index(drop=True),
        pd.DataFrame({"item": np.arange(len(kept)), "title": kept}),
    )
    bought = typed[typed["title"].isin(kept)]
    item = bought["title"].map(code)
    return types, pd.DataFrame(
        {"user": bought["user"], "item": item, "timestamp": bought["timestamp"]}
    )


def with_titles(dataset: Dataset) -> tuple[list[str], pd.DataFrame]:
    """Return the titles that are there, and the events on these items, recoded to them."""
    titles = dataset.items["title"]
    titled = np.flatnonzero(titles != "")
    read = dataset.coded
    read = read[read["item"].isin(titled)]
    return list(titles.iloc[titled]), read.assign(item=np.searchsorted(titled, read["item"]))


def within_a_day(dataset: Dataset) -> float:
    """Return the share of users whose events all lie within a single day."""
    times = dataset.interactions.groupby("user")["timestamp"]
    return float((times.max() - times.min() < DAY).mean())

"""The Southern Women table against its printed margins and, where installed, networkx's copy."""

from __future__ import annotations

import numpy as np
import pytest

from chapters.ch03_southern_women import southern_women


def table() -> np.ndarray:
    dataset = southern_women()
    events = dataset.coded
    out = np.zeros((dataset.n_users, dataset.n_items), int)
    out[events["user"], events["item"]] = 1
    return out


def test_the_margins_are_those_of_the_printed_table():
    x = table()
    assert x.shape == (18, 14)
    assert x.sum(axis=1).tolist() == [8, 7, 8, 7, 4, 4, 4, 3, 4, 4, 4, 6, 7, 8, 5, 2, 2, 2]
    assert x.sum(axis=0).tolist() == [3, 3, 6, 4, 8, 8, 10, 14, 12, 5, 4, 6, 3, 3]
    assert len(southern_women().interactions) == x.sum() == 89  # no cell twice


def test_the_order_of_the_table_is_kept():
    users = southern_women().users
    assert users is not None
    assert users["name"].iloc[[0, 15, 17]].tolist() == [
        "Evelyn Jefferson",
        "Dorothy Murchison",
        "Flora Price",
    ]
    assert (southern_women().interactions["timestamp"] == 0).all()  # no order is made up


def test_equals_the_copy_of_networkx():
    graph = pytest.importorskip("networkx").davis_southern_women_graph()
    x, users = table(), southern_women().users
    assert users is not None
    for row, name in zip(x, users["name"], strict=True):
        assert {f"E{event + 1}" for event in np.flatnonzero(row)} == set(graph[name]), name

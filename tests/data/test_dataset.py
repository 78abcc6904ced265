"""`Dataset`, its validation and `Split`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from llmrec.data import DataError, Dataset, Split, last_out_split
from llmrec.data.validation import add_items_without_row, validate

Tables = dict[str, Any]


def tables() -> Tables:
    return {
        "interactions": pd.DataFrame(
            {
                "user": [7, 7, 3, 3],
                "item": ["b", "a", "a", "a"],
                "timestamp": [20, 10, 30, 40],
                "weight": [5.0, 1.0, 2.5, 0.5],
                "action": ["rated", "rated", "viewed", "viewed"],
            }
        ),
        "items": pd.DataFrame({"item": ["b", "c", "a"], "title": ["B", "C", ""]}),
        "users": pd.DataFrame({"user": [3, 9], "age": [30, 40]}),
    }


def test_codes_are_positions_in_sorted_users_and_in_the_items_table() -> None:
    dataset = Dataset("tiny", **tables())
    assert dataset.user_ids.tolist() == [3, 7]
    assert dataset.item_ids.tolist() == ["b", "c", "a"]
    assert (dataset.n_users, dataset.n_items) == (2, 3)
    assert dataset.coded["user"].tolist() == [1, 1, 0, 0]
    assert dataset.coded["item"].tolist() == [0, 2, 2, 2]
    assert list(dataset.coded) == ["user", "item", "timestamp", "weight", "action"]


def test_a_split_knows_its_matrix_and_what_is_cold() -> None:
    split = last_out_split(Dataset("tiny", **tables()))
    assert split.train[["user", "item"]].to_numpy().tolist() == [[1, 2], [0, 2]]
    assert split.test[["user", "item"]].to_numpy().tolist() == [[1, 0], [0, 2]]
    assert split.matrix("train").toarray().tolist() == [[0, 0, 1], [0, 0, 1]]
    assert split.matrix("test", binary=False).toarray().tolist() == [[0, 0, 0.5], [5, 0, 0]]
    assert split.test_users.tolist() == [0, 1]
    assert split.cold_items.tolist() == [0, 1]
    assert split.cold_users.tolist() == []


def test_a_repeated_event_counts_once_or_sums_its_weights() -> None:
    dataset = Dataset("tiny", **tables())
    split = Split(dataset, "all", 0, *[dataset.coded] * 4)
    assert split.matrix().toarray().tolist() == [[0, 0, 1], [1, 0, 1]]
    assert split.matrix(binary=False).toarray().tolist() == [[0, 0, 3], [5, 0, 1]]


def test_the_hash_ignores_row_order_and_sees_parts() -> None:
    split = last_out_split(Dataset("tiny", **tables()))
    parts = [split.train, split.valid, split.test, split.history]
    turned = Split(split.dataset, "x", 1, *[part[::-1] for part in parts])
    swapped = Split(split.dataset, "x", 1, parts[2], parts[1], parts[0], parts[3])
    assert turned.hash == split.hash
    assert swapped.hash != split.hash


def change(table: str, column: str, value: Any, row: int | None = None) -> Callable:
    def apply(tables: Tables) -> None:
        frame = tables[table]
        if row is None:
            frame[column] = value
        else:
            cells = frame[column].astype(object)
            cells.iloc[row] = value
            frame[column] = cells.infer_objects()

    return apply


def without(table: str, column: str | None = None) -> Callable:
    def apply(tables: Tables) -> None:
        frame = tables[table]
        tables[table] = frame.iloc[:0] if column is None else frame.drop(columns=column)

    return apply


def twice(table: str) -> Callable:
    def apply(tables: Tables) -> None:
        frame = tables[table]
        tables[table] = frame.set_axis([frame.columns[0]] * frame.shape[1], axis=1)

    return apply


@pytest.mark.parametrize(
    ("breaks", "match"),
    [
        (without("interactions"), "interactions has no rows"),
        (without("items"), "items has no rows"),
        (without("users"), "users has no rows"),
        (without("interactions", "user"), "interactions has no column 'user' .it has item, "),
        (without("interactions", "weight"), "interactions has no column 'weight'"),
        (without("items", "title"), "items has no column 'title' .it has item.: rename or add"),
        (without("users", "user"), "users has no column 'user' .it has age"),
        (change("interactions", "user", None, 1), "interactions, column 'user', row 2: no user id"),
        (change("interactions", "item", None, 3), "interactions, column 'item', row 4: no item id"),
        (change("interactions", "user", 1.5), "interactions, column 'user': ids are floating"),
        (change("interactions", "user", "x", 0), "column 'user': ids are mixed-integer"),
        (change("interactions", "item", 4), "'item' holds int64 in interactions and str in items"),
        (change("interactions", "item", "z", 2), "'item', row 3: item 'z' has no row in items"),
        (change("interactions", "item", "z"), r"row 1 \(and 3 more\): item 'z' has no row"),
        (change("interactions", "timestamp", -1, 3), "column 'timestamp', row 4: negative"),
        (change("interactions", "timestamp", -1), "'timestamp', row 1 .and 3 more.: negative"),
        (change("interactions", "timestamp", 1.0), "'timestamp': type float64, not whole seconds"),
        (change("interactions", "timestamp", "2020"), "'timestamp': type (str|object), not whole"),
        (change("interactions", "weight", np.inf, 1), "column 'weight', row 2: not a finite"),
        (change("interactions", "weight", np.nan, 2), "column 'weight', row 3: not a finite"),
        (change("interactions", "weight", True), "column 'weight': type bool, not numbers"),
        (change("interactions", "weight", "5"), "column 'weight': type (str|object), not numbers"),
        (change("interactions", "action", None, 0), "'action', row 1: no text"),
        (change("interactions", "action", 3), "'action': type int64, not text"),
        (change("items", "item", None, 2), "items, column 'item', row 3: no item id"),
        (change("items", "item", "b", 1), "items, column 'item', row 2: item id occurs a second"),
        (change("items", "title", None, 0), "items, column 'title', row 1: no text"),
        (change("items", "title", 7), "items, column 'title': type int64, not text"),
        (change("users", "user", 3), "users, column 'user', row 2: user id occurs a second"),
        (change("users", "user", ["3", "9"]), "'user' holds int64 in interactions and (str|obj)"),
        (twice("users"), "users has two columns named 'user'"),
    ],
)
def test_bad_tables_are_refused_with_their_place(
    breaks: Callable[[Tables], None], match: str
) -> None:
    given = tables()
    breaks(given)
    with pytest.raises(DataError, match=match) as caught:
        Dataset("bad", **given)
    assert "\n" not in str(caught.value)


def test_messages_use_the_names_they_are_given() -> None:
    given = tables()
    given["items"]["item"] = "b"
    with pytest.raises(DataError, match=r"items\.csv, column 'item', row 2 \(and 1 more\)"):
        validate(**given, names=("events.csv", "items.csv", "users.csv"))


def test_items_without_a_row_are_added_in_order() -> None:
    given = tables()
    given["interactions"]["item"] = ["z", "a", "y", "z"]
    items, added = add_items_without_row(given["interactions"], given["items"])
    assert added == 2
    assert items["item"].tolist() == ["b", "c", "a", "y", "z"]
    assert items["title"].tolist() == ["B", "C", "", "", ""]
    same, none = add_items_without_row(tables()["interactions"], given["items"])
    assert same is given["items"]
    assert none == 0

"""The Complete Journey: names made readable, known numbers, products joined by title."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest

from llmrec.data import Dataset, load
from llmrec.data.loaders.complete_journey import _items, product_types, tidy_name


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("POTATO CHIPS", "Potato chips"),
        ("CANDY BARS (SINGLES)(INCLUDING", "Candy bars (singles)"),
        ("SOFT DRINKS 12/18&15PK CAN CAR", "Soft drinks 12/18 & 15pk can car"),
        ("CHRISTMAS  SEASONAL", "Christmas seasonal"),
        ("DVD (A)(B)", "Dvd (a) (b)"),
        ("", ""),
    ],
)
def test_names_are_tidied(raw: str, name: str) -> None:
    assert tidy_name(raw) == name


def test_titles_are_types_with_the_category_where_the_type_is_shared() -> None:
    products = pd.DataFrame(
        [
            ("GROCERY", "BAG SNACKS", "CHIPS", "10  OZ", "National"),
            ("GROCERY", "ICE CREAM", "PREMIUM", None, "Private"),
            ("GROCERY", "FROZEN PIZZA", "PREMIUM", None, "National"),
            ("DELI", "CHEESE", None, None, "National"),
            ("FUEL", None, None, None, "National"),
        ],
        columns=["department", "product_category", "product_type", "package_size", "brand"],
    ).assign(product_id=range(5))
    items = _items(products)
    assert items["title"].tolist() == [
        "Chips",
        "Premium (ice cream)",
        "Premium (frozen pizza)",
        "Cheese",
        "Fuel",
    ]
    assert items["package_size"].tolist() == ["10 oz", "", "", "", ""]
    assert items["product_type"].tolist() == ["Chips", "Premium", "Premium", "", ""]


@pytest.fixture(scope="module")
def journey() -> Dataset:
    return load("complete-journey")


@pytest.mark.component
def test_the_known_numbers(journey: Dataset) -> None:
    assert len(journey.interactions) == 1_469_307
    assert journey.n_users == 2469
    assert journey.n_items == 92_331 + 17  # 17 products were sold without a row of their own
    assert journey.dropped == {"items without a row": 17}
    assert journey.interactions["item"].nunique() == 68_509
    assert set(journey.interactions["action"]) == {"bought"}
    start, end = pd.to_datetime(journey.interactions["timestamp"].agg(["min", "max"]), unit="s")
    assert str(start) == "2017-01-01 11:53:26"
    assert str(end) == "2018-01-01 04:01:20"
    assert (journey.interactions["weight"] == 0).sum() == 8869
    assert journey.users is not None
    assert len(journey.users) == 801
    assert (journey.items["title"] == "").sum() == 17
    assert not journey.items.isna().any(axis=None)


@pytest.mark.component
def test_products_can_be_chosen_and_the_rest_is_counted(journey: Dataset) -> None:
    chosen = load("complete-journey", min_item_count=100)
    counts = chosen.interactions["item"].value_counts()
    assert counts.min() >= 100
    assert len(counts) == chosen.n_items
    assert chosen.n_items + chosen.dropped["products not chosen"] == journey.n_items
    rows = chosen.dropped["purchases of products not chosen"]
    assert len(chosen.interactions) + rows == len(journey.interactions)
    sizes = [load("complete-journey", min_item_count=n).n_items for n in (0, 1, 50)]
    assert sizes[1] == 68_509
    assert all(more > fewer for more, fewer in pairwise(sizes))


@pytest.mark.component
def test_bad_options_are_refused() -> None:
    with pytest.raises(ValueError, match="min_item_count=-1 is negative"):
        load("complete-journey", min_item_count=-1)


def test_products_of_one_title_become_one_item(products):
    types = product_types(products, min_users=1)
    assert types.item_ids.tolist() == ["Bread", "Milk"]
    assert types.items["brand"].tolist() == ["National", "Private"]  # what most products have
    rows = types.interactions[["user", "item", "timestamp", "weight"]].to_numpy().tolist()
    assert rows == [[7, "Milk", 10, 3.0], [7, "Bread", 10, 1.0], [8, "Milk", 20, 1.0]]
    assert types.dropped == {
        "lines of titles not kept": 1,
        "lines joined to another of the basket": 1,
    }


def test_rare_titles_are_left_out_and_counted(products):
    types = product_types(products, min_users=2)
    assert types.item_ids.tolist() == ["Milk"]
    assert types.dropped["lines of titles not kept"] == 2


def test_titles_are_counted_up_to_a_moment_and_kept_whole(products):
    types = product_types(products, min_users=1, before=10)
    assert types.item_ids.tolist() == ["Bread", "Milk"]
    late = product_types(products, min_users=1, before=15)
    assert late.interactions.equals(types.interactions)  # what comes later of them stays
    assert product_types(products, min_users=2, before=20).item_ids.tolist() == ["Milk"]
    with pytest.raises(ValueError, match="no title was taken by 2 users"):
        product_types(products, min_users=2, before=10)

"""Products joined by title, and the coupons that households held."""

import numpy as np
import pandas as pd
import pytest

from llmrec.data import Dataset, load
from llmrec.data.journey import coupon_offers, offers, product_types

DAY = 86_400


@pytest.fixture
def products():
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


def test_products_of_one_title_become_one_item(products):
    types = product_types(products, least=1)
    assert types.item_ids.tolist() == ["Bread", "Milk"]
    assert types.items["brand"].tolist() == ["National", "Private"]  # what most products have
    rows = types.interactions[["user", "item", "timestamp", "weight"]].to_numpy().tolist()
    assert rows == [[7, "Milk", 10, 3.0], [7, "Bread", 10, 1.0], [8, "Milk", 20, 1.0]]
    assert types.dropped == {
        "lines of titles not kept": 1,
        "lines joined to another of the basket": 1,
    }


def test_rare_titles_are_left_out_and_counted(products):
    types = product_types(products, least=2)
    assert types.item_ids.tolist() == ["Milk"]
    assert types.dropped["lines of titles not kept"] == 2


def tables():
    """Household 7 was sent both campaigns, household 8 the second; 9 is no customer."""
    sent = pd.DataFrame({"campaign_id": [1, 2, 2, 2], "household_id": [7, 7, 8, 9]})
    days = pd.to_datetime([0, 5 * DAY], unit="s"), pd.to_datetime([4 * DAY, 9 * DAY], unit="s")
    described = pd.DataFrame({"campaign_id": [1, 2], "start_date": days[0], "end_date": days[1]})
    coupons = pd.DataFrame(
        {"campaign_id": [1, 2, 2, 2, 2], "product_id": [3, 1, 1, 2, 99], "coupon_upc": range(5)}
    )
    return sent, described, coupons


@pytest.mark.parametrize(
    ("day", "wanted"),
    [
        (4.9, [[0, 1], [0, 0]]),  # the last day of campaign 1
        (5.0, [[2, 0], [2, 0]]),  # the first of campaign 2: two products of milk, one coupon twice
        (10.0, [[0, 0], [0, 0]]),
    ],
)
def test_offers_are_those_of_running_campaigns(products, day, wanted):
    types = product_types(products, least=1)
    item_of = products.items.set_index("item")["title"]
    found = offers(types, int(day * DAY), *tables(), item_of)
    assert found[:, [1, 0]].toarray().tolist() == wanted  # milk, bread
    by_product = offers(products, int(day * DAY), *tables())
    assert by_product.shape == (2, 5)
    assert by_product.sum() == np.sum(wanted)


@pytest.mark.component
def test_the_real_campaigns():
    shop = load("complete-journey", min_item_count=1)
    in_may = int(pd.Timestamp("2017-05-15").timestamp())
    found = coupon_offers(shop, in_may)
    assert found.shape == (shop.n_users, shop.n_items)
    sent = pd.read_parquet(_folder() / "campaigns.parquet")
    running = {3, 6, 7, 8}  # of the 27 campaigns, those whose dates hold the fifteenth of May
    held = sent[sent["campaign_id"].isin(running)]["household_id"]
    with_any = shop.user_ids[found.getnnz(axis=1) > 0]
    assert set(with_any) <= set(held)
    assert len(with_any) > 1000


def _folder():
    from llmrec import fetch

    return fetch.get("complete-journey")


def test_titles_are_counted_up_to_a_moment_and_kept_whole(products):
    types = product_types(products, least=1, before=10)
    assert types.item_ids.tolist() == ["Bread", "Milk"]
    late = product_types(products, least=1, before=15)
    assert late.interactions.equals(types.interactions)  # what comes later of them stays
    assert product_types(products, least=2, before=20).item_ids.tolist() == ["Milk"]
    with pytest.raises(ValueError, match="no title was taken by 2 users"):
        product_types(products, least=2, before=10)

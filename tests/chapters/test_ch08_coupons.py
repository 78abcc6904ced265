"""The coupons that households held at one moment."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch08_coupons import coupon_offers, offers
from llmrec import fetch
from llmrec.data import load
from llmrec.data.loaders.complete_journey import product_types

DAY = 86_400


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
    types = product_types(products, min_users=1)
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
    sent = pd.read_parquet(fetch.get("complete-journey") / "campaigns.parquet")
    running = {3, 6, 7, 8}  # of the 27 campaigns, those whose dates hold the fifteenth of May
    held = sent[sent["campaign_id"].isin(running)]["household_id"]
    with_any = shop.user_ids[found.getnnz(axis=1) > 0]
    assert set(with_any) <= set(held)
    assert len(with_any) > 1000

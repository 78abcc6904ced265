"""The Complete Journey: what 2,469 households bought in a supermarket in the year 2017."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of
from llmrec.data.validation import NO_ROW, add_items_without_row

PURCHASE = ("household_id", "product_id", "quantity", "transaction_timestamp")


def load(*, min_item_count: int = 0) -> Dataset:
    """Return the Complete Journey: 1,469,307 purchases, one row a line of a receipt.

    ``weight`` is the quantity (0 on some lines, thousandths of a gallon for fuel). Items: ``title``
    made from the product's type (and its category where the type alone is vague), ``department``,
    ``brand`` ("National" or "Private"), ``product_category``, ``product_type``, ``package_size``.
    Products that were bought but have no row in the products table get one with an empty title.
    Users: demographics of the 801 households that gave them.

    Products bought on fewer lines than ``min_item_count`` are left out (0: none, also those never
    bought). ValueError when it is negative.
    """
    if min_item_count < 0:
        raise ValueError(f"min_item_count={min_item_count} is negative: 0 keeps all products")
    folder = fetch.get("complete-journey")
    bought = pd.read_parquet(folder / "transactions.parquet", columns=list(PURCHASE))
    time = bought["transaction_timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)
    names = {"user": "household_id", "item": "product_id", "weight": "quantity"}
    interactions = events_of(bought.assign(timestamp=time), "bought", **names)
    items = _items(pd.read_parquet(folder / "products.parquet"))
    items, added = add_items_without_row(interactions, items)
    texts = items.columns.drop("item")
    items[texts] = items[texts].fillna("")
    dropped = {NO_ROW: added}
    counts = interactions["item"].value_counts()
    keep = items["item"].map(counts).fillna(0).to_numpy() >= min_item_count
    if not keep.all():
        items = items[keep].reset_index(drop=True)
        wanted = interactions["item"].isin(items["item"])
        interactions = interactions[wanted].reset_index(drop=True)
        dropped |= {"products not chosen": int((~keep).sum())}
        dropped |= {"purchases of products not chosen": int((~wanted).sum())}
    users = pd.read_parquet(folder / "demographics.parquet")
    users = users.rename(columns={"household_id": "user"})
    users = users.fillna(dict.fromkeys(users.columns.drop("user"), ""))
    return Dataset("complete-journey", interactions, items, users, dropped)


def product_types(dataset: Dataset, min_users: int = 20, before: float = np.inf) -> Dataset:
    """Return the dataset with products of one title joined to one item, one row a basket and item.

    The item's id is the title. Other columns of the items hold the value that most of the joined
    products have. ``weight`` is the sum over the joined lines of a basket.

    Parameters
    ----------
    min_users:
        Keep titles that at least so many users took.
    before:
        Count users up to this moment alone, in seconds since 1970: a catalogue that is chosen with
        later events knows which products will sell.

    Raises
    ------
    ValueError
        When no title was taken by so many users.
    """
    title = dataset.interactions["item"].map(dataset.items.set_index("item")["title"])
    events = dataset.interactions.assign(item=title)
    counted = events[events["timestamp"] <= before]
    users = counted.drop_duplicates(["user", "item"])["item"].value_counts()
    kept = sorted(name for name in users.index[users >= min_users] if name)
    if not kept:
        raise ValueError(f"product_types: no title was taken by {min_users} users: ask for fewer")
    chosen = events[events["item"].isin(kept)]
    keys = ["user", "timestamp", "item"]
    baskets = chosen.groupby(keys, sort=False, as_index=False).agg(
        {"weight": "sum", "action": "first"}
    )
    facts = dataset.items[dataset.items["title"].isin(kept)].drop(columns="item")
    columns = [_most_common(facts, name) for name in facts.columns.drop("title")]
    items = pd.concat(columns, axis=1).loc[kept].rename_axis("title").reset_index()
    dropped = {
        "lines of titles not kept": len(events) - len(chosen),
        "lines joined to another of the basket": len(chosen) - len(baskets),
    }
    return Dataset(
        f"{dataset.name}, by title",
        baskets[["user", "item", "timestamp", "weight", "action"]],
        items.assign(item=items["title"])[["item", *facts.columns]],
        dataset.users,
        dropped,
    )


def _most_common(facts: pd.DataFrame, column: str) -> pd.Series:
    """Return title → the value that most rows have; of equals the first in alphabetical order."""
    counted = facts.groupby(["title", column]).size().reset_index(name="n")
    ranked = counted.sort_values(["n", column], ascending=[False, True], kind="stable")
    return ranked.drop_duplicates("title").set_index("title")[column]


def _items(products: pd.DataFrame) -> pd.DataFrame:
    """The title is the type, with its category where several categories share it ("Premium")."""
    names = ["department", "product_category", "product_type"]
    tidy = {name: _tidied(products[name]) for name in names}
    kind, category = tidy["product_type"], tidy["product_category"]
    shared = products.groupby("product_type")["product_category"].nunique()
    vague = kind.ne(category) & products["product_type"].map(shared).gt(1)
    title = kind.mask(vague, kind + " (" + category.str.lower() + ")")
    title = title.where(title != "", category)
    title = title.where(title != "", tidy["department"])
    sizes = products["package_size"].fillna("").str.lower().str.replace(r"\s+", " ", regex=True)
    items = pd.DataFrame({"item": products["product_id"], "title": title})
    return items.assign(**tidy, brand=products["brand"].fillna(""), package_size=sizes)


def _tidied(column: pd.Series) -> pd.Series:
    """Tidy each distinct text once: there are few among many rows."""
    known = {text: tidy_name(text) for text in column.dropna().unique()}
    return column.map(known).fillna("")


def tidy_name(raw: str) -> str:
    """Make a till's text readable: "CANDY BARS (SINGLES)(INCLUDING" → "Candy bars (singles)"."""
    text = re.sub(r"\s*\([^)]*$", "", raw)  # a bracket that the till cut off
    text = re.sub(r"\s*&\s*", " & ", text)
    text = re.sub(r"\)\(", ") (", text)
    return " ".join(text.split()).capitalize()

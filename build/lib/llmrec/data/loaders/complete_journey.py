"""The Complete Journey: what 2,469 households bought in a supermarket in the year 2017."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.validation import NO_ROW, add_items_without_row

PURCHASE = ("household_id", "product_id", "quantity", "transaction_timestamp")


def load(*, min_item_count: int = 0, departments: Iterable[str] | None = None) -> Dataset:
    """Return the Complete Journey: 1,469,307 purchases, one row a line of a receipt.

    ``weight`` is the quantity (0 on some lines, thousandths of a gallon for fuel). Items: ``title``
    made from the product's type (and its category where the type alone is vague), ``department``,
    ``brand`` ("National" or "Private"), ``product_category``, ``product_type``, ``package_size``.
    Products that were bought but have no row in the products table get one with an empty title.
    Users: demographics of the 801 households that gave them.

    Parameters
    ----------
    min_item_count:
        Keep products bought on at least so many lines (0: also those never bought).
    departments:
        Keep products of these departments only, such as ``["Grocery", "Produce"]``.

    Raises
    ------
    ValueError
        When ``min_item_count`` is negative or a department is unknown.
    """
    if min_item_count < 0:
        raise ValueError(f"min_item_count={min_item_count} is negative: 0 keeps all products")
    folder = fetch.get("complete-journey")
    bought = pd.read_parquet(folder / "transactions.parquet", columns=list(PURCHASE))
    time = bought["transaction_timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64)
    interactions = pd.DataFrame(
        {
            "user": bought["household_id"],
            "item": bought["product_id"],
            "timestamp": time,
            "weight": bought["quantity"].astype(np.float64),
            "action": "bought",
        }
    )
    items = _items(pd.read_parquet(folder / "products.parquet"))
    items, added = add_items_without_row(interactions, items)
    texts = items.columns.drop("item")
    items[texts] = items[texts].fillna("")
    dropped = {NO_ROW: added}
    keep = _chosen(items, interactions, min_item_count, departments)
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


def _chosen(
    items: pd.DataFrame,
    interactions: pd.DataFrame,
    min_item_count: int,
    departments: Iterable[str] | None,
) -> np.ndarray:
    counts = interactions["item"].value_counts()
    keep = items["item"].map(counts).fillna(0).to_numpy() >= min_item_count
    if departments is not None:
        wanted = {departments} if isinstance(departments, str) else set(departments)
        known = set(items["department"]) - {""}
        if unknown := sorted(wanted - known):
            raise ValueError(
                f"no department is named {unknown[0]!r}: choose from {', '.join(sorted(known))}"
            )
        keep &= items["department"].isin(wanted).to_numpy()
    return keep


def _items(products: pd.DataFrame) -> pd.DataFrame:
    names = ["department", "product_category", "product_type"]
    tidy = {name: _tidied(products[name]) for name in names}
    items = pd.DataFrame({"item": products["product_id"], "title": _titles(products, **tidy)})
    sizes = products["package_size"].fillna("").str.lower().str.replace(r"\s+", " ", regex=True)
    return items.assign(**tidy, brand=products["brand"].fillna(""), package_size=sizes)


def _titles(
    products: pd.DataFrame,
    department: pd.Series,
    product_category: pd.Series,
    product_type: pd.Series,
) -> pd.Series:
    """The type; with the category behind it where several categories share the type ("Premium")."""
    shared = products.groupby("product_type")["product_category"].nunique()
    vague = product_type.ne(product_category) & products["product_type"].map(shared).gt(1)
    full = product_type + " (" + product_category.str.lower() + ")"
    title = product_type.mask(vague, full)
    title = title.where(title != "", product_category)
    return title.where(title != "", department)


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

"""Amazon Beauty 2014, 5-core: the public benchmark of sequential recommendation."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of, read_columns
from llmrec.data.validation import DataError


def load() -> Dataset:
    """Return Amazon Beauty: 22,363 customers, 12,101 products, 198,502 reviews in their order.

    Every customer and product has at least five reviews. Only their order is known: timestamps are
    0 and the rows of a customer stand in time order, so that `last_out_split` reproduces the
    published leave-one-out and `time_split` refuses. Items: ``title``, the product's name (7 are
    empty) with HTML's character names (``&egrave;``) resolved.

    References
    ----------
    McAuley, Targett, Shi and van den Hengel 2015, "Image-based recommendations on styles and
    substitutes", SIGIR; sequences as IDGenRec ships them, names as dh-r's LLM-Sequential-
    Recommendation ships them.
    """
    folder = fetch.get("amazon-beauty")
    events = _sequences(folder / "user_sequence.txt")
    items = _products(folder / "dh-r_item_id_to_int.json", folder / "dh-r_products_lookup.csv")
    counts = {"products without a name (kept)": int((items["title"] == "").sum())}
    return Dataset("amazon-beauty", events, items, dropped=counts)


def _sequences(path: Path) -> pd.DataFrame:
    """Read lines of a customer's id and product ids, oldest first."""
    users, items = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        user, *bought = line.split() or [""]
        if not bought:
            raise DataError(
                f"{path.name}, row {number}: a row is a customer's id, then product ids, but this"
                f" is {line[:40]!r}"
            )
        users += [user] * len(bought)
        items += bought
    return events_of({"user": users, "item": items}, "reviewed")


def _products(numbers: Path, names: Path) -> pd.DataFrame:
    """Join each product's id with its name, through the number that both files use."""
    number_of = json.loads(numbers.read_text(encoding="utf-8"))
    table = read_columns(names, ("global_product_id", "name"))
    title = dict(zip(table["global_product_id"], table["name"].map(html.unescape), strict=True))
    if unnamed := [item for item, number in number_of.items() if number not in title]:
        raise DataError(f"{names.name} has no row for {len(unnamed)} products, first {unnamed[0]}")
    ids = sorted(number_of)
    return pd.DataFrame({"item": ids, "title": [title[number_of[item]] for item in ids]})

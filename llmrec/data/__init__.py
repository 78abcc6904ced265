"""Datasets, their validation and their splits."""

from llmrec.data.baskets import cut_split, first_baskets
from llmrec.data.dataset import Dataset, Part, Split
from llmrec.data.journey import coupon_offers, product_types
from llmrec.data.loaders import available, load
from llmrec.data.prompts import nir, tallrec
from llmrec.data.published import PUBLISHED, published_split
from llmrec.data.sequences import in_order, sequences
from llmrec.data.splits import (
    cold_item_split,
    cold_user_split,
    last_out_split,
    random_split,
    time_split,
)
from llmrec.data.validation import DataError

__all__ = [
    "PUBLISHED",
    "DataError",
    "Dataset",
    "Part",
    "Split",
    "available",
    "cold_item_split",
    "cold_user_split",
    "coupon_offers",
    "cut_split",
    "first_baskets",
    "in_order",
    "last_out_split",
    "load",
    "nir",
    "product_types",
    "published_split",
    "random_split",
    "sequences",
    "tallrec",
    "time_split",
]

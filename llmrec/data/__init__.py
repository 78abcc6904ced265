"""Datasets, their validation and their splits."""

from llmrec.data.dataset import Dataset, Part, Split
from llmrec.data.loaders import available, load
from llmrec.data.splits import (
    cold_item_split,
    cold_user_split,
    last_out_split,
    random_split,
    time_split,
)
from llmrec.data.validation import DataError

__all__ = [
    "DataError",
    "Dataset",
    "Part",
    "Split",
    "available",
    "cold_item_split",
    "cold_user_split",
    "last_out_split",
    "load",
    "random_split",
    "time_split",
]

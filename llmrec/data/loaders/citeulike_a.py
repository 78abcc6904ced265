"""CiteULike-a: which scientific articles people keep in their libraries, with titles and tags."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of, whole_numbers
from llmrec.data.validation import DataError


def load() -> Dataset:
    """Return CiteULike-a: 5,551 readers, 16,980 articles, 204,986 articles saved.

    Ids are 0, 1, … as in the files; no timestamps, and rows in no order of time. Items: ``title``,
    and ``tags`` (comma-separated, with a space for ``_`` and ``-``; what is then equal, once).

    Beware of the tags: *all* readers gave them, those whose saved articles are the test part
    included, and a reader tags what he saves. A model that reads them knows more than the titles
    and the train part would tell; report it apart. The template ``"citeulike-a"`` writes titles
    only, ``"citeulike-a-tags"`` both.

    References
    ----------
    Wang, Chen and Li 2013, "Collaborative topic regression with social regularization for tag
    recommendation", IJCAI; titles as TopicModelsVB.jl ships them.
    """
    folder = fetch.get("citeulike-a")
    titles = (folder / "citeutitles.txt").read_text(encoding="utf-8").splitlines()
    tags = _tags(folder)
    if len(titles) != len(tags):
        raise DataError(
            f"citeutitles.txt has {len(titles)} titles and item-tag.dat {len(tags)} rows: each"
            " article has one row in both"
        )
    items = pd.DataFrame({"item": np.arange(len(titles)), "title": titles, "tags": tags})
    counts = {"articles without a tag (kept)": tags.count("")}
    return Dataset("citeulike-a", saved(folder / "users.dat", len(titles)), items, dropped=counts)


def saved(path: Path, n_items: int) -> pd.DataFrame:
    """Read libraries as interactions: row ``u`` of the file is reader ``u``'s articles."""
    return taken_by(dict(enumerate(counted_rows(path, n_items))), "saved")


def taken_by(items: dict[int, list[int]], action: str) -> pd.DataFrame:
    """Return interactions without timestamps from each user's items."""
    users = np.repeat(list(items), [len(own) for own in items.values()])
    codes = np.concatenate(list(items.values())).astype(np.int64)
    return events_of({"user": users, "item": codes}, action)


def counted_rows(path: Path, size: int) -> list[list[int]]:
    """Read rows of a count and so many codes below ``size``; `DataError` names any other row."""
    rows = []
    for number, (count, *codes) in whole_numbers(path):
        if count != len(codes):
            raise DataError(f"{path.name}, row {number}: announces {count} items, has {len(codes)}")
        if codes and max(codes) >= size:
            raise DataError(
                f"{path.name}, row {number}: item {max(codes)}, but items run from 0 to {size - 1}"
            )
        rows.append(codes)
    return rows


def _tags(folder: Path) -> list[str]:
    """Return each article's tags as one text."""
    names = (folder / "tags.dat").read_text(encoding="latin-1").splitlines()
    words = [" ".join(re.split("[-_]+", name)).strip() for name in names]
    rows = counted_rows(folder / "item-tag.dat", len(words))
    return [", ".join(dict.fromkeys(words[tag] for tag in row)) for row in rows]

"""A laboratory: a dataset cut to a common size, so that catalogues can be laid side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmrec.data.dataset import Dataset


def laboratory(
    dataset: Dataset,
    texts: Sequence[str],
    n_items: int,
    n_users: int,
    min_events: int = 5,
    seed: int = 0,
) -> tuple[Dataset, list[str]]:
    """Return the dataset cut to its most taken items with a text, and the texts of those items.

    Of each user and item the last row is kept. Users with fewer than ``min_events`` of the kept items
    are left out; of the others ``n_users`` are drawn at random, all where there are no more.

    Parameters
    ----------
    texts:
        One an item, in the order of ``dataset.item_ids``; an empty one is no text. It becomes the
        item's title in the laboratory.
    n_items, n_users:
        At most so many, > 0. Of equally taken items the one of the lower code is kept.

    Raises
    ------
    ValueError
        When the texts do not fit the items, or no user has taken enough.
    """
    given = np.asarray(texts, dtype=object)
    if given.shape != (dataset.n_items,):
        raise ValueError(
            f"laboratory: {len(given)} texts for {dataset.n_items} items: give one for each"
        )
    pairs = dataset.coded.drop_duplicates(["user", "item"], keep="last")
    taken = np.bincount(pairs["item"], minlength=dataset.n_items) * (given != "")
    kept = np.argsort(-taken, kind="stable")[:n_items]
    kept = np.sort(kept[taken[kept] > 0])
    pairs = pairs[pairs["item"].isin(kept)]
    size = pairs["user"].value_counts().sort_index()
    able = size.index[size >= min_events].to_numpy()
    if not len(able):
        raise ValueError(
            f"laboratory of {dataset.name!r}: no user has taken {min_events} of the {len(kept)} items"
            " that are kept: keep more items or ask for less"
        )
    if len(able) > n_users:
        able = np.random.default_rng(seed).choice(able, n_users, False)
    inside = pairs[pairs["user"].isin(able)].reset_index(drop=True)
    items = pd.DataFrame({"item": kept, "title": given[kept]})
    return Dataset(f"{dataset.name}, laboratory", inside, items), given[kept].tolist()

"""``llmrec recommend``: one user's list, and what of the history speaks for each item.

Introduced in chapter 4.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from llmrec import data, models
from llmrec.models import Features, Recommender
from llmrec.text import item_text

REASONS = 3
TITLE = "{title}[ ({year})]"


def recommend(dataset: str, user: str, k: int, model: str) -> int:
    """Print titles, scores and reasons; everything the user did is known to the model."""
    if k < 1:
        raise ValueError(f"-k {k}: ask for at least one item")
    loaded = data.Dataset.from_folder(dataset) if Path(dataset).is_dir() else data.load(dataset)
    code = user_code(loaded, user)
    split = everything(loaded)
    fitted = build(model, split)
    items, scores = fitted.recommend(np.array([code]), k)
    history = split.matrix("history")[code].indices
    titles = item_text(loaded.items, TITLE)
    print(f"{model} on {loaded.name}, user {user} with {len(history)} items in the history\n")
    listed = [(item, score) for item, score in zip(items[0], scores[0], strict=True) if item >= 0]
    why = reasons(fitted, np.array([item for item, _ in listed], int), history)
    for place, ((item, score), causes) in enumerate(zip(listed, why, strict=True), start=1):
        print(f"{place:3d}. {titles[item]}  [{score:.3f}]")
        if causes:
            print(f"     because of {'; '.join(titles[cause] for cause in causes)}")
        else:
            taken = split.matrix("train")[:, [item]].nnz
            print(f"     taken by {taken} of {loaded.n_users} users")
    return 0


def user_code(dataset: data.Dataset, user: str) -> int:
    """Return a user's code.

    Raises
    ------
    ValueError
        With the range of valid ids, when there is no such user.
    """
    ids = dataset.user_ids
    found = np.flatnonzero(ids.astype(str) == user)
    if found.size == 0:
        raise ValueError(
            f"no user {user!r} in {dataset.name}: its {len(ids)} users are {ids[0]} to {ids[-1]}"
        )
    return int(found[0])


def everything(dataset: data.Dataset) -> data.Split:
    """Return a split that hides nothing: a list for today may use all of the past."""
    events = dataset.coded
    none = events.iloc[:0]
    return data.Split(dataset, "everything", 0, events, none, none, history=events)


def build(model: str, split: data.Split) -> Recommender:
    """Return the named model, fitted."""
    if model in ("text", "two-tower"):
        features = Features(items=item_vectors(split.dataset))
        kind = models.TextSimilarity if model == "text" else models.TwoTower
        return kind().fit(split, features)
    kinds = {
        "ease": models.EASE,
        "als": models.ALS,
        "itemknn": models.ItemKNN,
        "popularity": models.Popularity,
    }
    return kinds[model]().fit(split)


def item_vectors(dataset: data.Dataset) -> np.ndarray:
    """Encode the items with the dataset's own template, or with every text column there is."""
    from llmrec.encoders import get_encoder

    template = dataset.name if dataset.name in data.available() else "generic"
    return get_encoder("minilm").encode(item_text(dataset.items, template))


def reasons(model: Recommender, items: np.ndarray, history: np.ndarray) -> list[list[int]]:
    """Return for each item the history items that speak for it most, best first, three at most.

    An item ``j`` of the history speaks for ``i`` by what the model would score ``i`` for somebody
    who has only ``j``, above its score for somebody who has nothing. For EASE, ItemKNN and text
    similarity these are the very terms that a score sums; popularity has none.
    """
    n = len(history)
    people = sparse.csr_matrix(  # row 0 has nothing, row 1 + r has history[r]
        (np.ones(n, np.float32), (np.arange(1, n + 1), history)), (n + 1, model.seen_.shape[1])
    )
    scores = model.fold_in(people)[:, items]
    voices = scores[1:] - scores[0]
    best = np.argsort(-voices, axis=0, kind="stable")[:REASONS]
    return [
        [int(history[row]) for row in rows if voices[row, column] > 0]
        for column, rows in enumerate(best.T)
    ]

"""``llmrec recommend``: one user's list, and what of the history speaks for each item."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import sparse

from llmrec import data, models
from llmrec.cli import MODELS
from llmrec.models import Features, Recommender
from llmrec.studies.served import Served, everything, load_served
from llmrec.text import item_text

REASONS = 3
CELLS = 4_000_000  # scores held at once
TITLE = "{title}[ ({year})]"


def recommend(
    dataset: str | None, user: str | None, items: list[str] | None, k: int, model: str
) -> int:
    """Print titles, scores and reasons; everything the user did is known to the model."""
    if k < 1:
        raise ValueError(f"-k {k}: ask for at least one item")
    known = from_study(dataset, model) if model not in MODELS else from_dataset(dataset, model)
    if user is not None:
        code = known.user(user)
        history = known.history(code)
        listed, scores = known.list_for(code, k)
        who = f"user {user}"
    else:
        history = known.codes(items or [])
        listed, scores = known.list_for_items(history, k)
        who = "a new user"
    named = zip(item_text(known.items, TITLE), known.items["item"], strict=True)
    titles = [title or f"item {item}" for title, item in named]
    label = known.card["model"]
    print(f"{label} on {known.name}, {who} with {len(history)} items in the history\n")
    why = reasons(known.model, listed, history)
    for place, (item, score, causes) in enumerate(zip(listed, scores, why, strict=True), start=1):
        print(f"{place:3d}. {titles[item]}  [{score:.3f}]")
        if causes:
            print(f"     because of {'; '.join(titles[cause] for cause in causes)}")
        else:
            taken = known.model.seen_[:, [item]].nnz
            print(f"     taken by {taken} of {len(known.users)} users")
    return 0


def from_study(dataset: str | None, folder: str) -> Served:
    """Return the model that ``llmrec study`` saved.

    Raises
    ------
    ValueError
        When there is no such folder, or a dataset is named beside it.
    """
    if not Path(folder).is_dir():
        raise ValueError(
            f"no model {folder!r}: choose from {', '.join(MODELS)}, or give the folder that llmrec"
            " study wrote"
        )
    if dataset is not None:
        raise ValueError(f"--model {folder} brings its own items and users: leave out --dataset")
    return load_served(folder)


def from_dataset(dataset: str | None, model: str) -> Served:
    """Return a model of the named kind, fitted on a dataset, a name or a folder."""
    name = dataset or "ml-100k"
    loaded = data.Dataset.from_folder(name) if Path(name).is_dir() else data.load(name)
    card = {"dataset": loaded.name, "model": model}
    return Served.of(build(model, everything(loaded)), loaded, card=card)


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
    n, n_items = len(history), model.seen_.shape[1]
    people = sparse.csr_matrix(  # row 0 has nothing, row 1 + r has history[r]
        (np.ones(n, np.float32), (np.arange(1, n + 1), history)), (n + 1, n_items)
    )
    step = max(1, CELLS // n_items)
    scores = [model.fold_in(people[at : at + step])[:, items] for at in range(0, n + 1, step)]
    voices = np.concatenate(scores)[1:] - scores[0][0]
    best = np.argsort(-voices, axis=0, kind="stable")[:REASONS]
    return [
        [int(history[row]) for row in rows if voices[row, column] > 0]
        for column, rows in enumerate(best.T)
    ]

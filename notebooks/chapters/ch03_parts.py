"""Chapter 3 on real data: the classical family, and a recommender with one part exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from llmrec.data import Dataset, Split
from llmrec.encoders import Encoder
from llmrec.evaluation import Comparison, Evaluation, compare, evaluate
from llmrec.models import (
    ALS,
    EASE,
    Features,
    GivenScores,
    ItemKNN,
    Popularity,
    PureSVD,
    Recommender,
)
from llmrec.repro import kit
from llmrec.text import behaviour_text

METRIC = "ndcg@10"
Runs = dict[str, Evaluation]


def transposed(split: Split) -> Split:
    """Return the same events with users and items exchanged."""
    exchange = {"user": "item", "item": "user"}
    items = pd.DataFrame({"item": split.dataset.user_ids, "title": ""})
    data = Dataset("transposed", split.dataset.interactions.rename(columns=exchange), items)
    parts = (split.train, split.valid, split.test, split.history)
    return Split(data, split.name, split.seed, *(part.rename(columns=exchange) for part in parts))


def user_knn_scores(split: Split, neighbours: int = 100) -> np.ndarray:
    """Return the scores of user kNN ``(n_users, n_items)``, by ItemKNN on the transposed table."""
    similarity = ItemKNN(neighbours).fit(transposed(split)).similarity_  # column u: u's neighbours
    return np.asarray((similarity.T @ split.matrix("train")).toarray())


def judge(
    model: Recommender | np.ndarray, split: Split, features: Features | None = None, **options: Any
) -> Evaluation:
    """Fit a model, or take a matrix of scores ``(n_users, n_items)``, and evaluate its nDCG."""
    if isinstance(model, np.ndarray):
        model = GivenScores(model.astype(np.float32))
    return evaluate(model.fit(split, features), split, metrics=("ndcg",), **options)


def family(split: Split, seed: int = 0) -> Runs:
    """Evaluate the six classical models, with the package's defaults, on one split."""
    return {
        "popularity": judge(Popularity(), split),
        "user kNN": judge(user_knn_scores(split), split),
        "item kNN": judge(ItemKNN(), split),
        "SVD": judge(PureSVD(), split),
        "ALS": judge(ALS(seed=seed), split),
        "EASE": judge(EASE(), split),
    }


def behaviour_vectors(
    split: Split, users: Iterable[int], encoder: Encoder, budget: int
) -> np.ndarray:
    """Return the vectors of some users' behaviour texts ``(n_users, d)``; zero for the others.

    A text has at most ``budget`` tokens.
    """
    histories = split.history.groupby("user")
    chosen = list(users)
    texts = [
        behaviour_text(
            histories.get_group(user), split.dataset.items, "ml-100k", budget, encoder.count_tokens
        )
        for user in chosen
    ]
    vectors = encoder.encode(texts)
    out = np.zeros((split.n_users, vectors.shape[1]), np.float32)
    out[chosen] = vectors
    return out


def restricted(scores: np.ndarray, items: np.ndarray | None) -> np.ndarray:
    """Return scores in which no other item than these can be shortlisted (None: all can)."""
    if items is None:
        return scores
    out = scores - 10.0  # cosines lie in [-1, 1]: ten is out of their reach
    out[:, items] += 10.0
    return out


def swap(runs: Mapping[str, Evaluation], after: str, before: str) -> Comparison:
    """Return the paired difference ``after - before`` over the users that both have."""
    users = np.intersect1d(runs[after].users, runs[before].users)
    return compare(runs[after].slice(users), runs[before].slice(users), METRIC)


# Recommenders of the comparison and what their recorded keys say.
KEYS = {
    "item kNN": "item-knn",
    "item model from text": "item-seat",
    "user model from text": "user-seat",
    "decoder as algorithm": "algorithm-seat",
    "decoder, another's history": "algorithm-seat-anothers-history",
    "learnt algorithm": "learnt-algorithm",
}
# Exchanges: name, key, the recommender after and before.
EXCHANGES = (
    ("item model: columns → text", "item", "item model from text", "item kNN"),
    ("user model: sum → behaviour text", "user", "user model from text", "item model from text"),
    ("algorithm: dot → decoder", "algorithm", "decoder as algorithm", "item model from text"),
    ("no language model: dot → learnt", "learnt", "learnt algorithm", "item model from text"),
)


def exchanges(runs: Mapping[str, Evaluation]) -> dict[str, Comparison]:
    """Return what each exchange of one part changes in nDCG@10."""
    return {name: swap(runs, after, before) for name, _, after, before in EXCHANGES}


def record_levels(prefix: str, columns: Mapping[str, Mapping[str, Evaluation]]) -> None:
    """Record each model's mean nDCG@10; a decoder's may differ more on another machine."""
    for title, runs in columns.items():
        for name, run in runs.items():
            key = f"{prefix}.{_keyed(title)}.{KEYS.get(name) or _keyed(name)}.ndcg10"
            kit.level(key, run.mean(METRIC).value, 0.012 if "decoder" in name else 0.005)


def record_exchanges(regime: str, runs: Mapping[str, Evaluation]) -> None:
    """Record each exchange's difference, and the decoder's gain from the user's own history."""
    prefix = f"ch03.swap.{_keyed(regime)}"
    for name, key, after, before in EXCHANGES:
        kit.note(
            f"{prefix}.{key}", swap(runs, after, before), 0.012 if "decoder" in name else 0.005
        )
    own = swap(runs, "decoder as algorithm", "decoder, another's history")
    kit.note(f"{prefix}.own-history", own, 0.012)


def _keyed(name: str) -> str:
    """Return a name as a part of a recorded key: ``"time, all users"`` → ``time-all-users``."""
    return name.lower().replace(",", "").replace(" ", "-")

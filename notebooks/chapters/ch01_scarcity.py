"""Chapter 1: the same classical model with less to go on: short histories, rare items, new ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from llmrec.data import Split, histories_of
from llmrec.evaluation import Estimate, Evaluation, bootstrap, evaluate
from llmrec.evaluation.metrics import tie_groups
from llmrec.models import EASE, Popularity, Recommender

NDCG = "ndcg@10"
USER, SERVICE, POPULAR = "a new user", "a new service", "best-sellers"
#: World → events left of a history (None: all) → what the model then reaches.
Worlds = dict[str, dict[int | None, Evaluation]]


class Folded:
    """A fitted model that scores users by the histories of another split."""

    def __init__(self, model: Recommender, split: Split) -> None:
        self.model, self.split = model, split

    def score(self, users: np.ndarray) -> np.ndarray:
        """Return the scores of the users' histories."""
        return self.model.fold_in(histories_of(self.split, users))


def cut(split: Split, length: int, seed: int) -> Split:
    """Return the split with at most so many train events a user, drawn at random."""
    shuffled = split.train.sample(frac=1, random_state=seed)
    left = shuffled.groupby("user").head(length).sort_index()
    return replace(split, train=left, history=left)


def best(models: Iterable[Recommender], split: Split, users: np.ndarray) -> Evaluation:
    """Return the evaluation with the highest mean of several fitted models."""
    results = [evaluate(one, split, metrics=("ndcg",), users=users) for one in models]
    return max(results, key=lambda one: one.mean(NDCG).value)


def shortened(
    split: Split, lengths: Sequence[int], strengths: Sequence[float], n_users: int, seed: int
) -> tuple[Worlds, Evaluation]:
    """Return nDCG@10 by world and events left, for the same users, and that of best-sellers.

    *A new user*: EASE fitted to all others, the user known by the events left. *A new service*:
    nobody has more than these; the best of EASE with each strength and of best-sellers counts,
    chosen on the test part, a gift to the short histories.
    """
    users = np.random.default_rng(seed).choice(split.test_users, n_users, replace=False)
    others = split.train[~split.train["user"].isin(users)]
    rich = EASE().fit(replace(split, train=others, history=others))
    worlds: Worlds = {USER: {}, SERVICE: {}}
    for length in (*lengths, None):
        small = split if length is None else cut(split, length, seed)
        folded: Any = Folded(rich, small)
        worlds[USER][length] = evaluate(folded, split, metrics=("ndcg",), users=users)
        choices = [EASE(l2=l2) for l2 in ((300,) if length is None else strengths)]
        fitted = [one.fit(small) for one in (*choices, Popularity())]
        worlds[SERVICE][length] = best(fitted, split, users)
    popular = evaluate(Popularity().fit(split), split, metrics=("ndcg",), users=users)
    return worlds, popular


def places(model: Recommender, split: Split, items: np.ndarray, users: np.ndarray) -> np.ndarray:
    """Return each user's mean place of hidden items among the unseen ones of ``items``.

    0 is last, 1 first, a random list gives 1/2; ties count half; NaN for a user without any.
    """
    seen = split.matrix("history")[users][:, items]
    hidden = split.matrix("test")[users][:, items] > seen
    groups = tie_groups(model.score(users)[:, items], hidden, seen)
    others = len(items) - seen.getnnz(axis=1) - groups.n_relevant
    beaten = others[groups.user] - (groups.above - groups.relevant_above)
    beaten = beaten - (groups.tied - groups.relevant) / 2  # half of what is level
    total = np.bincount(groups.user, groups.relevant * beaten, len(users))
    pairs = (groups.n_relevant * others).astype(float)
    return np.divide(total, pairs, out=np.full(len(users), np.nan), where=pairs > 0)


def fifths(split: Split) -> list[np.ndarray]:
    """Return the items in five parts, from the least to the most taken."""
    by_count = np.argsort(split.matrix("train").getnnz(axis=0), kind="stable")
    return [np.sort(part) for part in np.array_split(by_count, 5)]


def by_popularity(split: Split, seed: int) -> tuple[list[Estimate], Estimate]:
    """Return EASE's mean place for new items and in each fifth, and rarest minus most taken.

    New items are a random fifth of the catalogue whose train events are taken away.
    """
    users = split.test_users
    model = EASE().fit(split)
    reached = [places(model, split, items, users) for items in fifths(split)]
    rng = np.random.default_rng(seed)
    new = rng.choice(split.n_items, split.n_items // 5, replace=False)
    kept = split.train[~split.train["item"].isin(new)]
    without = replace(split, train=kept, history=kept)
    reached.insert(0, places(EASE().fit(without), without, np.sort(new), users))
    bands = [bootstrap(one[~np.isnan(one)], seed) for one in reached]
    both = ~np.isnan(reached[1]) & ~np.isnan(reached[-1])
    return bands, bootstrap((reached[1] - reached[-1])[both], seed)

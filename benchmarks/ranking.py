"""Rank a large catalogue for many users, and report the peak memory and the seconds of each step.

The data are synthetic: users take items in proportion to a Zipf popularity, and the model's factors
are random numbers. Only size matters here; the numbers it ranks mean nothing.

    python benchmarks/ranking.py --users 20000 --items 70000
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd

from llmrec.data import Dataset, Split, random_split
from llmrec.evaluation import Evaluation, evaluate
from llmrec.models import Features, Recommender

Result = TypeVar("Result")
RANK = 64


class Factors(Recommender):
    """Scores are inner products of random factors: a model's cost without its training."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _fit(self, split: Split, features: Features) -> None:
        rng = np.random.default_rng(self.seed)
        self.users_ = rng.standard_normal((split.n_users, RANK), np.float32)
        self.items_ = rng.standard_normal((split.n_items, RANK), np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.users_[users] @ self.items_.T


def synthetic(n_users: int, n_items: int, per_user: int, seed: int) -> Split:
    """Return a random split of made-up events, ``per_user`` draws a user, repeats merged."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, n_items + 1)
    events = pd.DataFrame(
        {
            "user": np.repeat(np.arange(n_users), per_user),
            "item": rng.choice(n_items, n_users * per_user, p=chance / chance.sum()),
        }
    ).drop_duplicates(ignore_index=True)
    events = events.assign(timestamp=np.int64(0), weight=1.0, action="took")
    items = pd.DataFrame({"item": np.arange(n_items), "title": "synthetic"})
    return random_split(Dataset("synthetic", events, items), seed=seed)


def peak() -> float:
    """Return the largest resident memory of this process so far, in GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB on Linux
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def step(title: str, work: Callable[[], Result]) -> Result:
    """Run and print one step: its seconds, and the peak once it is over."""
    start = time.perf_counter()
    result = work()
    print(f"{title}: {time.perf_counter() - start:.1f} s, peak {peak():.2f} GiB", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--items", type=int, default=70_000)
    parser.add_argument("--per-user", type=int, default=100, help="events drawn for each user")
    parser.add_argument("--k", type=int, default=100, help="length of the lists")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if min(options.users, options.items, options.per_user, options.k) < 1:
        parser.error("all sizes must be positive")
    print(f"imports: peak {peak():.2f} GiB")
    split = step(
        "synthetic split",
        lambda: synthetic(options.users, options.items, options.per_user, options.seed),
    )
    print(
        f"  {split.n_users:,} users x {split.n_items:,} items, "
        f"{len(split.train):,} train and {len(split.test):,} test events"
    )
    model = step("fit", lambda: Factors(options.seed).fit(split))
    result: Evaluation = step(
        "evaluate, all metrics @10 @100", lambda: evaluate(model, split, (10, 100))
    )
    step(f"recommend, top {options.k}", lambda: model.recommend(split.test_users, options.k))
    print(f"  users evaluated {len(result.users):,}, recall@100 {result.mean('recall@100'):.4f}")


if __name__ == "__main__":
    main()

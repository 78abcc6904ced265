"""What the protocols measure, by hand; and the must-hold rows, measured anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chapters.ledger_measure import over_splits, ranking
from llmrec.data import Dataset, Split
from llmrec.ledger import Entry, load_published, load_recipes
from llmrec.models import Popularity
from llmrec.repro.layout import Layout

PATH = Path(__file__).parents[2] / "results" / "published.yml"
MUST = [row for p in load_published(PATH) for row in p.rows if row.must]

RECIPES = load_recipes(Layout.find())


@pytest.fixture
def split():
    """Items 1 and 2 are equally popular; user 0 has test items 1 and 3, user 1 test item 0."""

    def frame(pairs):
        columns = {"timestamp": 0, "weight": 1.0, "action": "saw"}
        return pd.DataFrame(pairs, columns=["user", "item"]).assign(**columns)

    train = frame([(0, 0), (1, 1), (1, 2), (2, 0), (2, 1), (2, 2)])
    test = frame([(0, 1), (0, 3), (1, 0)])
    items = pd.DataFrame({"item": range(4), "title": list("abcd")})
    dataset = Dataset("tiny", pd.concat([train, test]), items)
    return Split(dataset, "tiny", 0, train, train.iloc[:0], test, history=train)


def test_ties_in_expectation_and_what_their_order_could_give(split):
    got = ranking(Popularity(), split, ["recall@1"], ties=True)["recall@1"]
    # User 0 ranks 1 and 2 level: half a hit of two targets. User 1 ranks 0 first: a hit of one.
    assert got.value == pytest.approx((0.25 + 1) / 2)
    assert got.ties == pytest.approx(((0 + 1) / 2, (0.5 + 1) / 2))
    assert (got.n, got.over) == (2, "users")
    assert got.low == pytest.approx(0.25)
    assert got.high == pytest.approx(1)
    assert ranking(Popularity(), split, ["recall@1"])["recall@1"].ties is None


def test_average_precision_over_all_relevant_items(split):
    got = ranking(Popularity(), split, ["map@1", "map_total@1"])
    assert got["map@1"].value == pytest.approx((0.5 + 1) / 2)  # divided by min(1, 2) and by 1
    assert got["map_total@1"].value == pytest.approx((0.25 + 1) / 2)  # by 2 and by 1


def test_students_interval_over_splits(split):
    class Fixed(Popularity):
        def __init__(self, seed):
            self.seed = seed

        def score(self, users):
            scores = np.zeros((len(users), 4), np.float32)
            scores[:, 0] = 1  # user 1's test item comes first
            scores[:, 1 + self.seed] = 0.5  # user 0's under seeds 0 and 2
            return scores

    got = over_splits(Fixed, [split] * 3, ["recall@1"])["recall@1"]
    means = np.array([0.75, 0.5, 0.75])
    half = 4.302653 * means.std(ddof=1) / np.sqrt(3)  # t at 97.5 % with two degrees of freedom
    assert got.value == pytest.approx(means.mean())
    assert (got.low, got.high) == pytest.approx((got.value - half, got.value + half))
    assert (got.n, got.over) == (3, "splits")


@pytest.mark.mirror
@pytest.mark.parametrize("recipe", dict.fromkeys(row.recipe for row in MUST))
def test_what_must_equal_the_paper_does(recipe):
    metrics = RECIPES[recipe].run()
    entries = [Entry(row, metrics[row.metric], "") for row in MUST if row.recipe == recipe]
    assert entries
    assert {entry.row.id: entry.ours.value for entry in entries if entry.verdict != "equal"} == {}

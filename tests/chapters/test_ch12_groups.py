"""Gaps between groups of users: who is in which group, and how sure the gap is."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch12_groups import group_gaps
from llmrec.data import Dataset, Split
from llmrec.evaluation import Evaluation


def world(n_users, people):
    """A split whose users have the ids 10, 11, … and the given users table."""
    events = pd.DataFrame(
        {"user": np.arange(n_users) + 10, "item": 0, "timestamp": 0, "weight": 1.0, "action": "saw"}
    )
    data = Dataset("toy", events, pd.DataFrame({"item": [0], "title": ["x"]}), people)
    return Split(data, "toy", 0, *[data.coded] * 4)


def result(values, users=None):
    values = np.asarray(values, float)
    return Evaluation("m", (10,), np.arange(len(values)) if users is None else users, {"x": values})


def test_gaps_by_hand_with_rows_in_another_order():
    """The users table is shuffled, lacks user 13 and has a stranger: ids decide, not positions."""
    people = pd.DataFrame({"user": [12, 99, 11, 10], "sex": ["F", "M", "M", "F"]})
    gaps = group_gaps(result([1, 2, 4, 8]), "x", world(4, people), "sex")
    assert gaps.index.tolist() == ["(unknown)", "F", "M"]
    assert gaps["n"].tolist() == [1, 2, 1]
    assert gaps["mean"].tolist() == [8, 2.5, 2]
    np.testing.assert_allclose(gaps["gap"], [8 - 7 / 3, 2.5 - 5, 2 - 13 / 3])
    assert gaps[["low", "high"]].isna().all().all()  # far too few users


def test_labels_may_be_given_and_undefined_users_are_not_counted():
    ages = pd.cut(pd.Series([15, 40, 40, np.nan]), [0, 20, 99])
    gaps = group_gaps(result([1, 3, np.nan], np.array([0, 1, 2])), "x", world(4, None), ages)
    assert gaps.index.tolist() == ["(0.0, 20.0]", "(20.0, 99.0]"]
    assert gaps["gap"].tolist() == [-2, 2]
    assert gaps["n"].tolist() == [1, 1]


def test_intervals_are_as_wide_as_theory_says_and_mirror_each_other():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 400), rng.normal(0.5, 2, 100)])
    labels = ["a"] * 400 + ["b"] * 100
    gaps = group_gaps(result(values), "x", world(500, None), labels, repeats=4000)
    a, b = values[:400], values[400:]
    half = 1.96 * np.sqrt(a.var() / 400 + b.var() / 100)
    assert gaps.loc["b", "gap"] == pytest.approx(b.mean() - a.mean())
    assert gaps.loc["b", "high"] - gaps.loc["b", "low"] == pytest.approx(2 * half, rel=0.06)
    assert gaps.loc["a", "low"] == pytest.approx(-gaps.loc["b", "high"], abs=0.1 * half)


def test_intervals_cover_the_gap_and_only_groups_of_ten_have_one():
    rng, covered = np.random.default_rng(1), 0
    split, labels = world(120, None), ["a"] * 30 + ["b"] * 81 + ["c"] * 9
    for seed in range(200):
        values = rng.exponential(1, 120)
        gaps = group_gaps(result(values), "x", split, labels, seed, repeats=300)
        covered += gaps.loc["a", "low"] <= 0 <= gaps.loc["a", "high"]
    assert 0.88 <= covered / 200 <= 0.99
    assert gaps["low"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("age", "toy has no users column 'age': it has sex"),
        ("user", "toy has no users column 'user'"),
        (["a"] * 3, "3 labels for 2 users: pass one a user code"),
        (["a"] * 2, "all evaluated users are of one group"),
    ],
)
def test_bad_input(by, message):
    people = pd.DataFrame({"user": [10, 11], "sex": ["F", "M"]})
    with pytest.raises(ValueError, match=message):
        group_gaps(result([1, 2]), "x", world(2, people), by)


def test_no_users_table():
    with pytest.raises(ValueError, match="toy has no users column 'sex': it has none"):
        group_gaps(result([1, 2]), "x", world(2, None), "sex")

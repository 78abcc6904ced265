"""Runs, arms, contrasts: what is fitted how often, what is kept, what is chosen on what."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from experiment.worlds import FITS, SEEN, Judge, Placed, bare_run, new_items, taste_world

import llmrec.experiment
import llmrec.experiment.contrasts
from llmrec.evaluation import compare_seeds, evaluate
from llmrec.experiment import Arm, Experiment
from llmrec.models import EASE, Bridge, Popularity


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
    FITS.clear()
    SEEN.clear()


@pytest.fixture(scope="module")
def personal():
    return taste_world(personal=True)


def line_up(l2=50.0, **bridge):
    return [
        Arm("popularity", Popularity, kind="baseline"),
        Arm("EASE", EASE, {"l2": l2}),
        Arm("bridge", Bridge, {"l2": l2}, "text", kind="text", twin="EASE", **bridge),
    ]


@pytest.mark.parametrize("module", [llmrec.experiment, llmrec.experiment.contrasts])
def test_the_examples_are_true(module):
    assert doctest.testmod(module).attempted
    assert doctest.testmod(module).failed == 0


def test_a_contrast_is_what_compare_seeds_says_of_the_same_fits(personal):
    runs = [new_items(*personal, seed) for seed in range(3)]
    experiment = Experiment(runs, line_up()).run()
    by_hand = {
        name: [
            evaluate(model.fit(run.split, arm.features(run, {}, 0)), run.split, items=run.items)
            for run in runs
        ]
        for name, model, arm in zip(
            ("EASE", "bridge"), (EASE(l2=50.0), Bridge(l2=50.0)), line_up()[1:], strict=True
        )
    }
    one, truth = (
        experiment.contrast("bridge", "EASE"),
        compare_seeds(by_hand["bridge"], by_hand["EASE"], "ndcg@10"),
    )
    assert (one.difference, one.low, one.high, one.p) == pytest.approx(
        (truth.difference, truth.low, truth.high, truth.p), abs=1e-12
    )
    assert (one.n, one.n_runs, one.df) == (truth.n, 3, pytest.approx(truth.df))
    found = experiment.evaluation("bridge", "split 1")
    assert np.array_equal(found.per_user("ndcg@10"), by_hand["bridge"][1].per_user("ndcg@10"))
    table = experiment.table()
    assert list(table.index) == [
        "popularity",
        "EASE",
        "bridge",
        "bridge: one list",
        "bridge: shuffled",
    ]
    assert table.loc["bridge", "value"] == pytest.approx(
        np.mean([one.per_user("ndcg@10").mean() for one in by_hand["bridge"]])
    )


def test_every_arm_is_fitted_once_a_run(split_of):
    runs = [bare_run(split_of, seed) for seed in range(3)]
    values = {(n, s, "test"): np.full(40, 0.1 * (n == "a")) for n in "ab" for s in range(3)}
    arms = [Arm(name, Placed, {"name": name}) for name in "ab"]
    experiment = Experiment(runs, arms, judge=Judge(values), cache=False).run()
    for _ in range(2):
        experiment.contrasts(
            {"first": ("a", "b"), "second": ("b", "a"), "third": ("a", "b", "all")}
        )
    experiment.table()
    assert FITS == {"a": 3, "b": 3}

"""What the intervals promise, and what the controls tell, in worlds whose truth is planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from experiment.worlds import Judge, Placed, bare_run, new_items, taste_world

from llmrec.data import histories_of
from llmrec.evaluation import Comparison, Evaluation, bootstrap, compare, compare_seeds
from llmrec.experiment import Arm, Contrast, Experiment
from llmrec.experiment.measuring import OneList
from llmrec.experiment.parts import permuted
from llmrec.models import EASE, Bridge, GivenScores

N_USERS, N_RUNS, WORLDS = 40, 5, 200


def difference(rng, truth, of_runs, of_users, noise):
    """A difference between two arms, by run and user, whose three parts are drawn anew."""
    runs, users = of_runs * rng.normal(size=(N_RUNS, 1)), of_users * rng.normal(size=N_USERS)
    return truth + runs + users + noise * rng.normal(size=(N_RUNS, N_USERS))


@pytest.fixture(scope="module")
def runs(request):
    split_of = request.getfixturevalue("split_of")
    return [bare_run(split_of, seed, N_USERS) for seed in range(N_RUNS)]


def simulated(runs, truth, **spread):
    """The contrast of two arms in many worlds."""
    arms = [Arm(name, Placed, {"name": name}) for name in "ab"]
    for world in range(WORLDS):
        gain = difference(np.random.default_rng(world), truth, **spread)
        values = {("a", s, "test"): 0.3 + gain[s] for s in range(N_RUNS)}
        values |= {("b", s, "test"): np.full(N_USERS, 0.3) for s in range(N_RUNS)}
        yield gain, Experiment(runs, arms, judge=Judge(values), cache=False).run()


def test_a_planted_difference_is_found_and_covered(runs):
    found = [
        one.contrast("a", "b")
        for _, one in simulated(runs, 0.1, of_runs=0.03, of_users=0.05, noise=0.1)
    ]
    covered = np.mean([one.low <= 0.1 <= one.high for one in found])
    assert 0.91 <= covered <= 0.99
    assert np.mean([one.difference for one in found]) == pytest.approx(0.1, abs=0.01)
    assert np.mean([one.outcome == "shown" for one in found]) > 0.8
    assert not any(one.outcome == "opposite shown" for one in found)


def test_a_null_is_at_its_level_where_runs_dominate_and_users_alone_are_not(runs):
    false, naive = [], []
    for gain, one in simulated(runs, 0.0, of_runs=0.1, of_users=0.02, noise=0.02):
        contrast = one.contrast("a", "b")
        false.append(contrast.low > 0 or contrast.high < 0)
        over_users = bootstrap(gain.mean(axis=0), repeats=200)
        naive.append(over_users.low > 0 or over_users.high < 0)
    assert np.mean(false) <= 0.07
    assert np.mean(naive) > 0.5


def contrast_of(low, high, margin):
    middle, error = (low + high) / 2, (high - low) / 4

    class Given(Comparison):
        def interval(self, level, seed=0, repeats=0):
            return low, high

    values = np.array([-1.0, 1.0]) * error + middle
    names = {"name": "x", "a": "a", "b": "b", "slice": "all", "metric": "ndcg@10"}
    return Contrast.of(Given(middle, low, high, 0.5, 0.0, 2, values), margin, **names)


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (0.02, 0.03, "shown"),
        (0.005, 0.03, "inconclusive"),
        (-0.005, 0.005, "shown absent"),
        (-0.03, 0.005, "shown absent"),
        (-0.03, 0.03, "inconclusive"),
        (-0.03, -0.02, "opposite shown"),
        (-0.03, -0.01, "shown absent"),
    ],
)
def test_the_four_outcomes(low, high, outcome):
    assert contrast_of(low, high, 0.01).outcome == outcome


def test_a_difference_as_large_as_detectable_is_shown_in_four_of_five(runs):
    spread = {"of_runs": 0.001, "of_users": 0.05, "noise": 0.05}
    nulls = [one.contrast("a", "b", margin=0.05) for _, one in simulated(runs, 0.0, **spread)]
    detectable = np.mean([one.detectable for one in nulls])
    assert detectable > 0.05 + 2 * np.mean([one.error for one in nulls])
    power = [
        one.contrast("a", "b", margin=0.05).outcome == "shown"
        for _, one in simulated(runs, detectable, **spread)
    ]
    assert 0.7 <= np.mean(power) <= 0.9


def test_intervals_are_simultaneous_only_where_a_family_is_named(runs):
    _, one = next(simulated(runs, 0.1, of_runs=0.03, of_users=0.05, noise=0.1))
    pairs = {"first": ("a", "b"), "second": ("b", "a")}
    alone, together = one.contrasts(pairs), one.contrasts(pairs, family="both ways")
    assert alone["first"] == one.contrast("a", "b", name="first")
    truth = compare_seeds(
        *([one.evaluation(arm, run.name) for run in runs] for arm in "ab"), "ndcg@10"
    )
    assert (alone["first"].low, alone["first"].high) == pytest.approx(truth.interval(0.95))
    assert (together["first"].low, together["first"].high) == pytest.approx(truth.interval(0.975))
    assert (alone.family, together.family) == (None, "both ways")
    assert together["first"].detectable > alone["first"].detectable


def test_one_run_speaks_of_users_alone(runs):
    arms = [Arm(name, Placed, {"name": name}) for name in "ab"]
    values = {(n, 0, "test"): np.random.default_rng(ord(n)).random(N_USERS) for n in "ab"}
    one = Experiment(runs[:1], arms, judge=Judge(values)).run().contrast("a", "b")
    users = np.arange(N_USERS)
    pair = [Evaluation(n, (10,), users, {"ndcg@10": values[n, 0, "test"]}) for n in "ab"]
    truth = compare(*pair, "ndcg@10")
    assert (one.difference, one.n_runs) == (truth.difference, 1)
    assert (one.low, one.high) == truth.interval(0.95)


def conclude(personal):
    world, text = taste_world(personal)
    arms = [
        Arm("EASE", EASE, {"l2": 50.0}),
        Arm("bridge", Bridge, {"l2": 50.0}, "text", kind="text", twin="EASE"),
    ]
    return Experiment([new_items(world, text, seed) for seed in range(4)], arms, cache=False).run()


def test_in_a_personal_world_every_control_stays_behind():
    found = conclude(personal=True)
    for control in ("shuffled", "one list", "no text"):
        assert found.contrast("bridge", f"bridge: {control}").low > 0.05, control
    assert found.contrast("bridge", "bridge: no text").b == "EASE"
    chance = found.level("EASE").value  # equal scores for all new items
    assert found.level("bridge: shuffled").value == pytest.approx(chance, abs=0.08)


def test_where_text_tells_only_what_is_popular_one_list_reaches_the_arm():
    found = conclude(personal=False)
    assert found.contrast("bridge", "EASE").low > 0.1
    assert abs(found.contrast("bridge", "bridge: one list").difference) < 0.02


def test_strangers_get_each_others_vectors_and_items_without_text_keep_none():
    table = np.vstack([np.zeros((3, 2)), np.arange(1.0, 21).reshape(10, 2)])
    mixed = permuted(table, [0, 1])
    assert np.array_equal(mixed[:3], table[:3])
    assert not np.array_equal(mixed, table)
    assert np.array_equal(np.sort(mixed, axis=0), table)
    arm = Arm("own text", Placed, users_reading="texts", kind="text")
    assert [one.name for one in arm.shuffles()] == ["own text: strangers"]
    assert arm.shuffles()[0].permuted == "users"
    assert Arm("a", Placed, reading="t", controls=()).shuffles() == []
    assert Arm("a", Placed, reading="t", kind="control").shuffles() == []
    assert Arm("a", Placed, controls=("one list",)).asks("one list")
    assert not Arm("a", Placed).asks("one list")


def test_every_run_permutes_anew_and_alike_for_all_arms(runs):
    table = np.arange(1.0, 31).reshape(15, 2)
    some = [replace(run, readings={"t": table}) for run in runs[:2]]
    mixed = Arm("a", Placed, reading="t").shuffles()[0]
    first, second = (mixed.features(run, {}, 0).items for run in some)
    assert not np.array_equal(first, second)
    other = Arm("b", Placed, reading="t").shuffles()[0]
    assert np.array_equal(first, other.features(some[0], {}, 0).items)


def test_the_one_list_is_the_mean_over_the_users_of_train(split_of):
    scores = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    split = split_of([(user, 0) for user in (0, 1, 3)], 5, 4, history=[(4, 1)])
    one = OneList(GivenScores(scores).fit(split)).fit(split)
    expected = np.tile(scores[[0, 1, 3]].mean(axis=0), (2, 1))
    assert one.score(np.array([2, 4])) == pytest.approx(expected, abs=1e-6)
    assert one.fold_in(histories_of(split, [0, 1])) == pytest.approx(expected, abs=1e-6)

"""Runs, arms, contrasts: what is fitted how often, what is kept, what is chosen on what."""

from __future__ import annotations

import doctest
from dataclasses import replace

import numpy as np
import pytest
from experiment.worlds import LOG, Judge, Placed, bare_run, new_items, taste_world
from scipy import stats

import llmrec.experiment
import llmrec.experiment.contrasts
from llmrec.evaluation import Evaluation, compare_seeds, evaluate
from llmrec.experiment import Arm, Experiment
from llmrec.models import EASE, Bridge, Popularity


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
    LOG.fits.clear()
    LOG.seen.clear()


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
    assert LOG.fits == {"a": 3, "b": 3}


def planted(values):
    """A judge, as a plain function, that reads ``LOG.values``."""
    LOG.values = values
    return judge_planted


def judge_planted(model, split, ks, metrics, users=None, items=None, part="test"):
    value = LOG.values[model.name, split.seed, part]
    if isinstance(value, BaseException):
        raise value
    return Judge(LOG.values)(model, split, ks, metrics, users, items, part)


def levels(a=0.3, b=0.2, runs=3, part="test"):
    rng = np.random.default_rng(1)
    return {
        (name, seed, part): mean + 0.01 * rng.normal(size=40)
        for name, mean in (("a", a), ("b", b))
        for seed in range(runs)
    }


def two_arms(**values):
    return [Arm(name, Placed, {"name": name, **values}) for name in "ab"]


def test_an_interrupted_run_goes_on_where_it_stopped(split_of):
    runs, values = [bare_run(split_of, seed) for seed in range(3)], levels()
    whole = Experiment(runs, two_arms(), judge=planted(values), cache=False).run()
    LOG.fits.clear()
    stopped = Experiment(
        runs, two_arms(), judge=planted(values | {("b", 1, "test"): KeyboardInterrupt()})
    )
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    assert LOG.fits == {"a": 2, "b": 2}
    resumed = Experiment(runs, two_arms(), judge=planted(values)).run()
    assert LOG.fits == {"a": 3, "b": 4}
    assert resumed.contrast("a", "b") == whole.contrast("a", "b")
    assert resumed.table().equals(whole.table())


def test_what_changes_is_measured_again_and_nothing_else(split_of, monkeypatch):
    runs, judge = [bare_run(split_of, 0)], planted(levels())
    Experiment(runs, two_arms(), judge=judge).run()
    Experiment(runs, two_arms(), judge=judge).run()
    assert LOG.fits == {"a": 1, "b": 1}
    changed = [two_arms()[0], Arm("b", Placed, {"name": "b", "quality": 1.0})]
    Experiment(runs, changed, judge=judge).run()
    assert LOG.fits == {"a": 1, "b": 2}
    heavier = runs[0].split.train.assign(weight=2.0)  # which the split's own hash does not see
    Experiment(
        [replace(runs[0], split=replace(runs[0].split, train=heavier))], two_arms(), judge=judge
    ).run()
    assert LOG.fits == {"a": 2, "b": 3}
    Experiment(runs, two_arms(), judge=judge, slices={"few": lambda run: {"users": [1, 2]}}).run()
    assert LOG.fits == {"a": 3, "b": 4}

    class Edited(Placed):
        def score(self, users):
            return 2 * super().score(users)

    Experiment(runs, [Arm("a", Edited, {"name": "a"})], judge=judge).run()
    assert LOG.fits == {"a": 4, "b": 4}


def test_a_model_that_nothing_pins_is_measured_each_time(split_of):
    runs, judge = [bare_run(split_of, 0)], planted(levels())
    for fits in (1, 2):
        arm = Arm("a", lambda **values: Placed("a", quality=object()))  # type: ignore[arg-type]
        Experiment(runs, [arm], judge=judge).run()
        assert {"a": fits} == LOG.fits


def test_choosing_sees_neither_test_nor_the_events_to_be_found(split_of):
    rehearsals = [bare_run(split_of, seed) for seed in range(2)]
    seen = []

    def make(run, **values):
        seen.append((len(run.split.valid), len(run.split.test)))
        return Placed(**values)

    values = {("a", seed, "valid"): np.full(40, 0.1) for seed in range(2)}
    arm = Arm("a", make, {"name": "a"}, space={"quality": [0.0, 1.0, 2.0]})
    Experiment([], [arm], rehearsals, judge=Judge(values)).choose()
    assert LOG.fits == {"a": 6}
    assert set(LOG.seen) == {("a", 0, 0)}
    assert set(seen) == {(0, 0)}


class Tuned(Placed):
    """Reaches what `reached` says of its quality."""

    reached = {1.0: 0.2, 3.0: 0.5, 10.0: 0.4, 30.0: 0.6}  # noqa: RUF012


def judge_tuned(model, split, ks, metrics, users=None, items=None, part="test"):
    value = np.full(40, Tuned.reached[model.quality])
    return Evaluation(model.name, ks, np.arange(40), {"ndcg@10": value})


def test_the_best_point_of_each_grid_is_chosen_and_an_edge_is_told(split_of):
    grids = {"inner": [1.0, 3.0, 10.0], "edge": [3.0, 10.0, 30.0]}
    arms = [Arm(n, Tuned, {"name": n}, space={"quality": grid}) for n, grid in grids.items()]
    experiment = Experiment([], arms, [bare_run(split_of, 0)], judge=judge_tuned).choose()
    assert experiment.values == {
        "inner": {"name": "inner", "quality": 3.0},
        "edge": {"name": "edge", "quality": 30.0},
    }
    chosen = experiment.log[experiment.log["chosen"]]
    assert chosen["at_edge"].tolist() == ["", "quality"]
    assert chosen["ndcg@10"].tolist() == pytest.approx([0.5, 0.6])
    assert experiment.log["arm"].value_counts().to_dict() == {"inner": 3, "edge": 3}
    assert experiment.best_of("id") == "edge"


def test_every_arm_gets_the_same_number_of_trials(split_of):
    grids = {"three": [1.0, 3.0, 10.0], "two": [3.0, 10.0]}
    arms = [Arm(n, Tuned, {"name": n}, space={"quality": grid}) for n, grid in grids.items()]
    experiment = Experiment([], arms, [bare_run(split_of, 0)], judge=judge_tuned)
    with pytest.raises(ValueError, match=r"grids differ in size, .*'three': 3, 'two': 2"):
        experiment.choose()
    log = experiment.choose(budget=2).log
    assert log["arm"].value_counts().to_dict() == {"three": 2, "two": 2}


def test_a_search_space_is_searched_on_validation(personal):
    rehearsal = new_items(*personal, 8, valid=0.1)
    space = {"l2": {"low": 1.0, "high": 1000.0, "log": True}, "text_l2": [1.0, 3.0, 10.0]}
    arms = [*line_up()[:2], Arm("bridge", Bridge, reading="text", space=space, controls=())]
    experiment = Experiment([], arms, [rehearsal])
    with pytest.raises(ValueError, match="needs a budget"):
        experiment.choose()
    experiment.choose(budget=3)
    tried = experiment.log[experiment.log["arm"] == "bridge"]
    assert len(tried) == 3
    assert experiment.valid["bridge"] == pytest.approx(tried["ndcg@10"].max())


def test_readings_can_be_chosen_like_any_value(personal):
    world, text = personal
    noise = np.random.default_rng(0).normal(size=text.shape)
    rehearsal = replace(new_items(world, text, 8, valid=0.1), readings={"t": text, "noise": noise})
    arm = Arm("bridge", Bridge, reading="t", space={"reading": ["noise", "t"]}, controls=())
    experiment = Experiment([], [arm], [rehearsal]).choose()
    assert experiment.values["bridge"] == {"reading": "t"}


def test_the_opponent_is_chosen_on_validation_even_if_test_says_otherwise(split_of):
    rehearsals, runs = [bare_run(split_of, 9)], [bare_run(split_of, seed) for seed in range(2)]
    values = {(n, 9, "valid"): np.full(40, v) for n, v in (("a", 0.5), ("b", 0.4))}
    values |= levels(a=0.1, b=0.9, runs=2)
    experiment = Experiment(runs, two_arms(), rehearsals, judge=Judge(values))
    with pytest.raises(ValueError, match="the best id is chosen on validation: call choose"):
        experiment.best_of("id")
    experiment.choose().run()
    assert experiment.best_of("id") == "a"
    assert experiment.contrast("b", "best id").b == "a"


def test_a_baseline_may_be_the_opponent(split_of):
    values = levels(a=0.5, b=0.4, part="valid")
    arms = [
        replace(arm, kind=kind) for arm, kind in zip(two_arms(), ("baseline", "id"), strict=True)
    ]
    experiment = Experiment([], arms, [bare_run(split_of, 0)], judge=Judge(values)).choose()
    assert experiment.best_of("id") == "a"


def test_a_level_over_runs_has_students_interval(split_of):
    runs, values = [bare_run(split_of, seed) for seed in range(3)], levels()
    one = Experiment(runs, two_arms(), judge=Judge(values)).run().level("a")
    truth = stats.ttest_1samp([values["a", seed, "test"].mean() for seed in range(3)], 0)
    bounds = truth.confidence_interval(0.95)
    assert (one.low, one.high) == pytest.approx((bounds.low, bounds.high))
    assert one.n == 3


def test_what_the_cache_gives_back_is_what_was_measured(personal):
    runs = [new_items(*personal, seed) for seed in range(2)]
    tables = [Experiment(runs, line_up()).run().table() for _ in range(2)]
    assert tables[1].equals(tables[0])
    assert tables[1].loc["bridge: one list", "value"] < tables[1].loc["bridge", "value"]


def test_draws_of_one_unit_count_as_one_run(split_of):
    values, truth = levels(runs=4), {}
    runs = [replace(bare_run(split_of, seed), unit=f"cut {seed // 2}") for seed in range(4)]
    experiment = Experiment(runs, two_arms(), judge=Judge(values)).run()
    for name in "ab":
        truth[name] = [(values[name, s, "test"] + values[name, s + 1, "test"]) / 2 for s in (0, 2)]
    one = experiment.contrast("a", "b")
    assert one.n_runs == 2
    assert one.difference == pytest.approx(np.mean(truth["a"]) - np.mean(truth["b"]))
    assert experiment.level("a").n == 2


def test_people_of_other_worlds_are_not_the_same_users(split_of):
    runs = [bare_run(split_of, seed) for seed in range(2)]
    own = [replace(run, user_ids=np.arange(40) + 40 * seed) for seed, run in enumerate(runs)]
    found = [
        Experiment(some, two_arms(), judge=Judge(levels())).run().contrast("a", "b").n
        for some in (runs, own)
    ]
    assert found == [40, 80]


def test_runs_may_be_made_when_their_turn_comes(split_of):
    made = []

    def later(seed):
        def make():
            made.append(seed)
            return bare_run(split_of, seed)

        return make

    experiment = Experiment([later(s) for s in range(3)], two_arms(), judge=Judge(levels()))
    assert made == []
    assert experiment.run().contrast("a", "b").n_runs == 3
    assert made == [0, 1, 2]


def test_slices_ask_some_users_or_items(personal):
    runs = [new_items(*personal, seed) for seed in range(2)]
    slices = {"all": None, "first": lambda run: {"users": run.split.test_users[:30]}}
    experiment = Experiment(runs, line_up(), slices=slices).run()
    few = experiment.evaluation("EASE", "split 0", "first")
    whole = experiment.evaluation("EASE", "split 0").slice(few.users)
    assert len(few.users) <= 30
    assert np.array_equal(few.per_user("ndcg@10"), whole.per_user("ndcg@10"))
    assert experiment.contrast("bridge", "EASE", "first").slice == "first"
    assert len(experiment.table()) == 2 * 5


def test_levels_contrasts_and_choices_are_recorded(split_of):
    kept = {}

    def record(key, value, kind="exact", tolerance=None):
        kept[key] = (value, kind, tolerance)

    arms = [Arm("a b", Placed, {"name": "a"}), Arm("b", Placed, space={"name": ["b"]})]
    values = levels() | levels(part="valid")
    runs = [bare_run(split_of, seed) for seed in range(3)]
    experiment = Experiment(runs, arms, runs[:1], judge=Judge(values), margin=0.05).choose().run()
    found = experiment.record("ch99.x", record).contrasts({"a > b": ("a b", "b")})
    one = found.record("ch99.x", record)["a > b"]
    assert kept["ch99.x.a_b.ndcg10"][:2] == (experiment.level("a b").value, "metric")
    assert kept["ch99.x.b.chosen"] == ("name b", "choice", None)
    assert kept["ch99.x.a_b.outcome"] == ("shown", "exact", None)
    value, kind, tolerance = kept["ch99.x.a_b.low"]
    assert (value, kind) == (one.low, "difference")
    assert 0 < tolerance <= (one.low - 0.05) / 2
    assert kept["ch99.x.a_b.difference"][2] == pytest.approx(one.error / 2)
    experiment.record("ch99.y", record, tolerance=1.0)  # too wide for a level or a bound
    found.record("ch99.y", record, tolerance=1.0)
    assert kept["ch99.y.b.ndcg10"][2] == pytest.approx(experiment.level("b").value / 2)
    assert kept["ch99.y.a_b.low"][2] == pytest.approx((one.low - 0.05) / 2)


def test_figures_draw_what_the_tables_say(personal):
    runs = [new_items(*personal, seed) for seed in range(2)]
    experiment = Experiment(runs, line_up()).run()
    found = experiment.contrasts({"text": ("bridge", "EASE")})
    labels = [label.get_text() for label in experiment.figure().axes[0].get_yticklabels()]
    assert labels == list(experiment.table().index)
    assert [one.get_text() for one in found.figure().axes[0].get_yticklabels()] == ["text"]


def bad_run(split_of):
    return Experiment([bare_run(split_of, 0)], two_arms(), judge=Judge(levels())).run()


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda one: one.contrast("a", "c"), "no arm is named 'c': there are a, b"),
        (lambda one: one.contrast("a", "b", "some"), "slice 'some': arms, runs and slices are"),
        (lambda one: one.contrast("a", "b", metric="hit@3"), "a has no 'hit@3'"),
        (lambda one: one.contrast("a", "b", margin=-1.0), "margin=-1.0 must be at least 0"),
        (lambda one: one.best_of("text"), "no arm is of kind 'text'"),
        (lambda one: one.choose(), "nothing to choose on: pass rehearsals"),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(split_of, act, message):
    with pytest.raises((ValueError, KeyError)) as error:
        act(bad_run(split_of))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_cannot_be_run_is_said_in_one_line(split_of, personal):
    runs = [bare_run(split_of, 0)]
    with pytest.raises(ValueError, match="arms need different names"):
        Experiment(runs, [two_arms()[0], two_arms()[0]])
    with pytest.raises(ValueError, match="arm 'a' has the twin 'z', which is no arm"):
        Experiment(runs, [Arm("a", Placed, twin="z")])
    with pytest.raises(ValueError, match="arm 'a': the control 'shuffled' needs a reading"):
        Experiment(runs, [Arm("a", Placed, controls=("shuffled",))])
    with pytest.raises(ValueError, match="arm 'a' has settings to choose: call choose"):
        Experiment(runs, [Arm("a", Placed, space={"name": ["a"]})]).run()
    with pytest.raises(ValueError, match="nothing is measured yet: call run"):
        Experiment(runs, two_arms()).contrast("a", "b")
    with pytest.raises(ValueError, match="two runs are named 'run 0'"):
        Experiment(runs * 2, two_arms(), judge=Judge(levels())).run()
    with pytest.raises(ValueError, match=r"arm 'bridge', run 'run 0': .*reads 'text'.*there: none"):
        Experiment(runs, [Arm("bridge", Bridge, reading="text")]).run()
    nan = levels() | {("a", 0, "test"): np.array([np.nan] * 40)}
    with pytest.raises(ValueError, match="arm 'a', run 'run 0': the judge gave NaN"):
        Experiment(runs, two_arms(), judge=Judge(nan)).run()
    without = replace(runs[0], split=replace(runs[0].split, valid=runs[0].split.valid[:0]))
    with pytest.raises(ValueError, match="rehearsal 'run 0' has no valid part"):
        Experiment(runs, two_arms(), [without]).choose()

"""Intervals that cover, tests that keep their level, and formulas checked by hand."""

from itertools import product

import numpy as np
import pytest

from llmrec.evaluation import (
    Comparison,
    Estimate,
    Evaluation,
    bootstrap,
    compare,
    holm,
    minimum_detectable_difference,
    statistics,
)


def result(values, name="toy", users=None):
    values = np.asarray(values, float)
    users = np.arange(len(values)) if users is None else np.asarray(users)
    return Evaluation(name, (10,), users, {"ndcg@10": values})


def test_estimate_prints_its_interval():
    estimate = Estimate(0.41234, 0.39876, 0.425, 40)
    assert str(estimate) == "0.4123 [0.3988, 0.4250]"
    assert f"{estimate:.2f}" == "0.41 [0.40, 0.42]"
    assert f"{estimate:.1%}" == "41.2% [39.9%, 42.5%]"


def test_bootstrap_quantiles_are_those_of_all_resamples():
    """For three users all 27 resamples can be listed: 0 once, 0.1 three times, … 2.3/3, 1."""
    values = [0.0, 0.3, 1.0]
    means = np.sort([np.mean(draw) for draw in product(values, repeat=3)])
    estimate = bootstrap(values, repeats=20_000, level=0.8)
    assert estimate.value == pytest.approx(13 / 30)
    assert estimate.low == pytest.approx(means[2]) == pytest.approx(0.1)  # 10 % of 27 is 2.7
    assert estimate.high == pytest.approx(means[24]) == pytest.approx(2.3 / 3)
    assert estimate.n == 3


def test_bootstrap_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(2, 3, 900)
    estimate = bootstrap(values, repeats=4000)
    half = 1.96 * values.std() / 30
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.06)


def test_bootstrap_depends_on_the_seed_only(monkeypatch):
    values = np.random.default_rng(0).random(50)
    whole = bootstrap(values, seed=1)
    monkeypatch.setattr(statistics, "CELLS", 777)  # many small chunks
    assert bootstrap(values, seed=1) == whole
    assert bootstrap(values, seed=2) != whole


def test_95_percent_intervals_cover_the_truth_95_percent_of_the_time():
    """400 samples of 150 skewed values: the share covered is 0.95 within four standard errors."""
    rng = np.random.default_rng(0)
    covered = 0
    for repeat in range(400):
        estimate = bootstrap(rng.beta(0.5, 1.5, 150), seed=repeat, repeats=400)
        covered += estimate.low <= 0.25 <= estimate.high
    assert 0.905 <= covered / 400 <= 0.99


def test_compare_by_hand():
    # Differences 1, 1, 1, 0: mean 3/4, sd 1/2, and 2 of the 8 sign flips are as extreme.
    outcome = compare(result([1, 1, 1, 0]), result([0, 0, 0, 0]), "ndcg@10", repeats=40_000)
    assert outcome.difference == 0.75
    assert outcome.effect == pytest.approx(1.5)
    assert outcome.p == pytest.approx(0.25, abs=0.01)
    assert outcome.n == 4
    assert outcome.low <= 0.75 <= outcome.high


def test_compare_agrees_with_every_sign_flip():
    rng = np.random.default_rng(5)
    delta = rng.normal(0.4, 1, 10).round(1)
    flips = np.array(list(product([-1, 1], repeat=10))) @ delta
    exact = np.mean(np.abs(flips) >= abs(delta.sum()) - 1e-9)
    outcome = compare(result(delta), result(np.zeros(10)), "ndcg@10", repeats=40_000)
    assert outcome.p == pytest.approx(exact, abs=0.01)


def test_compare_is_antisymmetric_and_seeded():
    rng = np.random.default_rng(0)
    a, b = result(rng.random(80)), result(rng.random(80))
    one, other = compare(a, b, "ndcg@10"), compare(b, a, "ndcg@10")
    assert one == compare(a, b, "ndcg@10")
    assert one.difference == pytest.approx(-other.difference)
    assert one.effect == pytest.approx(-other.effect)
    assert one.p == other.p
    assert one.low == pytest.approx(-other.high)


def test_pairing_finds_a_small_steady_gain_that_the_means_hide():
    rng = np.random.default_rng(0)
    base = rng.random(300)
    better = base + 0.02 + rng.normal(0, 0.02, 300)
    a, b = result(better), result(base)
    assert a.mean("ndcg@10").low < b.mean("ndcg@10").high  # the intervals overlap
    outcome = compare(a, b, "ndcg@10")
    assert outcome.low > 0
    assert outcome.p < 0.001


def test_the_randomisation_test_keeps_its_level():
    """Of 300 comparisons without a difference, 5 % (± four standard errors) are called one."""
    rng = np.random.default_rng(1)
    zero = result(np.zeros(40))
    p = [
        compare(result(rng.normal(size=40)), zero, "ndcg@10", seed, repeats=299).p
        for seed in range(300)
    ]
    assert 0.005 <= np.mean(np.array(p) <= 0.05) <= 0.10
    assert 0.4 <= np.mean(p) <= 0.6


def test_no_difference_and_a_constant_one():
    same = compare(result([0.2, 0.4]), result([0.2, 0.4]), "ndcg@10")
    assert (same.difference, same.effect, same.p) == (0, 0, 1)
    constant = compare(result([1.0] * 20), result([0.5] * 20), "ndcg@10")
    assert constant.effect == np.inf
    assert constant.p < 0.01


def test_comparison_prints_signs_p_and_effect():
    outcome = compare(result([1, 1, 1, 0]), result([0, 0, 0, 0]), "ndcg@10", repeats=99)
    assert f"{outcome:.2f}".startswith("+0.75 [+")
    assert f"p = {outcome.p:.4f}, d_z = 1.50" in str(outcome)


def test_holm_by_hand():
    # Sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04; never below the one before.
    np.testing.assert_allclose(holm([0.03, 0.01, 0.04, 0.02]), [0.06, 0.04, 0.06, 0.06])
    np.testing.assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    np.testing.assert_allclose(holm([0.2]), [0.2])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap([]), "values are empty: there is nothing to average"),
        (lambda: bootstrap([0.1, np.nan]), "values hold NaN at position 1"),
        (lambda: bootstrap([[0.1]]), r"values must be one-dimensional, got shape \(1, 1\)"),
        (lambda: bootstrap([0.1], repeats=0), "repeats=0 must be at least 1"),
        (lambda: bootstrap([0.1], level=95), "level=95 must lie between 0 and 1"),
        (lambda: holm([0.1, 1.2]), r"p_values must lie in \[0, 1\]"),
        (lambda: holm([]), "p_values are empty"),
        (
            lambda: compare(result([1, 2], "ease"), result([1, 2], "knn", [3, 4]), "ndcg@10"),
            "ease and knn cover different users .2 and 2.: slice both",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_compare_names_the_model_that_lacks_the_metric():
    with pytest.raises(KeyError, match="toy has no 'mrr@10'"):
        compare(result([1]), result([1]), "mrr@10")


def test_minimum_detectable_difference_by_hand():
    # sd 1, error 1/√200; Student quantiles at 199 degrees of freedom: 1.9720 and 0.8434.
    data = np.random.default_rng(0).normal(size=200)
    data /= data.std(ddof=1)
    assert minimum_detectable_difference(data) == pytest.approx(2.8154 / np.sqrt(200), rel=1e-4)
    made = compare(result(data), result(np.zeros(200)), "ndcg@10", repeats=9)
    assert minimum_detectable_difference(made) == minimum_detectable_difference(data)
    assert minimum_detectable_difference(data, power=0.95) > minimum_detectable_difference(data)
    assert minimum_detectable_difference(data, alpha=0.01) > minimum_detectable_difference(data)


def test_the_minimum_detectable_difference_is_found_as_often_as_it_says():
    """400 studies whose true difference is the MDD: the randomisation test finds it in 80 %."""
    rng, zero, found = np.random.default_rng(0), result(np.zeros(100)), 0
    true = 2.8294 / np.sqrt(100)  # the formula at the true sd of 1 and 99 degrees of freedom
    assert minimum_detectable_difference([-1.0, 1.0] * 50) == pytest.approx(true, rel=0.01)
    for seed in range(400):
        study = result(rng.normal(true, 1, 100))
        found += compare(study, zero, "ndcg@10", seed, repeats=399).p <= 0.05
    assert found / 400 == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 400))


def test_a_comparison_gives_intervals_at_other_levels():
    data = np.random.default_rng(0).normal(size=80)
    made = compare(result(data), result(np.zeros(80)), "ndcg@10")
    assert made.interval(0.95) == (made.low, made.high)
    assert made.interval(0.99)[0] < made.low
    assert made.error == pytest.approx(data.std(ddof=1) / np.sqrt(80))
    assert made.df == 79
    assert "array" not in repr(made)
    with pytest.raises(ValueError, match="kept no differences: make it with compare"):
        Comparison(0.1, 0, 0.2, 0.05, 0.5, 80).interval(0.9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"power": 80}, "power=80 must lie between 0 and 1"),
        ({"alpha": 0}, "alpha=0 must lie between 0 and 1"),
        ({"differences": [0.1]}, "one user has no spread"),
    ],
)
def test_minimum_detectable_difference_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        minimum_detectable_difference(**{"differences": [0.0, 1.0], **options})

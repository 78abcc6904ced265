"""Intervals that cover, tests and families that keep their level, formulas checked by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from llmrec.evaluation import (
    Comparison,
    Estimate,
    Evaluation,
    bootstrap,
    compare,
    compare_seeds,
    family,
    holm,
    minimum_detectable_difference,
    statistics,
    student,
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


@pytest.mark.parametrize("n", [1, 2, 7, 150, 943])
@pytest.mark.parametrize(("seed", "repeats", "level"), [(0, 1000, 0.95), (5, 333, 0.99)])
def test_bootstrap_is_the_textbooks_to_the_bit(n, seed, repeats, level):
    values = np.random.default_rng(n).beta(0.5, 1.5, n)
    drawn = values[np.random.default_rng(seed).integers(0, n, (repeats, n))].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    assert bootstrap(values, seed, repeats, level) == Estimate(values.mean(), low, high, n)


@pytest.mark.parametrize("n", [1, 7, 943])
def test_the_interval_of_a_constant_is_the_constant(n):
    constant = np.full(n, 0.1)
    assert bootstrap(constant) == Estimate(constant.mean(), constant.mean(), constant.mean(), n)
    if n > 1:
        assert student(constant).low == pytest.approx(0.1) == student(constant).high


def test_student_is_scipys_interval():
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 10, 30):
        for level in (0.9, 0.95, 0.999):
            values = rng.normal(0.3, 0.05, n)
            theirs = stats.ttest_1samp(values, 0).confidence_interval(level)
            ours = student(values, level)
            np.testing.assert_allclose([ours.low, ours.high], theirs, rtol=1e-12)
            assert (ours.value, ours.n) == (values.mean(), n)
    one = student([0.4])
    assert (one.value, one.low, one.high) == (0.4, -np.inf, np.inf)


def test_student_intervals_of_five_runs_cover_95_percent_of_the_time():
    """1,000 samples of 5; the bootstrap's intervals of so few are too narrow."""
    samples = np.random.default_rng(0).normal(1, 2, (1000, 5))
    both = [(student(x), bootstrap(x, repeats=200)) for x in samples]
    covered = np.mean([[e.low <= 1 <= e.high for e in pair] for pair in both], axis=0)
    assert covered[0] == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 1000))
    assert covered[1] < 0.88


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
        (lambda: student([]), "values are empty"),
        (lambda: student([0.1], level=95), "level=95 must lie between 0 and 1"),
        (lambda: family({}), "the family has no comparison"),
        (lambda: family({"a": claim(0, 1)}, alpha=5), "alpha=5 must lie between 0 and 1"),
        (lambda: family({"a": claim(0, 1)}, margin=-1), "margin=-1 must be at least 0"),
        (lambda: family({"a": Comparison(0.1, 0, 0.2, 0.1, 1, 9)}), "make it with compare"),
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
    clears = minimum_detectable_difference(made, margin=0.005)
    assert clears == 0.005 + minimum_detectable_difference(made)


def test_the_minimum_detectable_difference_is_found_as_often_as_it_says():
    """400 studies whose true difference is the MDD: the randomisation test finds it in 80 %."""
    rng, zero, found = np.random.default_rng(0), result(np.zeros(100)), 0
    true = 2.8294 / np.sqrt(100)  # the formula at the true sd of 1 and 99 degrees of freedom
    assert minimum_detectable_difference([-1.0, 1.0] * 50) == pytest.approx(true, rel=0.01)
    for seed in range(400):
        study = result(rng.normal(true, 1, 100))
        found += compare(study, zero, "ndcg@10", seed, repeats=399).p <= 0.05
    assert found / 400 == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 400))


def test_a_verdict_needs_the_detectable_difference_and_the_margin():
    """400 studies whose true difference is the MDD beyond a margin: "shown better" in 80 %."""
    rng, zero, shown = np.random.default_rng(0), result(np.zeros(200)), 0
    true = minimum_detectable_difference([-1.0, 1.0] * 100, margin=0.1)
    for seed in range(400):
        study = compare(result(rng.normal(true, 1, 200)), zero, "ndcg@10", seed, repeats=399)
        shown += study.low > 0.1
    assert shown / 400 == pytest.approx(0.8, abs=4 * np.sqrt(0.16 / 400))


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
        ({"margin": -0.1}, "margin=-0.1 must be at least 0"),
        ({"margin": np.nan}, "margin=nan must be at least 0"),
    ],
)
def test_minimum_detectable_difference_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        minimum_detectable_difference(**{"differences": [0.0, 1.0], **options})


def claim(mean, sd, n=200, repeats=999):
    """A comparison whose differences have exactly this mean and standard deviation."""
    noise = np.random.default_rng(0).normal(size=n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return compare(result(mean + sd * noise), result(np.zeros(n)), "ndcg@10", repeats=repeats)


def test_columns_are_what_they_say():
    claims = {"a": claim(0.02, 0.05), "b": claim(0.001, 0.05), "c": claim(-0.01, 0.05)}
    table = family(claims, alpha=0.06)
    assert table.index.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(table["p_holm"], holm([one.p for one in claims.values()]))
    wide = bootstrap(claims["b"].differences, level=0.98, repeats=9999)  # 1 - 0.06/3
    assert (table.loc["b", "low"], table.loc["b", "high"]) == (wide.low, wide.high)
    assert wide.low < claims["b"].low
    expected = minimum_detectable_difference(claims["b"], alpha=0.02)
    assert table.loc["b", "detectable"] == expected
    assert table["n"].tolist() == [200] * 3
    assert table["difference"].dtype == float


def test_verdicts_lean_against_the_claim():
    claims = {
        "large": claim(0.02, 0.05),
        "real but too small to count": claim(0.004, 0.01),
        "straddles the margin": claim(0.01, 0.05),
        "worse, by however little": claim(-0.004, 0.01),
        "nothing": claim(0.001, 0.05),
    }
    assert family(claims)["verdict"].tolist() == [
        "shown better",
        "not shown",
        "not shown",
        "shown worse",
        "not shown",
    ]
    assert family(claims, margin=0)["verdict"].tolist()[:2] == ["shown better", "shown better"]


def test_a_verdict_needs_the_corrected_p_too():
    """Nine sign flips cannot give a p below 0.1, however clear the interval."""
    assert family({"a": claim(0.02, 0.05, repeats=9)})["verdict"].item() == "not shown"


def test_more_claims_ask_for_more():
    one = claim(0.0085, 0.02)
    assert family({"a": one}, margin=0.0055)["verdict"].item() == "shown better"
    many = {"a": one} | {str(i): claim(0, 0.02) for i in range(19)}
    assert family(many, margin=0.0055)["verdict"].iloc[0] == "not shown"


def test_comparisons_over_seeds_are_claims_too():
    rng = np.random.default_rng(0)
    a = [result(rng.normal(0.1, 0.05, 100)) for _ in range(5)]
    b = [result(rng.normal(0, 0.05, 100)) for _ in range(5)]
    outcome = compare_seeds(a, b, "ndcg@10")
    table = family({"seeds": outcome, "users": compare(a[0], b[0], "ndcg@10")})
    assert (table.loc["seeds", "low"], table.loc["seeds", "high"]) == outcome.interval(0.975)
    assert table["verdict"].tolist() == ["shown better"] * 2


def test_the_family_keeps_its_error_rates():
    """200 families of 4 true nulls, two of them correlated: any false verdict or p_holm ≤ 0.05
    in at most 5 %, all intervals at once cover in at least 95 %, each within three standard errors.
    """
    rng, zero = np.random.default_rng(0), result(np.zeros(40))
    false_p = false_verdict = covered = single = 0
    for _ in range(200):
        noise = rng.normal(size=(4, 40))
        noise[1] += noise[0]
        claims = {
            str(i): compare(result(row), zero, "ndcg@10", repeats=499)
            for i, row in enumerate(noise)
        }
        table = family(claims, margin=0)
        single += (table["p"] <= 0.05).any()
        false_p += (table["p_holm"] <= 0.05).any()
        false_verdict += (table["verdict"] != "not shown").any()
        covered += ((table["low"] <= 0) & (table["high"] >= 0)).all()
    band = 3 * np.sqrt(0.05 * 0.95 / 200)
    assert false_p / 200 <= 0.05 + band
    assert false_verdict <= false_p
    assert covered / 200 >= 0.95 - band
    assert single / 200 > 0.1  # uncorrected, the family errs far more often

"""Several claims at once: corrected p, simultaneous intervals, verdicts, and their error rates."""

import numpy as np
import pytest

from llmrec.evaluation import (
    Comparison,
    Evaluation,
    bootstrap,
    compare,
    compare_seeds,
    family,
    holm,
    minimum_detectable_difference,
)


def result(values):
    values = np.asarray(values, float)
    return Evaluation("toy", (10,), np.arange(len(values)), {"x": values})


def claim(mean, sd, n=200, repeats=999):
    """A comparison whose differences have exactly this mean and standard deviation."""
    noise = np.random.default_rng(0).normal(size=n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    return compare(result(mean + sd * noise), result(np.zeros(n)), "x", repeats=repeats)


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
    outcome = compare_seeds(a, b, "x")
    table = family({"seeds": outcome, "users": compare(a[0], b[0], "x")})
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
            str(i): compare(result(row), zero, "x", repeats=499) for i, row in enumerate(noise)
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


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: family({}), "the family has no comparison"),
        (lambda: family({"a": claim(0, 1)}, alpha=5), "alpha=5 must lie between 0 and 1"),
        (lambda: family({"a": claim(0, 1)}, margin=-1), "margin=-1 must be at least 0"),
        (lambda: family({"a": Comparison(0.1, 0, 0.2, 0.1, 1, 9)}), "make it with compare"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()

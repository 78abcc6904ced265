"""Users and seeds as two sources of chance: components by hand, coverage by simulation."""

import numpy as np
import pytest

from llmrec.evaluation import Evaluation, compare, compare_seeds


def runs(table, users=None):
    """One Evaluation a row; ``users`` gives each row its own codes."""
    return [
        Evaluation(
            f"run {s}",
            (10,),
            np.arange(len(row)) if users is None else users[s],
            {"x": np.array(row)},
        )
        for s, row in enumerate(table)
    ]


def differences(table, users=None, **options):
    zero = [np.zeros(len(row)) for row in table]
    return compare_seeds(runs(table, users), runs(zero, users), "x", **options)


def test_components_by_hand():
    """Two runs, three users. Run means 1, 3; user means 0, 2, 4; residuals ±1, 0, ∓1.

    Mean squares 6, 8 and 2 with 1, 2 and 2 degrees of freedom: σ²_R = (6 - 2)/3,
    σ²_U = (8 - 2)/2, σ²_e = 2, and error² = (6 + 8 - 2)/6 = 2.
    """
    outcome = differences([[0.0, 1, 2], [0, 3, 6]])
    assert outcome.difference == pytest.approx(2)
    np.testing.assert_allclose([outcome.runs, outcome.users, outcome.residual], [4 / 3, 3, 2])
    assert outcome.error**2 == pytest.approx(2)
    assert outcome.df == pytest.approx(12**2 / (6**2 / 1 + 8**2 / 2 + 2**2 / 2))
    np.testing.assert_allclose(outcome.shares, [(4 / 3 / 2) / 2, (3 / 3) / 2, (2 / 6) / 2])
    assert (outcome.n, outcome.n_runs) == (3, 2)
    table = outcome.table()
    assert table.loc["users", "sd"] == pytest.approx(np.sqrt(3))
    assert table["share"].sum() == pytest.approx(1)


def test_interval_and_p_come_from_one_student_distribution():
    outcome = differences(np.random.default_rng(0).normal(0.3, 1, (4, 30)))
    assert outcome.interval(0.95) == pytest.approx((outcome.low, outcome.high))
    edge = outcome.interval(1 - outcome.p)  # the widest interval that leaves 0 out
    assert edge[0] == pytest.approx(0, abs=1e-12)
    assert f"{outcome:.2f}".endswith(f"p = {outcome.p:.4f}, 4 runs")
    assert outcome.value == outcome.difference


def test_unequal_runs_have_unbiased_components():
    """Runs of different, partly shared users: the mean estimates are the planted variances."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        by_user = rng.normal(0, 2, 60)
        users = [np.sort(rng.permutation(60)[:size]) for size in (50, 40, 30, 45, 20)]
        table = [by_user[u] + rng.normal(0, 1.5) + rng.normal(0, 1, len(u)) for u in users]
        outcome = differences(table, users)
        found.append([outcome.runs, outcome.users, outcome.residual, outcome.difference])
    found = np.array(found)
    np.testing.assert_allclose(found[:, :3].mean(axis=0), [2.25, 4, 1], rtol=0.15)
    counts = np.array([50, 40, 30, 45, 20])
    assert found[:, 3].var() == pytest.approx(2.25 * (counts**2).sum() / 185**2 + 4 / 55, rel=0.2)


def test_users_that_never_recur_leave_runs_against_the_rest():
    table = np.array([[0.0, 1, 2], [3, 5, 4]])
    outcome = differences(table, [np.arange(3), np.arange(3, 6)])
    assert np.isnan(outcome.users)
    assert outcome.residual == pytest.approx(1)  # within-run variance
    assert outcome.runs == pytest.approx(4.5 - 1 / 3)  # variance of the means 1, 4 less 1/3
    assert outcome.df == pytest.approx(1)
    assert outcome.error**2 == pytest.approx(4.5 / 2)
    assert (outcome.n, outcome.shares[1]) == (6, 0)


def simulate(rng, n_runs, n_users, by_run, by_user, noise):
    return (
        by_run * rng.normal(size=(n_runs, 1))
        + by_user * rng.normal(size=(1, n_users))
        + noise * rng.normal(size=(n_runs, n_users))
    )


@pytest.mark.parametrize(
    ("by_run", "by_user", "noise", "users_only"),
    [
        (0.3, 0.1, 0.3, (0.0, 0.4)),  # seeds dominate
        (0.1, 0.3, 1.0, (0.6, 0.88)),  # both count
        (0.0, 1.0, 0.3, (0.9, 0.99)),  # seeds do nothing
        (0.0, 0.0, 1.0, (0.9, 0.99)),  # only noise
    ],
)
def test_two_source_intervals_cover_where_users_alone_do_not(by_run, by_user, noise, users_only):
    """300 studies of 5 runs and 80 users without a true difference.

    The two-source interval covers 0 in 95 % (within four standard errors; more when a variance
    that is 0 is estimated above it). Users alone, averaged over the runs, cover as rarely as the
    runs vary much.
    """
    rng, zero = np.random.default_rng(0), np.zeros((5, 80))
    hits, rejected = np.zeros(2), 0
    for seed in range(300):
        table = simulate(rng, 5, 80, by_run, by_user, noise)
        both = differences(table)
        users = compare(runs([table.mean(axis=0)])[0], runs(zero)[0], "x", seed, 200)
        hits += [each.low <= 0 <= each.high for each in (both, users)]
        rejected += both.p <= 0.05
    covered = hits / 300
    assert 0.95 - 4 * np.sqrt(0.05 * 0.95 / 300) <= covered[0] <= 1
    if by_run:
        assert covered[0] <= 0.99
    assert rejected == 300 - hits[0]
    assert users_only[0] <= covered[1] <= users_only[1]


def test_no_difference_and_a_constant_one():
    same = differences(np.zeros((3, 4)))
    assert (same.difference, same.p, same.low, same.high, same.error) == (0, 1, 0, 0, 0)
    constant = differences(np.ones((3, 4)))
    assert (constant.difference, constant.p, constant.low) == (1, 0, 1)
    assert constant.effect == np.inf


ONE, TWO = runs([[1.0, 2]]), runs([[1.0, 2], [3, 4]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_seeds(ONE, ONE, "x"), "1 and 1 runs: pass as many of a as of b, at least"),
        (lambda: compare_seeds(TWO, ONE, "x"), "2 and 1 runs"),
        (
            lambda: compare_seeds(TWO, [TWO[0], *runs([[1.0, 2, 3]])], "x"),
            "run 1: run 1 and run 0 cover different users .2 and 3.: slice both",
        ),
        (lambda: differences([[1.0, np.nan], [1, 2]]), "x holds NaN: slice the runs"),
        (lambda: differences([[1.0, 2], [1, 3]], level=95), "level=95 must lie between 0 and 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_run_without_the_metric():
    with pytest.raises(KeyError, match="run 0 has no 'y'"):
        compare_seeds(TWO, TWO, "y")

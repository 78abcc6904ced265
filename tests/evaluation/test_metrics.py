"""Exact fractions, brute force over every order of tied items, and properties of the metrics."""

import doctest
from fractions import Fraction
from itertools import chain, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from llmrec.evaluation import (
    METRICS,
    average_precision,
    hit,
    metrics,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    statistics,
    tie_groups,
)


def test_the_docstrings_examples_hold():
    for module in (metrics, statistics):
        outcome = doctest.testmod(module)
        assert outcome.attempted
        assert not outcome.failed


def naive(name: str, ranked: list[bool], k: int) -> float:
    """A textbook metric of one fully ordered list of relevance flags."""
    total, top = sum(ranked), ranked[:k]
    ranks = [rank for rank, good in enumerate(top, 1) if good]
    match name:
        case "recall":
            return len(ranks) / total
        case "precision":
            return len(ranks) / k
        case "hit":
            return float(bool(ranks))
        case "mrr":
            return 1 / ranks[0] if ranks else 0.0
        case "map":
            return sum(i / rank for i, rank in enumerate(ranks, 1)) / min(k, total)
        case "ndcg":
            ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, total) + 1))
            return sum(1 / np.log2(rank + 1) for rank in ranks) / ideal
    raise AssertionError(name)


def orders(scores: np.ndarray, relevant: np.ndarray) -> list[list[bool]]:
    """Every ranking that sorts the scores: the product of the permutations of the tied groups."""
    groups = [relevant[scores == value].tolist() for value in np.unique(scores)[::-1]]
    return [list(chain(*choice)) for choice in product(*map(permutations, groups))]


@pytest.mark.parametrize("name", METRICS)
def test_equals_the_mean_over_every_order_of_tied_items(name):
    rng = np.random.default_rng(0)
    for _ in range(60):
        n_items = int(rng.integers(1, 8))
        scores = rng.integers(0, 3, n_items).astype(float)
        scores[scores == 0] = -np.inf
        relevant = rng.random(n_items) < 0.45
        relevant[rng.integers(n_items)] = True
        groups = tie_groups(scores[None], relevant[None])
        every = orders(scores, relevant)
        for k in range(1, n_items + 3):
            expected = np.mean([naive(name, ranked, k) for ranked in every])
            assert METRICS[name](groups, k)[0] == pytest.approx(expected, rel=0, abs=1e-12)


def test_exact_fractions_without_ties():
    # Relevant items at ranks 2 and 4 of 5.
    groups = tie_groups([[5.0, 4.0, 3.0, 2.0, 1.0]], [[0, 1, 0, 1, 0]])
    assert recall(groups, 3)[0] == Fraction(1, 2)
    assert precision(groups, 4)[0] == Fraction(1, 2)
    assert reciprocal_rank(groups, 5)[0] == Fraction(1, 2)
    assert average_precision(groups, 5)[0] == pytest.approx(1 / 2, abs=1e-15)  # (1/2 + 2/4) / 2
    assert average_precision(groups, 3)[0] == Fraction(1, 4)  # (1/2) / min(3, 2)
    assert average_precision(groups, 1)[0] == 0
    assert hit(groups, 1)[0] == 0
    assert hit(groups, 2)[0] == 1
    ideal = 1 + 1 / np.log2(3)
    assert ndcg(groups, 10)[0] == pytest.approx(
        (1 / np.log2(3) + 1 / np.log2(5)) / ideal, abs=1e-15
    )


def test_exact_fractions_with_everything_tied():
    # Four tied items, two relevant: hypergeometric and negative hypergeometric by hand.
    groups = tie_groups([[7.0] * 4], [[1, 0, 1, 0]])
    close = {"rel": 0, "abs": 1e-15}
    assert recall(groups, 1)[0] == Fraction(1, 4)
    assert precision(groups, 3)[0] == Fraction(1, 2)
    assert hit(groups, 2)[0] == pytest.approx(float(1 - Fraction(1, 6)), **close)
    assert hit(groups, 3)[0] == 1
    # First relevant at rank 1, 2, 3 with probability 3/6, 2/6, 1/6.
    rr = Fraction(3, 6) + Fraction(2, 6) / 2 + Fraction(1, 6) / 3
    assert reciprocal_rank(groups, 4)[0] == pytest.approx(float(rr), **close)
    # Rank j is relevant half of the time and then holds 1 + (j - 1)/3 of them.
    ap = sum(Fraction(1, 2) * (1 + Fraction(j - 1, 3)) / j for j in range(1, 5)) / 2
    assert average_precision(groups, 4)[0] == pytest.approx(float(ap), **close)


def test_the_denominator_of_average_precision():
    groups = tie_groups([[4.0, 3.0, 2.0, 1.0]], [[1, 1, 1, 0]])
    assert average_precision(groups, 1)[0] == 1
    assert average_precision(groups, 1, denominator="relevant")[0] == pytest.approx(1 / 3)


def test_constant_scores_give_what_a_random_order_gives():
    groups = tie_groups(np.zeros((1, 1000)), np.arange(1000)[None] < 10)
    assert recall(groups, 50)[0] == pytest.approx(0.05)
    assert precision(groups, 50)[0] == pytest.approx(0.01)
    rng = np.random.default_rng(0)
    drawn = [naive("ndcg", list(rng.permutation(1000) < 10), 50) for _ in range(4000)]
    assert ndcg(groups, 50)[0] == pytest.approx(
        np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(4000)
    )


def test_an_excluded_item_takes_no_rank_even_at_the_top_or_among_ties():
    scores = [[9.0, 5.0, 5.0, 5.0]]
    groups = tie_groups(scores, [[0, 1, 0, 0]], excluded=[[1, 0, 0, 1]])
    assert (groups.above[0], groups.tied[0]) == (0, 2)
    assert recall(groups, 1)[0] == Fraction(1, 2)


def test_an_excluded_item_does_not_tie_with_unscored_items():
    scores = [[-np.inf, -np.inf, -np.inf, 1.0]]
    groups = tie_groups(scores, [[1, 0, 0, 0]], excluded=[[0, 1, 0, 0]])
    assert (groups.above[0], groups.tied[0]) == (1, 2)


def test_an_excluded_relevant_item_does_not_count():
    groups = tie_groups([[2.0, 1.0]], [[1, 1]], excluded=[[1, 0]])
    assert groups.n_relevant.tolist() == [1]
    assert recall(groups, 1)[0] == 1


@pytest.mark.parametrize("name", METRICS)
def test_a_user_without_a_relevant_item_is_undefined(name):
    values = METRICS[name](tie_groups([[2.0, 1.0], [1.0, 2.0]], [[0, 0], [0, 1]]), 1)
    assert np.isnan(values[0])
    assert values[1] == 1
    assert np.isnan(METRICS[name](tie_groups(np.ones((2, 2)), np.zeros((2, 2))), 1)).all()


@pytest.mark.parametrize("name", METRICS)
def test_batch_equals_one_by_one(name):
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 6, (40, 23)).astype(np.float32)
    relevant = rng.random((40, 23)) < 0.2
    excluded = rng.random((40, 23)) < 0.3
    batch = METRICS[name](tie_groups(scores, relevant, excluded), 5)
    single = [
        METRICS[name](tie_groups(scores[i : i + 1], relevant[i : i + 1], excluded[i : i + 1]), 5)[0]
        for i in range(40)
    ]
    np.testing.assert_array_equal(batch, single)


def test_sparse_duplicates_count_once_and_scores_are_left_alone():
    twice = sparse.csr_matrix((np.ones(2), np.array([1, 1]), np.array([0, 2])), (1, 3))
    scores = np.array([[1.0, 3.0, 2.0]])
    groups = tie_groups(scores, twice, excluded=sparse.csr_matrix([[0, 0, 1]]))
    assert groups.n_relevant.tolist() == [1]
    np.testing.assert_array_equal(scores, [[1.0, 3.0, 2.0]])


def test_whole_number_scores_are_ranked():
    assert recall(tie_groups([[1, 2, 3]], [[0, 0, 1]]), 1)[0] == 1


@st.composite
def cases(draw):
    n_items = draw(st.integers(1, 9))
    scores = draw(st.lists(st.integers(-3, 3), min_size=n_items, max_size=n_items))
    relevant = draw(st.lists(st.booleans(), min_size=n_items, max_size=n_items).filter(any))
    return np.array([scores], float), np.array([relevant])


@given(cases(), st.integers(1, 12))
@settings(deadline=None)
def test_every_metric_lies_between_0_and_1(case, k):
    groups = tie_groups(*case)
    for name, metric in METRICS.items():
        assert -1e-12 <= metric(groups, k)[0] <= 1 + 1e-12, name


@given(cases(), st.integers(1, 10))
@settings(deadline=None)
def test_recall_hit_and_reciprocal_rank_never_fall_with_k(case, k):
    groups = tie_groups(*case)
    for metric in (recall, hit, reciprocal_rank):
        assert metric(groups, k + 1)[0] >= metric(groups, k)[0] - 1e-12


@given(cases(), st.integers(1, 10))
@settings(deadline=None)
def test_only_the_order_of_scores_matters(case, k):
    scores, relevant = case
    for name, metric in METRICS.items():
        plain = metric(tie_groups(scores, relevant), k)
        for moved in (np.exp(scores), scores**3 - 100, (scores * 1e30).astype(np.float32)):
            np.testing.assert_array_equal(metric(tie_groups(moved, relevant), k), plain, name)


@given(cases(), st.integers(1, 10), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_the_catalogue_does_not_matter(case, k, random):
    scores, relevant = case
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    for name, metric in METRICS.items():
        plain = metric(tie_groups(scores, relevant), k)
        moved = metric(tie_groups(scores[:, order], relevant[:, order]), k)
        np.testing.assert_array_equal(moved, plain, name)


@pytest.mark.parametrize(
    ("scores", "relevant", "message"),
    [
        ([[1.0, np.nan]], [[1, 0]], "scores hold NaN, first at row 0, item 1: use -inf"),
        ([1.0, 2.0], [1, 0], r"scores must be \(n_users, n_items\)"),
        (np.zeros((2, 0)), np.zeros((2, 0)), "with items, got shape"),
        ([[1.0, 2.0]], [[1, 0, 0]], r"relevant has shape \(1, 3\) but scores"),
    ],
)
def test_bad_scores(scores, relevant, message):
    with pytest.raises(ValueError, match=message):
        tie_groups(scores, relevant)


def test_excluded_of_another_shape():
    with pytest.raises(ValueError, match="excluded has shape"):
        tie_groups([[1.0, 2.0]], [[1, 0]], excluded=[[1]])


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("k", [0, -1, 2.5, True])
def test_bad_k(name, k):
    with pytest.raises(ValueError, match="is not a positive whole number"):
        METRICS[name](tie_groups([[1.0, 2.0]], [[1, 0]]), k)


def test_bad_denominator():
    with pytest.raises(ValueError, match='denominator=\'k\' is unknown: use "min" or "relevant"'):
        average_precision(tie_groups([[1.0]], [[1]]), 1, denominator="k")

"""The same numbers as `ranx`, an independent implementation, wherever the definitions agree.

Differences by definition: ranx gives 0 to a user without a relevant item (we: NaN, undefined), its
average precision always divides by N (our ``denominator="relevant"``), and it breaks ties by the
order it meets them (we: in expectation), so cases here are free of ties.
"""

from functools import partial

import numpy as np
import pytest

from llmrec.evaluation import METRICS, average_precision, tie_groups

pytestmark = [
    pytest.mark.component,  # ranx compiles its metrics on the first call
    pytest.mark.filterwarnings("ignore"),
]
OURS = METRICS | {"map": partial(average_precision, denominator="relevant")}
THEIRS = {
    "ndcg": "ndcg",
    "recall": "recall",
    "precision": "precision",
    "map": "map",
    "mrr": "mrr",
    "hit": "hit_rate",
}


def by_ranx(scores, relevant, k):
    from ranx import Qrels, Run, evaluate

    names = [f"i{item}" for item in range(scores.shape[1])]
    qrels = Qrels(
        {
            f"u{user}": {names[i]: 1 for i in np.flatnonzero(row)}
            for user, row in enumerate(relevant)
        }
    )
    run = Run(
        {
            f"u{user}": dict(zip(names, map(float, row), strict=True))
            for user, row in enumerate(scores)
        }
    )
    wanted = [f"{name}@{k}" for name in THEIRS.values()]
    evaluate(qrels, run, wanted, make_comparable=True)
    return {
        name: np.array([run.scores[f"{theirs}@{k}"][f"u{user}"] for user in range(len(scores))])
        for name, theirs in THEIRS.items()
    }


@pytest.mark.parametrize(("n_items", "k"), [(30, 1), (30, 10), (30, 30), (6, 50)])
def test_equals_ranx_on_random_cases_and_beyond_the_catalogue(n_items, k):
    rng = np.random.default_rng(n_items + k)
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (25, 1)), axis=1)
    relevant = rng.random((25, n_items)) < 0.2
    relevant[np.arange(25), rng.integers(0, n_items, 25)] = True
    theirs = by_ranx(scores, relevant, k)
    groups = tie_groups(scores, relevant)
    for name, metric in OURS.items():
        np.testing.assert_allclose(metric(groups, k), theirs[name], atol=1e-12, err_msg=name)


def test_a_perfect_and_an_inverted_ranking():
    relevant = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0]])
    scores = np.array([np.arange(6.0)[::-1], np.arange(6.0)])
    theirs = by_ranx(scores, relevant, 5)
    groups = tie_groups(scores, relevant)
    for name, metric in OURS.items():
        np.testing.assert_allclose(metric(groups, 5), theirs[name], atol=1e-12, err_msg=name)
    assert METRICS["ndcg"](groups, 5)[0] == 1


def test_ties_are_where_the_two_part():
    """With every score equal ranx reports one order; ours is the mean over all of them."""
    scores, relevant = np.zeros((1, 4)), np.array([[1, 0, 0, 0]])
    theirs = by_ranx(scores, relevant, 1)["recall"][0]
    assert theirs in (0.0, 1.0)
    assert METRICS["recall"](tie_groups(scores, relevant), 1)[0] == 0.25

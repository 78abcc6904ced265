"""Our metrics beside ranx, ir-measures, scikit-learn and RecTools, on the same rankings.

Where definitions agree the numbers must; where they part, the relation between the two is asserted,
so that the difference is exactly the one that ``book/conformance.md`` describes.
"""

import json
import re
from functools import partial
from importlib.metadata import version
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from llmrec.evaluation import METRICS, average_precision, tie_groups

pytestmark = [
    pytest.mark.component,  # ranx compiles its metrics on the first call
    pytest.mark.filterwarnings("ignore"),  # what other libraries warn of is not ours to mend
]
ROOT = Path(__file__).parents[2]
RECTOOLS = json.loads(Path(__file__).with_name("fixtures").joinpath("rectools.json").read_text())
CUTS = sorted({int(name.split("@")[1]) for name in RECTOOLS["values"]})
SIZES = [(30, 1), (30, 10), (30, 30), (6, 50)]  # items and k: the last cut exceeds the catalogue
close = partial(np.testing.assert_allclose, rtol=0, atol=1e-9)
# Average precision divided by all relevant items, as everybody else does.
OURS = METRICS | {"map": partial(average_precision, denominator="relevant")}


def case(n_items, seed, n_users=25):
    """Return scores without ties, and relevance with at least one item a user."""
    rng = np.random.default_rng(seed)
    scores = rng.permuted(np.tile(np.arange(n_items, dtype=float), (n_users, 1)), axis=1)
    relevant = rng.random((n_users, n_items)) < 0.2
    relevant[np.arange(n_users), rng.integers(0, n_items, n_users)] = True
    return scores, relevant.astype(int)


def ours(name, scores, relevant, k, excluded=None):
    return OURS[name](tie_groups(scores, relevant, excluded), k)


def dictionaries(scores, relevant, listed=None):
    """Return judgements and run as ``{user: {item: value}}``; ``listed`` masks the run."""
    listed = np.ones(scores.shape, bool) if listed is None else listed
    names = [f"i{item:03}" for item in range(scores.shape[1])]
    qrels, run = {}, {}
    for user, (grades, values) in enumerate(zip(relevant, scores, strict=True)):
        qrels[f"u{user:03}"] = {names[i]: int(grades[i]) for i in np.flatnonzero(grades)}
        run[f"u{user:03}"] = {names[i]: float(values[i]) for i in np.flatnonzero(listed[user])}
    return qrels, run


def by_ranx(name, scores, relevant, k, listed=None):
    from ranx import Qrels, Run, evaluate

    qrels, run = dictionaries(scores, relevant, listed)
    for judged in qrels.values():
        judged or judged.update(nothing=0)  # a user without a relevant item
    theirs = {"mrr": "mrr", "hit": "hit_rate"}.get(name, name) + f"@{k}"
    done = Run(run)
    evaluate(Qrels(qrels), done, [theirs], make_comparable=True)
    return np.array([done.scores[theirs][user] for user in sorted(run)])


def by_ir_measures(name, scores, relevant, k, listed=None):
    import ir_measures

    qrels, run = dictionaries(scores, relevant, listed)
    for judged in qrels.values():
        judged or judged.update(nothing=0)
    theirs = {"ndcg": "nDCG", "recall": "R", "precision": "P", "map": "AP", "mrr": "RR"}
    measure = ir_measures.parse_measure(f"{theirs.get(name, 'Success')}@{k}" if k else theirs[name])
    values = {m.query_id: m.value for m in ir_measures.iter_calc([measure], qrels, run)}
    return np.array([values[user] for user in sorted(run)])


def rectools(name, k):
    return np.array(RECTOOLS["values"][f"{name}@{k}"])


def rectools_case():
    scores, relevant = (np.array(RECTOOLS[part]) for part in ("scores", "relevant"))
    return scores[RECTOOLS["users"]].astype(float), relevant[RECTOOLS["users"]]


def discounts(n):
    """D(n), the gain of n relevant items at the top, for each n."""
    return np.array([(1 / np.log2(np.arange(2, m + 2))).sum() for m in np.atleast_1d(n)])


# --- where the definitions agree ----------------------------------------------------------------


@pytest.mark.parametrize(("n_items", "k"), SIZES)
@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("theirs", [by_ranx, by_ir_measures])
def test_equals_ranx_and_ir_measures(theirs, name, n_items, k):
    scores, relevant = case(n_items, seed=n_items + k)
    close(ours(name, scores, relevant, k), theirs(name, scores, relevant, k))


@pytest.mark.parametrize("theirs", [by_ranx, by_ir_measures])
def test_a_perfect_and_an_inverted_ranking(theirs):
    scores, relevant = (
        np.array([np.arange(6.0)[::-1], np.arange(6.0)]),
        np.array([[1, 1] + 4 * [0]] * 2),
    )
    for name in OURS:
        close(ours(name, scores, relevant, 5), theirs(name, scores, relevant, 5))
    assert ours("ndcg", scores, relevant, 5)[0] == 1


@pytest.mark.parametrize("k", CUTS)
def test_equals_rectools(k):
    scores, relevant = rectools_case()
    for name in ("recall", "precision", "map", "mrr", "hit"):
        close(ours(name, scores, relevant, k), rectools(name, k))
    close(ours("ndcg", scores, relevant, k), rectools("ndcg, achievable", k))


@pytest.mark.parametrize(("n_items", "k"), SIZES)
@pytest.mark.parametrize("tied", [False, True])
def test_ndcg_equals_scikit_learn_with_ties_too(tied, n_items, k):
    from sklearn.metrics import ndcg_score

    scores, relevant = case(n_items, seed=3 * n_items + k)
    scores = scores // 4 if tied else scores
    theirs = [ndcg_score(relevant[[u]], scores[[u]], k=k) for u in range(len(scores))]
    close(ours("ndcg", scores, relevant, k), theirs)


def top(scores, k):
    chosen = np.zeros(scores.shape, int)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1)[:, :k], 1, axis=1)
    return chosen


@pytest.mark.parametrize(("n_items", "k"), SIZES)
def test_recall_and_average_precision_equal_scikit_learn(n_items, k):
    from sklearn.metrics import (
        average_precision_score,
        label_ranking_average_precision_score,
        recall_score,
    )

    scores, relevant = case(n_items, seed=5 * n_items + k)
    users = range(len(scores))
    close(
        ours("recall", scores, relevant, k),
        [recall_score(relevant[u], top(scores, k)[u]) for u in users],
    )
    whole = ours("map", scores, relevant, n_items)
    close(whole, [average_precision_score(relevant[u], scores[u]) for u in users])
    close(whole, [label_ranking_average_precision_score(relevant[[u]], scores[[u]]) for u in users])


# --- where they part: each test proves one row of the page --------------------------------------


@pytest.mark.parametrize("k", CUTS)
def test_difference_average_precision_divides_by_all_relevant(k):
    scores, relevant = rectools_case()
    n_relevant = relevant.sum(axis=1)
    mine = METRICS["map"](tie_groups(scores, relevant), k) * np.minimum(k, n_relevant)
    for theirs in (
        by_ranx("map", scores, relevant, k),
        by_ir_measures("map", scores, relevant, k),
        rectools("map", k),
    ):
        close(theirs * n_relevant, mine)
    assert (n_relevant > 1).any()


@pytest.mark.parametrize("k", CUTS)
def test_difference_rectools_divides_average_precision_by_k(k):
    scores, relevant = rectools_case()
    mine = METRICS["map"](tie_groups(scores, relevant), k)
    close(rectools("map, by k", k) * k, mine * np.minimum(k, relevant.sum(axis=1)))


@pytest.mark.parametrize("k", CUTS)
def test_difference_rectools_ideal_fills_all_k_ranks(k):
    scores, relevant = rectools_case()
    mine = ours("ndcg", scores, relevant, k) * discounts(np.minimum(k, relevant.sum(axis=1)))
    close(rectools("ndcg", k) * discounts(k), mine)


@pytest.mark.parametrize("k", CUTS)
def test_difference_recall_is_not_divided_by_min_of_k_and_relevant(k):
    scores, relevant = rectools_case()
    n_relevant = relevant.sum(axis=1)
    mine = ours("recall", scores, relevant, k) * n_relevant
    close(rectools("r-precision", k) * np.minimum(k, n_relevant), mine)


def test_difference_precision_beyond_the_catalogue():
    from sklearn.metrics import precision_score

    for n_items, k in SIZES:
        scores, relevant = case(n_items, seed=k)
        theirs = [precision_score(*pair) for pair in zip(relevant, top(scores, k), strict=True)]
        length = min(k, n_items)  # of the list that scikit-learn is given
        close(ours("precision", scores, relevant, k) * k, np.array(theirs) * length)


def every_order(scores, relevant):
    """Return the one ranking with its items at every place of the table, an order a row."""
    orders = np.array(list(permutations(range(len(scores)))))
    return np.array(scores)[orders], np.array(relevant)[orders]


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("theirs", [by_ranx, by_ir_measures])
def test_difference_ties_go_by_the_order_of_the_table(theirs, name):
    """Theirs changes with the order of the items; its mean over all orders is ours."""
    scores, relevant = [2.0, 1.0, 1.0, 1.0, 0.0], [0, 1, 0, 1, 0]
    mine = ours(name, np.array([scores]), np.array([relevant]), 3)[0]
    answers = theirs(name, *every_order(scores, relevant), 3)
    assert np.mean(answers) == pytest.approx(mine, rel=0, abs=1e-9)
    assert np.ptp(answers) > 0 or name == "hit"  # two of three places: always one hit


def test_difference_one_library_breaks_ties_both_ways():
    """ir-measures asks trec_eval for RR, MS MARCO's script for RR@k: last name first, or first."""
    scores, relevant = np.zeros((1, 4)), np.array([[1, 0, 0, 0]])
    assert by_ir_measures("mrr", scores, relevant, None)[0] == 1 / 4
    assert by_ir_measures("mrr", scores, relevant, 4)[0] == 1
    close(ours("mrr", scores, relevant, 4), (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)


def test_difference_scikit_learn_puts_all_relevant_at_the_end_of_a_tie():
    """Each relevant item is given the precision at the last rank of its tie group."""
    from sklearn.metrics import average_precision_score, label_ranking_average_precision_score

    scores, relevant = case(30, seed=11)
    scores = scores // 4
    g = tie_groups(scores, relevant)
    at_end = g.relevant * (g.relevant_above + g.relevant) / (g.above + g.tied)
    expected = np.bincount(g.user, at_end) / g.n_relevant
    users = range(len(scores))
    close([average_precision_score(relevant[u], scores[u]) for u in users], expected)
    close(
        [label_ranking_average_precision_score(relevant[[u]], scores[[u]]) for u in users], expected
    )
    assert np.abs(ours("map", scores, relevant, 30) - expected).max() > 0.01


def test_difference_a_user_without_a_relevant_item_counts_as_zero():
    from sklearn.metrics import ndcg_score

    scores, relevant = case(30, seed=13)
    relevant[:5] = 0
    for name in OURS:
        mine = ours(name, scores, relevant, 10)
        assert np.isnan(mine[:5]).all()
        for theirs in (by_ranx, by_ir_measures):
            answers = theirs(name, scores, relevant, 10)
            assert answers[:5].tolist() == [0] * 5
            close(answers.mean(), np.nanmean(mine) * 20 / 25)
    theirs = [ndcg_score(relevant[[u]], scores[[u]], k=10) for u in range(25)]
    close(np.mean(theirs), np.nanmean(ours("ndcg", scores, relevant, 10)) * 20 / 25)
    served = np.array(RECTOOLS["relevant"]).any(axis=1)
    assert RECTOOLS["users"] == np.flatnonzero(served).tolist()  # RecTools leaves the others out
    assert not served.all()


def test_difference_grades_count_once():
    """Ours is theirs on "taken or not"; their exponential gain is the linear one of 2^grade - 1."""
    from sklearn.metrics import ndcg_score

    scores, relevant = case(30, seed=17)
    graded = relevant * np.random.default_rng(0).integers(1, 4, relevant.shape)
    mine = ours("ndcg", scores, graded, 10)
    close(mine, by_ranx("ndcg", scores, relevant, 10))
    close(mine, by_ranx("ndcg_burges", scores, relevant, 10))
    exponential = by_ranx("ndcg_burges", scores, graded, 10)
    close(exponential, by_ir_measures("ndcg", scores, 2**graded - 1, 10))
    close(exponential, [ndcg_score(2 ** graded[[u]] - 1, scores[[u]], k=10) for u in range(25)])
    close(by_ranx("ndcg", scores, graded, 10), by_ir_measures("ndcg", scores, graded, 10))
    for other in (exponential, by_ranx("ndcg", scores, graded, 10)):
        assert np.abs(mine - other).max() > 0.01


@pytest.mark.parametrize("theirs", [by_ranx, by_ir_measures])
def test_difference_seen_items_must_be_taken_out_by_hand(theirs):
    scores, relevant = case(30, seed=19)
    seen = np.random.default_rng(1).random(scores.shape) < 0.3
    open_ = relevant * ~seen
    some = open_.any(axis=1)
    for name in OURS:
        mine = ours(name, scores[some], relevant[some], 10, seen[some])
        close(mine, theirs(name, scores[some], open_[some], 10, ~seen[some]))
    # Left among the judgements, a seen item is a relevant one that can never be found.
    mine = ours("recall", scores[some], relevant[some], 10, seen[some]) * open_[some].sum(axis=1)
    stale = theirs("recall", scores[some], relevant[some], 10, ~seen[some])
    close(stale * relevant[some].sum(axis=1), mine)
    assert (relevant > open_)[some].any()


@pytest.mark.parametrize("theirs", [by_ranx, by_ir_measures])
def test_difference_unscored_items_are_missed_for_sure(theirs):
    """Ours ranks them in random order behind the scored ones, so that a long list still counts."""
    scores, relevant = case(10, seed=23)
    unscored = scores < 6  # four items of each user have a score
    mine = ours("recall", np.where(unscored, -np.inf, scores), relevant, 7)
    by_luck = (relevant * unscored).sum(axis=1) * (7 - 4) / 6 / relevant.sum(axis=1)
    close(mine, theirs("recall", scores, relevant, 7, ~unscored) + by_luck)
    assert by_luck.any()


# --- the page -----------------------------------------------------------------------------------

PAGE = (ROOT / "book" / "conformance.md").read_text(encoding="utf-8")


def test_the_page_lists_every_difference_with_its_proof():
    proven = {name for name in globals() if name.startswith("test_difference_")}
    assert set(re.findall(r"test_difference_\w+", PAGE)) == proven


def test_the_page_names_the_versions_that_were_compared():
    versions = {name: version(name) for name in ("ranx", "ir-measures", "scikit-learn")}
    versions["RecTools"] = RECTOOLS["versions"]["rectools"]
    for name, compared in versions.items():
        assert re.search(rf"{name}\s*\n\s*- `{re.escape(compared)}`", PAGE), name


def test_the_fixture_is_what_its_script_makes():
    """The input half, that is: the outputs need RecTools."""
    import runpy

    made = runpy.run_path(str(Path(__file__).with_name("fixtures") / "make_rectools.py"))
    scores, relevant = made["case"]()
    assert scores.tolist() == RECTOOLS["scores"]
    assert relevant.tolist() == RECTOOLS["relevant"]
    assert list(made["CUTS"]) == CUTS

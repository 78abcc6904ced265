"""`evaluate` against a slow, obvious reference, and the rules of who and what is counted."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest

from llmrec.data import Dataset, Split
from llmrec.evaluation import METRICS, Evaluation, evaluate, ranking, slices


def frame(pairs):
    users, items = zip(*pairs, strict=True) if pairs else ((), ())
    return pd.DataFrame(
        {
            "user": np.array(users, int),
            "item": np.array(items, int),
            "timestamp": np.arange(len(pairs)),
            "weight": np.ones(len(pairs)),
            "action": ["took"] * len(pairs),
        }
    )


def make_split(n_users, n_items, train, test, history=None, valid=()):
    items = pd.DataFrame({"item": np.arange(n_items), "title": [f"t{i}" for i in range(n_items)]})
    # One event a user, so that every user has a code.
    dataset = Dataset("toy", frame([(user, 0) for user in range(n_users)]), items)
    history = train if history is None else history
    return Split(
        dataset, "toy", 0, frame(train), frame(list(valid)), frame(test), frame(list(history))
    )


class Table:
    """Scores from a table; users folded in are scored from their history, by another table."""

    def __init__(self, scores):
        self.scores = np.asarray(scores, np.float32)
        self.scored, self.folded = [], []

    def score(self, users):
        self.scored.extend(users.tolist())
        return self.scores[users]

    def fold_in(self, histories):
        self.folded += [history.items.tolist() for history in histories]
        return -np.tile(np.arange(self.scores.shape[1], dtype=np.float32), (len(histories), 1))


def test_hand_computed_case():
    # User 0 saw item 4, the best scored: candidates 3 > 2 > 1 > 0, target 2 at rank 2.
    split = make_split(2, 5, train=[(0, 4), (1, 0)], test=[(0, 2), (1, 4)])
    result = evaluate(Table([[0, 1, 2, 3, 4]] * 2), split, ks=(1, 2), metrics=("mrr", "recall"))
    assert result.name == "Table"
    assert result.ks == (1, 2)
    assert result.users.tolist() == [0, 1]
    assert {metric: values.tolist() for metric, values in result.values.items()} == {
        "mrr@1": [0, 1],
        "mrr@2": [0.5, 1],
        "recall@1": [0, 1],
        "recall@2": [1, 1],
    }


def random_split(seed=0, n_users=30, n_items=17):
    rng = np.random.default_rng(seed)
    cells = np.argwhere(rng.random((n_users, n_items)) < 0.4)
    part = rng.random(len(cells))
    pairs = [tuple(map(int, cell)) for cell in cells]
    train = [pair for pair, share in zip(pairs, part, strict=True) if share < 0.6]
    test = [pair for pair, share in zip(pairs, part, strict=True) if share >= 0.6]
    return make_split(n_users, n_items, train, test + test[:5] + train[:3])


@pytest.mark.parametrize("restricted", [False, True])
def test_equals_a_slow_reference_without_ties(restricted, monkeypatch):
    split = random_split()
    scores = np.random.default_rng(1).permuted(np.tile(np.arange(17.0), (30, 1)), axis=1)
    items = np.array([1, 3, 4, 8, 9, 11, 16]) if restricted else np.arange(17)
    monkeypatch.setattr(ranking, "CELLS", 17 * 4)  # several batches of four users
    result = evaluate(Table(scores), split, ks=(3, 40), items=items if restricted else None)
    seen = {(row.user, row.item) for row in split.history.itertuples()}
    test = {(row.user, row.item) for row in split.test.itertuples()} - seen
    expected_users = sorted({user for user, item in test if item in items})
    assert result.users.tolist() == expected_users
    assert result.left_out == len(split.test_users) - len(expected_users)
    for position, user in enumerate(expected_users):
        open_ = [item for item in items if (user, item) not in seen]
        ranked = sorted(open_, key=lambda item: -scores[user, item])
        good = [(user, item) in test for item in ranked]
        for k in (3, 40):
            ranks = [rank for rank, flag in enumerate(good[:k], 1) if flag]
            ideal = sum(1 / np.log2(rank + 1) for rank in range(1, min(k, sum(good)) + 1))
            expected = {
                "recall": len(ranks) / sum(good),
                "precision": len(ranks) / k,
                "hit": float(bool(ranks)),
                "mrr": 1 / ranks[0] if ranks else 0,
                "ndcg": sum(1 / np.log2(rank + 1) for rank in ranks) / ideal,
                "map": sum(i / r for i, r in enumerate(ranks, 1)) / min(k, sum(good)),
            }
            got = {name: result.values[f"{name}@{k}"][position] for name in METRICS}
            assert got == pytest.approx(expected, abs=1e-12)


def test_seen_items_are_no_candidates_rather_than_tied_at_the_bottom():
    # Item 1 is unscored (-inf) like the model marks anything; item 0, also -inf, was seen.
    split = make_split(1, 3, train=[(0, 0)], test=[(0, 1)])
    result = evaluate(Table([[-np.inf, -np.inf, 1.0]]), split, ks=(2,), metrics=("recall",))
    assert result.values["recall@2"].tolist() == [1.0]


def test_a_sparse_scorer_does_not_win_by_ties():
    split = make_split(1, 11, train=[(0, 10)], test=[(0, 0)])
    result = evaluate(Table(np.zeros((1, 11))), split, ks=(1,))
    assert result.values["recall@1"].tolist() == [0.1]


def test_duplicates_count_once_and_repeats_of_history_are_no_targets():
    split = make_split(2, 4, train=[(0, 0), (1, 1)], test=[(0, 1), (0, 1), (0, 0), (1, 1)])
    result = evaluate(Table([[9, 8, 7, 6]] * 2), split, ks=(1,), metrics=("recall",))
    assert result.users.tolist() == [0]
    assert result.values["recall@1"].tolist() == [1.0]
    assert result.left_out == 1


def test_cold_users_are_folded_in_and_users_without_any_history_are_scored():
    split = make_split(
        3, 4, train=[(0, 0)], test=[(0, 1), (1, 2), (2, 3)], history=[(0, 0), (1, 0)]
    )
    model = Table([[0, 1, 2, 3]] * 3)
    result = evaluate(model, split, ks=(2,), metrics=("mrr",))
    assert model.scored == [0, 2]
    assert model.folded == [[0]]
    # User 0: candidates 3, 2, 1. User 1, folded in: 1, 2, 3 (0 seen). User 2: 3 first.
    assert result.values["mrr@2"].tolist() == [0, 0.5, 1]


def test_valid_part_and_a_choice_of_users():
    split = make_split(3, 3, [(0, 0), (1, 0)], [(0, 1)], valid=[(0, 2), (1, 2), (2, 0)])
    model = Table([[0, 1, 2]] * 3)
    result = evaluate(model, split, ks=(1,), metrics=("hit",), users=[1, 0, 1], part="valid")
    assert result.users.tolist() == [0, 1]
    assert result.values["hit@1"].tolist() == [1, 1]


# User 0 has items 0, 1 and takes 0 again and 2, twice; user 1 takes 1 again; user 2 is new.
AGAIN = {"train": [(0, 0), (0, 1), (1, 1)], "test": [(0, 0), (0, 2), (0, 2), (1, 1), (2, 3)]}


def test_repeats_are_candidates_and_targets():
    split = make_split(3, 4, **AGAIN)
    model = Table([[4, 3, 2, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    found = evaluate(model, split, (1, 2, 3, 4), ("recall", "hit", "ndcg"), repeats=True)
    assert found.users.tolist() == [0, 1, 2]
    # User 0 wants ranks 1 and 3; user 1 ties for rank 1 with one other; user 2 with three others.
    np.testing.assert_allclose(found.per_user("recall@1"), [1 / 2, 1 / 2, 1 / 4])
    np.testing.assert_allclose(found.per_user("recall@2"), [1 / 2, 1, 2 / 4])
    np.testing.assert_allclose(found.per_user("recall@4"), [1, 1, 1])
    np.testing.assert_allclose(found.per_user("hit@1"), [1, 1 / 2, 1 / 4])
    assert found.per_user("ndcg@3")[0] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3)))
    assert evaluate(model, split, (1,), ("hit",)).users.tolist() == [0, 2]  # 1 takes nothing new
    some = evaluate(model, split, (1,), ("hit",), users=[0], items=[1, 2], repeats=True)
    assert some.per_user("hit@1").tolist() == [0.0]  # of 1 and 2, 1 stands first and 2 is taken
    assert model.folded == []


def evaluation(values=(0.0, 1.0, 0.5), users=(2, 5, 9)):
    return Evaluation("toy", (10,), np.array(users), {"ndcg@10": np.array(values)}, seed=3)


def test_mean_slice_and_table():
    result = evaluation()
    mean = result.mean("ndcg@10")
    assert mean.value == 0.5
    assert mean.low < 0.5 < mean.high
    part = result.slice([9, 2, 77])
    assert part.users.tolist() == [2, 9]
    assert part.mean("ndcg@10").value == 0.25
    table = result.table()
    assert table.loc["ndcg@10"].to_dict() == vars(mean)
    assert result.slice([]).users.tolist() == []


def test_same_seed_same_interval():
    assert evaluation().mean("ndcg@10") == evaluation().mean("ndcg@10")


def test_slices_by_hand():
    # Train users an item: item i has i users for i = 1 … 10; items 0 and 11 are cold.
    train = [(user, item) for item in range(1, 11) for user in range(item)]
    split = make_split(12, 12, train, test=[(user, 0) for user in range(11)])
    groups = slices(split)
    assert {name: codes.tolist() for name, codes in groups.items.items()} == {
        "cold": [0, 11],
        "warm": [1, 2, 3, 4, 5, 6, 7, 8],
        "hot": [9, 10],
    }
    # User u has 10 - u train items: user 10 is cold, user 11 has no test row.
    assert {name: codes.tolist() for name, codes in groups.users.items()} == {
        "cold": [10],
        "short": [6, 7, 8, 9],
        "medium": [3, 4, 5],
        "long": [0, 1, 2],
    }


def test_the_hot_fifth_is_rounded_up():
    train = [(user, item) for item in range(1, 7) for user in range(item)]  # six warm items
    groups = slices(make_split(7, 7, train, test=[(0, 0)]))
    assert groups.items["hot"].tolist() == [5, 6]  # of 1.2
    assert groups.items["warm"].tolist() == [1, 2, 3, 4]


def test_slices_cover_every_test_user_and_item_once():
    split = random_split(3)
    groups = slices(split)
    assert sorted(np.concatenate(list(groups.users.values()))) == split.test_users.tolist()
    assert sorted(np.concatenate(list(groups.items.values()))) == list(range(17))


def test_equal_lengths_share_a_group():
    split = make_split(4, 6, [(user, user) for user in range(4)], [(user, 5) for user in range(4)])
    sizes = {name: len(codes) for name, codes in slices(split).users.items()}
    assert sizes == {"cold": 0, "short": 4, "medium": 0, "long": 0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metrics": ("auc",)}, "metrics=.'auc',.: name some of ndcg, recall, precision"),
        ({"metrics": "ndcg"}, "in a tuple"),
        ({"metrics": ()}, "name some of"),
        ({"ks": (0,)}, r"ks=\(0,\) must be a tuple of positive whole numbers"),
        ({"ks": 10}, "ks=10 must be a tuple"),
        ({"ks": ()}, "must be a tuple"),
        ({"part": "train"}, "part='train' cannot be evaluated"),
        ({"users": [7]}, "users holds 7, but codes run from 0 to 1"),
        ({"users": []}, "users is empty"),
        ({"items": [-1]}, "items holds -1, but codes run from 0 to 4"),
        ({"items": ["a"]}, "items must be whole-number codes"),
        ({"items": [0]}, "no user has a new test item among the candidates"),
        ({"part": "valid", "users": [0]}, "no user has a new valid item"),
    ],
)
def test_bad_options(options, message):
    split = make_split(2, 5, train=[(0, 4), (1, 0)], test=[(0, 2), (1, 4)])
    with pytest.raises(ValueError, match=message):
        evaluate(Table([[0, 1, 2, 3, 4]] * 2), split, **options)


def test_scores_of_a_wrong_shape_and_nan_name_the_model():
    split = make_split(2, 5, train=[(0, 4), (1, 0)], test=[(0, 2), (1, 4)])
    with pytest.raises(ValueError, match=r"Table gave scores of shape \(2, 3\) for 2 users and 5"):
        evaluate(Table([[1, 2, 3]] * 2), split)
    with pytest.raises(ValueError, match="Table: scores hold NaN"):
        evaluate(Table(np.full((2, 5), np.nan)), split)


def test_a_model_without_fold_in_says_how_to_leave_cold_users_out():
    class Warm(Table):
        def fold_in(self, histories):
            raise NotImplementedError("Warm cannot score users unseen in training")

    split = make_split(2, 3, train=[(0, 0)], test=[(0, 1), (1, 1)], history=[(0, 0), (1, 0)])
    with pytest.raises(NotImplementedError, match=r"Warm cannot .*: pass users=np.setdiff1d"):
        evaluate(Warm(np.zeros((2, 3))), split)
    warm = np.setdiff1d(split.test_users, split.cold_users)
    assert evaluate(Warm(np.zeros((2, 3))), split, users=warm).users.tolist() == [0]


def test_unknown_metric_and_empty_slice():
    with pytest.raises(KeyError, match=r"toy has no 'ndcg@5': it has ndcg@10"):
        evaluation().mean("ndcg@5")
    with pytest.raises(ValueError, match="toy has no evaluated user here: ndcg@10 has no mean"):
        evaluation().slice([1]).mean("ndcg@10")


class Inner(Table):
    """Scores that are made when asked for; it remembers the largest block."""

    def __init__(self, n_users, n_items):
        rng = np.random.default_rng(0)
        self.users = rng.standard_normal((n_users, 8)).astype(np.float32)
        self.items = rng.standard_normal((n_items, 8)).astype(np.float32)
        self.largest = 0

    def score(self, users):
        self.largest = max(self.largest, len(users) * len(self.items))
        return self.users[users] @ self.items.T

    def fold_in(self, histories):
        return self.score(np.arange(len(histories)))


def test_memory_is_bounded_whatever_the_number_of_users(monkeypatch):
    n_items = 2000

    def peak(n_users):
        """Evaluate half of the users from train and half by fold-in: bytes, and cells asked for."""
        history = [(user, user % 7) for user in range(n_users)]
        test = [(user, 9 + user % 11) for user in range(n_users)]
        split = make_split(n_users, n_items, history[: n_users // 2], test, history)
        model = Inner(n_users, n_items)
        tracemalloc.start()
        result = evaluate(model, split, metrics=("ndcg",))
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(result.users) == n_users
        return largest, model.largest

    monkeypatch.setattr(ranking, "CELLS", 10 * n_items)
    few, many = peak(40), peak(800)
    assert few[1] == many[1] == 10 * n_items
    assert many[0] < 2 * few[0]
    assert many[0] < 800 * n_items  # a quarter of the float32 scores of all users

"""Next-basket evaluation, where what was bought before counts, in hand-computed fractions."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch08_baskets import evaluate_baskets
from llmrec.data import Dataset, Split
from llmrec.evaluation import evaluate
from llmrec.models import Popularity, Recommender

SCORES = np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]], np.float32)


class Fixed(Recommender):
    def _fit(self, split, features):
        pass

    def score(self, users):
        return SCORES[self._codes(users)]

    def fold_in(self, histories):
        raise AssertionError("a household is scored by its code")


@pytest.fixture
def split():
    def frame(cells):
        user, item = np.array(cells, np.int64).reshape(-1, 2).T
        return pd.DataFrame(
            {"user": user, "item": item, "timestamp": 1, "weight": 1.0, "action": "bought"}
        )

    items = pd.DataFrame({"item": range(4), "title": list("abcd")})
    data = Dataset("baskets", frame([(0, 0), (1, 0), (2, 0)]), items)
    train = frame([(0, 0), (0, 1), (1, 1)])
    # User 0 buys a again and c for the first time, twice; user 1 buys b again; user 2 is new.
    test = frame([(0, 0), (0, 2), (0, 2), (1, 1), (2, 3)])
    return Split(data, "time", 0, train, frame([]), test, history=train)


def test_repeats_are_candidates_and_targets(split):
    found = evaluate_baskets(Fixed().fit(split), split, ks=(1, 2, 4), metrics=("recall", "hit"))
    assert found.users.tolist() == [0, 1, 2]
    # User 0 wants ranks 1 and 3; user 1 ties for rank 1 with one other; user 2 with three others.
    np.testing.assert_allclose(found.per_user("recall@1"), [1 / 2, 1 / 2, 1 / 4])
    np.testing.assert_allclose(found.per_user("recall@2"), [1 / 2, 1, 2 / 4])
    np.testing.assert_allclose(found.per_user("recall@4"), [1, 1, 1])
    np.testing.assert_allclose(found.per_user("hit@1"), [1, 1 / 2, 1 / 4])


def test_ndcg_by_hand(split):
    found = evaluate_baskets(Fixed().fit(split), split, ks=(3,), metrics=("ndcg",))
    ideal = 1 + 1 / np.log2(3)
    assert found.per_user("ndcg@3")[0] == pytest.approx((1 + 1 / 2) / ideal)


def test_discovery_asks_for_less(split):
    found = evaluate(Fixed().fit(split), split, ks=(1,), metrics=("recall",), users=[0, 1])
    assert found.users.tolist() == [0]  # user 1 bought nothing new
    assert found.per_user("recall@1").tolist() == [1.0]  # a and b are no candidates: c is first
    assert found.left_out == 1


def test_a_model_fitted_on_the_split_keeps_its_history(split):
    model = Popularity().fit(split)
    before = model.seen_.toarray()
    evaluate_baskets(model, split, ks=(1,), metrics=("hit",))
    assert np.array_equal(model.seen_.toarray(), before)
    assert len(split.history) == 3


def test_items_and_users_can_be_chosen(split):
    model = Fixed().fit(split)
    found = evaluate_baskets(model, split, ks=(1,), metrics=("hit",), users=[0], items=[1, 2])
    assert found.per_user("hit@1").tolist() == [0.0]  # of b and c, b stands first and c was bought
    assert evaluate_baskets(model, split, metrics=("hit",), name="mine").name == "mine"

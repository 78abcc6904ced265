import dataclasses

import numpy as np
import pytest
from scipy import sparse

from llmrec.models import (
    EASE,
    Ensemble,
    Features,
    ItemKNN,
    Popularity,
    ReciprocalRankFusion,
    Recommender,
    TextSimilarity,
)
from llmrec.models.ensemble import softmax_weights, standardised


class Fixed(Recommender):
    """Gives the scores that it was told; folds a history in by its first user's scores."""

    def __init__(self, table):
        self.table = table

    def _fit(self, split, features):
        self.table_ = np.asarray(self.table, np.float32)

    def score(self, users):
        return self.table_[self._codes(users)]

    def fold_in(self, histories):
        return np.repeat(self.table_[:1], len(histories), axis=0)


def world(split_of, n_users=40, n_items=30, seed=0):
    """Each user read item 0, and one item is held out for validation."""
    rng = np.random.default_rng(seed)
    target = rng.integers(1, n_items, n_users)
    split = split_of(
        [(u, 0) for u in range(n_users)], n_users, n_items, valid=list(enumerate(target))
    )
    noise = rng.normal(size=(n_users, n_items))
    good = rng.normal(size=(n_users, n_items))
    good[np.arange(n_users), target] += 3
    return split, good, noise


def test_reciprocal_ranks_by_hand(split_of):
    split = split_of([(0, 3)], 1, 4)
    # Item 3 is seen: ranks of 0, 1, 2 are 1, 2, 3 and, tied, 2.5, 1, 2.5.
    members = {"a": Fixed([[5, 4, 3, 9]]), "b": Fixed([[0, 7, 0, 9]])}
    scores = ReciprocalRankFusion(members).fit(split).score(np.array([0]))[0]
    expected = [1 / 61 + 1 / 62.5, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62.5]
    np.testing.assert_allclose(scores[:3], expected, rtol=1e-6)


def test_standardised_by_hand():
    seen = sparse.csr_matrix([[0, 0, 0, 1.0], [0, 0, 0, 0]])
    scores = np.array([[1, 2, 3, 100], [7, 7, 7, 7]], np.float32)
    z = standardised(scores, seen)
    np.testing.assert_allclose(z[0, :3], np.array([-1, 0, 1]) / np.sqrt(2 / 3))
    assert (z[1] == 0).all()
    shifted = standardised(scores * 2 + 5, seen)  # a member's own scale does not matter
    np.testing.assert_allclose(shifted, z, rtol=1e-6)


def test_a_constant_that_floats_cannot_hold_is_still_constant():
    scores = np.full((1, 5000), 0.1, np.float32)
    assert (standardised(scores, sparse.csr_matrix((1, 5000))) == 0).all()


def test_given_weights_by_hand(split_of):
    split = split_of([(0, 3)], 1, 4)
    members = {"a": Fixed([[1, 2, 3, 9]]), "b": Fixed([[6, 4, 2, 9]])}
    model = Ensemble(members, weights={"b": 1.0, "a": 3.0}).fit(split)
    assert model.weights_ == {"a": 0.75, "b": 0.25}
    scores = model.score(np.array([0]))[0, :3]
    one = 1 / np.sqrt(2 / 3)
    np.testing.assert_allclose(scores, [-0.75 * one + 0.25 * one, 0, 0.5 * one], atol=1e-6)


def test_softmax_weights_meet_the_optimum_in_closed_form():
    # One feature, two items: p(target) = 1 / (1 + exp(-beta)). Three of four users prefer it.
    z = np.array([[1.0], [0.0]] * 4)
    target = np.array([True, False] * 3 + [False, True])
    found = softmax_weights(z, target, np.repeat(np.arange(4), 2))
    np.testing.assert_allclose(found, [np.log(3)], rtol=1e-4)


def test_softmax_weights_of_several_targets():
    # One user, z = (1, 0, 1/2), targets 0 and 2: Σ log p = 3/2 β - 2 log Z is largest where the
    # expected z equals the targets' mean, 3/4.
    z = np.array([[1.0], [0.0], [0.5]])
    (beta,) = softmax_weights(z, np.array([True, False, True]), np.zeros(3, int))
    p = np.exp(beta * z[:, 0])
    assert p @ z[:, 0] / p.sum() == pytest.approx(0.75, abs=1e-4)


def test_softmax_weights_are_not_negative():
    z = np.array([[0.0, 1.0], [1.0, 0.0]] * 3)
    target = np.array([False, True] * 3)
    beta = softmax_weights(z, target, np.repeat(np.arange(3), 2))
    assert beta[0] > 1
    assert beta[1] == 0


def test_the_better_member_gets_the_weight(split_of):
    split, good, noise = world(split_of)
    model = Ensemble({"noise": Fixed(noise), "good": Fixed(good)}).fit(split)
    assert sum(model.weights_.values()) == pytest.approx(1)
    assert model.weights_["good"] > 0.8
    alone = Ensemble({"good": Fixed(good)}).fit(split)
    assert alone.weights_ == {"good": 1.0}


def test_the_test_part_decides_nothing(split_of):
    split, good, noise = world(split_of)
    members = {"noise": Fixed(noise), "good": Fixed(good)}
    other = dataclasses.replace(split, test=split.valid.assign(item=1))
    assert Ensemble(members).fit(other).weights_ == Ensemble(members).fit(split).weights_


def test_only_items_before_the_shortlist_ends_are_candidates(split_of):
    split = split_of([(0, 0)], 1, 6)
    z, seen = np.array([[9.0, 5, 4, 3, 3, 1]]), split.matrix("history")
    two = Ensemble({}, shortlist=2)._first(z, seen)
    assert two.tolist() == [[False, True, True, False, False, False]]
    three = Ensemble({}, shortlist=3)._first(z, seen)  # 3 and 4 tie for the third place
    assert three.tolist() == [[False, True, True, False, False, False]]
    everything = Ensemble({}, shortlist=6)._first(z, seen)
    assert everything.tolist() == [[False, True, True, True, True, True]]


def test_members_that_help_nobody_share_equally(split_of):
    split, good, _ = world(split_of)
    bad = Ensemble({"a": Fixed(-good), "b": Fixed(-good)}, shortlist=30).fit(split)
    assert bad.weights_ == {"a": 0.5, "b": 0.5}


def test_cold_validation_users_are_folded_in(split_of):
    table = [[0, 5, 1, 0], [0, 0, 0, 0]]  # score() would give the cold user 1 zeros
    split = split_of([(0, 0)], 2, 4, history=[(1, 0)], valid=[(1, 1)])
    model = Ensemble({"a": Fixed(table), "b": Fixed([[0, 1, 5, 0]] * 2)}).fit(split)
    assert model.weights_["a"] > 0.99


def test_no_reachable_validation_item_is_refused(split_of):
    with pytest.raises(ValueError, match=r"'planted' has no validation item among .* first 100"):
        Ensemble({"a": Popularity()}).fit(split_of([(0, 0)], 1, 4))


@pytest.mark.parametrize("Fusion", [Ensemble, ReciprocalRankFusion])
def test_the_members_given_stay_unfitted(Fusion, split_of):
    split, *_ = world(split_of)
    member = EASE(l2=3.0)
    options = {"weights": {"ease": 1.0}} if Fusion is Ensemble else {}
    model = Fusion({"ease": member}, **options).fit(split)
    assert not hasattr(member, "weights_")
    assert model.members_["ease"].l2 == 3.0


def test_members_may_read_their_own_text(planted, features):
    other = Features(items=features.items[:, ::-1].copy())
    weights = {"one": 1.0, "two": 1.0}
    members = {"one": TextSimilarity(), "two": TextSimilarity()}
    model = Ensemble(members, weights, features={"two": other}).fit(planted, features)
    np.testing.assert_array_equal(model.members_["one"].items_, features.items)
    np.testing.assert_array_equal(model.members_["two"].items_, other.items)


@pytest.mark.parametrize("Fusion", [Ensemble, ReciprocalRankFusion])
def test_bad_members_and_features(Fusion, planted, features):
    with pytest.raises(ValueError, match="members is empty: name a recommender"):
        Fusion({}).fit(planted)
    with pytest.raises(ValueError, match=r"features name 'x', which is no member \(they are a\)"):
        Fusion({"a": ItemKNN()}, features={"x": features}).fit(planted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": {"b": 1.0}}, "weights name b, but members a"),
        ({"weights": {"a": -1.0}}, "must be at least 0, not all of them 0"),
        ({"weights": {"a": 0.0}}, "not all of them 0"),
        ({"weights": {"a": np.nan}}, "must be at least 0"),
        ({"shortlist": 0}, "shortlist=0 must be at least 1"),
    ],
)
def test_bad_arguments(planted, options, message):
    with pytest.raises(ValueError, match=message):
        Ensemble({"a": ItemKNN()}, **options).fit(planted)

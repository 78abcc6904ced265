import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.special import erf

from llmrec.data import histories_of
from llmrec.models import Features, TwoTower
from llmrec.models.two_tower import hold_out

SMALL = {"dim": 6, "epochs": 5, "batch_size": 8, "dropout": 0.0, "seed": 3}


def weights(tower):
    return {name: value.detach().numpy() for name, value in tower.named_parameters()}


def test_one_hot_and_identity_f_are_matrix_factorisation(planted):
    model = TwoTower(inputs="identity", **SMALL).fit(planted)
    one, two = weights(model.user_tower_), weights(model.item_tower_)
    assert set(one) == {"table", "bias"}
    w1 = one["table"].T  # (dim, n_users): W₁ as the article writes it
    u = (w1 @ np.eye(30) + one["bias"][:, None]).T  # W₁ X₁ + b₁ with X₁ = one-hot
    np.testing.assert_allclose(model.users_, u, atol=1e-6)
    factorised = (one["table"] + one["bias"]) @ (two["table"] + two["bias"]).T
    np.testing.assert_allclose(model.score(np.arange(30)), factorised, atol=1e-5)


@pytest.mark.parametrize(
    ("activation", "f"),
    [
        ("identity", lambda z: z),
        ("tanh", np.tanh),
        ("relu", lambda z: np.maximum(z, 0)),
        ("gelu", lambda z: z * (1 + erf(z / 2**0.5)) / 2),
    ],
)
def test_both_inputs_by_the_formula(planted, features, activation, f):
    model = TwoTower(inputs="both", activation=activation, **SMALL).fit(planted, features)
    x2 = features.items - features.items[:47].mean(axis=0)
    x2 /= np.linalg.norm(x2, axis=1, keepdims=True)
    x1 = planted.matrix("history") @ x2
    x1 /= np.linalg.norm(x1, axis=1, keepdims=True)
    expected = []
    for x, tower in ((x1, model.user_tower_), (x2, model.item_tower_)):
        w = weights(tower)
        expected.append(f(w["table"] + x @ w["weight"].T + w["bias"]))
    np.testing.assert_allclose(model.users_, expected[0], atol=1e-5)
    np.testing.assert_allclose(model.score(np.arange(30)), expected[0] @ expected[1].T, atol=1e-4)


def test_cold_codes_have_no_one_hot_part_and_fold_in_equals_score(planted, features):
    model = TwoTower(inputs="both", **SMALL).fit(planted, features)
    assert not weights(model.user_tower_)["table"][[27, 28, 29]].any()
    assert not weights(model.item_tower_)["table"][[47, 48, 49]].any()
    cold = np.array([27, 28, 29])
    folded = model.fold_in(histories_of(planted, cold))
    np.testing.assert_allclose(folded, model.score(cold), atol=1e-5)


def test_targets_never_enter_the_text_they_are_predicted_from(planted, features):
    """Each training batch's user vector is the mean of the history without the targets."""
    model = TwoTower(**SMALL).fit(planted, features)
    x = planted.matrix("train")
    vectors = model._item_text
    batches = list(model._batches(x, np.arange(27), np.random.default_rng(0)))
    assert sorted(np.concatenate([codes for codes, _, _ in batches])) == list(range(27))
    for codes, text, targets in batches:
        for row, user in enumerate(codes):
            target = set(targets[[row]].indices)
            history = set(x[[user]].indices)
            assert target < history
            assert len(target) == 5  # half of ten
            mean = vectors[sorted(history - target)].sum(axis=0)
            np.testing.assert_allclose(text[row], mean / np.linalg.norm(mean), atol=1e-5)


def test_hold_out_is_a_partition_and_the_smallest_share_leaves_one_out():
    x = sparse.csr_matrix(np.array([[1, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0]], float))
    known, target = hold_out(x, 0.01, np.random.default_rng(0))
    assert np.diff(target.indptr).tolist() == [1, 1, 0]
    assert np.diff(known.indptr).tolist() == [3, 0, 0]
    assert np.array_equal((known + target).toarray(), x.toarray())
    counts = sum(
        hold_out(x, 0.5, np.random.default_rng(seed))[1].toarray()[0] for seed in range(400)
    )
    assert np.abs(counts[:4] / 400 - 0.5).max() < 0.1  # each item equally often


def test_given_user_vectors_are_used(planted, features):
    users = np.eye(30, 5)
    given = Features(features.items, users.astype(np.float32))
    model = TwoTower(**SMALL).fit(planted, given)
    assert model.user_tower_.weight.shape == (6, 5)
    assert model.item_tower_.weight.shape == (6, 8)
    with pytest.raises(NotImplementedError, match="fitted on 5-dimensional user vectors"):
        model.fold_in(histories_of(planted, [27]))


def test_early_stopping_keeps_the_best_epoch(split_of, planted, features):
    valid = planted.test[planted.test["user"] < 27][["user", "item"]].to_numpy()
    cells = planted.train[["user", "item"]].to_numpy()
    split = split_of(cells, 30, 50, valid=valid)
    settings = {**SMALL, "epochs": 60, "patience": 3, "lr": 0.05}
    model = TwoTower(**settings).fit(split, features)
    shares = model.valid_history_
    best = int(np.argmax(shares))
    assert len(shares) == len(model.history_) == best + 1 + 3 < 60
    items, _ = model.recommend(np.arange(27), 10)
    hits = sum(item in items[user] for user, item in valid)
    assert hits / len(valid) == pytest.approx(shares[best], abs=1e-9)
    no_valid = TwoTower(**SMALL).fit(planted, features)
    assert no_valid.valid_history_ == []
    assert len(no_valid.history_) == 5


def test_the_global_random_stream_and_threads_are_left_alone(planted, features):
    torch.manual_seed(5)
    expected = torch.rand(3)
    threads = torch.get_num_threads()
    torch.manual_seed(5)
    TwoTower(**SMALL).fit(planted, features)
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"inputs": "images"}, "inputs='images' must be one of text, identity, both"),
        ({"activation": "sine"}, "activation='sine' must be one of identity, tanh, relu, gelu"),
        ({"loss": "mse"}, "loss='mse' must be one of softmax, bpr, bce"),
        ({"dim": 0}, "dim=0 must be at least 1"),
        ({"holdout": 0.0}, r"holdout=0.0 in \(0, 1\]"),
        ({"dropout": 1.0}, "dropout=1.0 in"),
        ({"temperature": 0.0}, "temperature=0.0 must be positive"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"epochs": 0}, "epochs=0"),
        ({"loss": "bpr", "negatives": 0}, "n=0 must be at least 1"),
    ],
)
def test_bad_arguments(planted, features, bad, message):
    with pytest.raises(ValueError, match=message):
        TwoTower(**{**SMALL, **bad}).fit(planted, features)

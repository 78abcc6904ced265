import numpy as np
import pytest
import torch
from scipy import sparse
from torch.nn import functional as F

from chapters.ledger_alpha_rec import AlphaRec, propagate
from llmrec.data import History, histories_of
from llmrec.models import Features

SMALL = {"dim": 6, "epochs": 4, "batch_size": 8, "lr": 0.01, "seed": 3}


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def centred(features):
    return unit(features.items - features.items[:47].mean(axis=0))  # 47, 48, 49 are cold


def f(model, text):
    with torch.no_grad():
        return model.map_(torch.from_numpy(text.astype(np.float32))).numpy()


def test_zero_layers_are_the_map_and_the_mean(planted, features):
    model = AlphaRec(layers=0, **SMALL).fit(planted, features)
    text = centred(features)
    history = planted.matrix("history").toarray()
    mean = history @ text / history.sum(axis=1, keepdims=True)
    weight = model.map_.weight.detach().numpy()  # (6, 8)
    np.testing.assert_allclose(model.items_, unit(text @ weight.T), atol=1e-5)
    np.testing.assert_allclose(model.users_, unit(mean @ weight.T), atol=1e-5)
    np.testing.assert_allclose(
        model.score(np.arange(30)), unit(mean @ weight.T) @ unit(text @ weight.T).T, atol=1e-5
    )


def test_a_step_by_hand():
    """User 0 took items 0 and 1, user 1 item 1: degrees 2, 1 and 1, 2."""
    a, b = 1 / np.sqrt(2), 1 / 2  # 1/√(2·1), 1/√(2·2); user 1's edge is 1/√(1·2)
    graph = sparse.csr_matrix(np.array([[a, b], [0, a]]))
    users, items = np.array([[1.0], [10.0]]), np.array([[100.0], [1000.0]])
    layers = propagate(graph, users, items, 2)
    np.testing.assert_allclose(layers[0][0], users)
    np.testing.assert_allclose(layers[1][0], [[100 * a + 1000 * b], [1000 * a]])
    np.testing.assert_allclose(layers[1][1], [[1 * a], [1 * b + 10 * a]])
    np.testing.assert_allclose(layers[2][1], graph.toarray().T @ layers[1][0])
    assert len(layers) == 3


@pytest.mark.parametrize("kind", ["linear", "mlp"])
@pytest.mark.parametrize("layers", [1, 3])
def test_propagation_is_the_dense_normalised_adjacency(planted, features, kind, layers):
    """The mean of D^{-1/2} A D^{-1/2} to the powers 0…K, times layer 0, over all nodes at once."""
    model = AlphaRec(map=kind, layers=layers, **SMALL).fit(planted, features)
    x = planted.matrix("train").toarray()
    adjacency = np.block([[np.zeros((30, 30)), x], [x.T, np.zeros((50, 50))]])
    degree = adjacency.sum(axis=1)
    root = np.divide(1, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
    a = root[:, None] * adjacency * root
    text = centred(features)
    mean = x @ text / np.maximum(x.sum(axis=1, keepdims=True), 1)
    start = np.vstack([f(model, mean), f(model, text)])
    power, total = start, start.copy()
    for _ in range(layers):
        power = a @ power
        total += power
    warm = np.arange(27)
    np.testing.assert_allclose(model.users_[warm], unit(total[warm]), atol=1e-5)
    np.testing.assert_allclose(model.items_, unit(total[30:]), atol=1e-5)


@pytest.mark.parametrize("kind", ["linear", "mlp"])
def test_training_sees_the_vectors_that_score(planted, features, kind):
    """What the loss embeds (for a linear map, smoothed before it) is what `score` uses."""
    model = AlphaRec(map=kind, **SMALL).fit(planted, features)
    embed = model._embedder(planted.matrix("train"))
    with torch.no_grad():
        u, v = embed(torch.tensor([3, 0]), torch.tensor([5, 49]))
    np.testing.assert_allclose(F.normalize(u), model.users_[[3, 0]], atol=1e-5)
    np.testing.assert_allclose(F.normalize(v), model.items_[[5, 49]], atol=1e-5)


def test_the_loss_is_info_nce_over_warm_items(planted, features):
    """One batch of all users and a step too small to matter: the recorded loss, by hand."""
    options = SMALL | {"epochs": 1, "batch_size": 100, "lr": 1e-9}
    model = AlphaRec(temperature=0.2, **options).fit(planted, features)
    logits = model.users_[:27].astype(float) @ model.items_[:47].T / 0.2
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    x = planted.matrix("train").toarray()[:27, :47]
    assert model.history_[0] == pytest.approx(-(x * log_p).sum() / x.sum(), rel=1e-5)


def test_folding_in_a_warm_users_history_gives_the_users_own_scores(planted, features):
    model = AlphaRec(map="mlp", layers=3, **SMALL).fit(planted, features)
    warm = np.arange(27)
    folded = model.fold_in(histories_of(planted, warm))
    embed = model._embedder(planted.matrix("train"))
    with torch.no_grad():
        u, _ = embed(torch.from_numpy(warm), torch.tensor([0]))
    np.testing.assert_allclose(folded, F.normalize(u).numpy() @ model.items_.T, atol=1e-5)
    cold = np.array([27, 28, 29])
    np.testing.assert_allclose(
        model.fold_in(histories_of(planted, cold)), model.score(cold), atol=1e-6
    )


def test_cold_items_are_the_map_alone_and_give_text_but_no_edge(planted, features):
    model = AlphaRec(**SMALL).fit(planted, features)
    text = centred(features)
    np.testing.assert_allclose(model.items_[47:], unit(f(model, text[47:])), atol=1e-5)
    expected = unit(f(model, text[[48]])) @ model.items_.T
    np.testing.assert_allclose(model.fold_in([History([48])]), expected, atol=1e-5)
    empty = model.fold_in([History([])])
    assert not empty.any()


def test_early_stopping_keeps_the_best_epoch(split_of, planted, features):
    valid = planted.test[planted.test["user"] < 27][["user", "item"]].to_numpy()
    split = split_of(planted.train[["user", "item"]].to_numpy(), 30, 50, valid=valid)
    model = AlphaRec(**SMALL | {"epochs": 50, "patience": 3}).fit(split, features)
    recall = model.valid_history_
    best = int(np.argmax(recall))
    assert len(recall) == len(model.history_) == best + 1 + 3 < 50
    items, _ = model.recommend(np.arange(27), 10)
    hits = sum(item in items[user] for user, item in valid)
    assert hits / len(valid) == pytest.approx(recall[best], abs=1e-9)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"map": "cubic"}, "map='cubic' must be one of linear, mlp"),
        ({"layers": -1}, "layers=-1 at least 0"),
        ({"dim": 0}, "dim=0 at least 1"),
        ({"temperature": 0.0}, "temperature=0.0 must be positive"),
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
    ],
)
def test_bad_arguments(planted, features, bad, message):
    with pytest.raises(ValueError, match=message):
        AlphaRec(**SMALL | bad).fit(planted, Features(items=features.items))

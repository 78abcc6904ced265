import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chapters.ch10_sasrec import SASRec, SASRecNet, _Loss, principal_axes
from llmrec.data import History, histories_of
from llmrec.models import Features

SMALL = {"dim": 8, "layers": 1, "max_len": 6, "epochs": 3, "batch_size": 8, "lr": 0.01, "seed": 3}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return SASRecNet(torch.randn(20, 8), None, max_len=7, layers=2, heads=2, p=0.1).eval()


def last(net, codes):
    with torch.no_grad():
        return net(net.items(), torch.tensor(codes))


def test_a_later_item_does_not_change_earlier_outputs(net):
    one, other = last(net, [[1, 2, 3, 4, 5]]), last(net, [[1, 2, 3, 9, 5]])
    assert torch.equal(one[:, :3], other[:, :3])
    assert (one[:, 3:] - other[:, 3:]).abs().amin(dim=2).min() > 0
    swapped = last(net, [[2, 1, 3, 4, 5]])
    assert (one[:, 4] - swapped[:, 4]).abs().max() > 1e-3  # the order of the past counts


def test_padding_changes_nothing(net):
    alone, beside = last(net, [[4, 5]]), last(net, [[1, 2, 3, 4, 5], [-1, -1, -1, 4, 5]])
    torch.testing.assert_close(alone[0], beside[1, 3:])


def test_equals_torch_transformer_encoder(net):
    layer = nn.TransformerEncoderLayer(8, 2, 8, dropout=0.1, norm_first=True, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    names = {"qkv.": "self_attn.in_proj_", "out.": "self_attn.out_proj.", "inner.": "linear1."}
    names |= {"outer.": "linear2.", "norm_1.": "norm1.", "norm_2.": "norm2."}
    state = {}
    for key, value in net.state_dict().items():
        if key.startswith("blocks"):
            _, number, rest = key.split(".", 2)
            module, kind = rest.split(".")
            state[f"layers.{number}.{names[module + '.']}{kind}"] = value
        elif key.startswith("norm"):
            state[key] = value
    with torch.no_grad():  # weights that matter, LayerNorm's too
        for value in state.values():
            value.add_(0.3 * torch.randn(value.shape))
    encoder.load_state_dict(state)
    codes = torch.tensor([[1, 2, 3, 4], [19, 0, 7, 7]])
    x = net.table[codes] * 8**0.5 + net.positions[3:]
    mask = torch.ones(4, 4, dtype=torch.bool).triu(1)
    with torch.no_grad():
        expected = encoder.eval()(x, mask=mask)
    torch.testing.assert_close(last(net, codes.tolist()), expected, atol=1e-5, rtol=1e-5)


def test_windows_make_each_later_item_a_target_once():
    windows = SASRec(max_len=3)._windows([np.arange(8), np.arange(1), np.arange(0), np.arange(2)])
    assert [(user, list(items)) for user, items in windows] == [
        (0, [4, 5, 6, 7]),
        (0, [1, 2, 3, 4]),
        (0, [0, 1]),
        (3, [0, 1]),
    ]


def test_batches_are_right_aligned_shifted_by_one_and_complete():
    model = SASRec(max_len=5, batch_size=2)
    histories = [np.arange(n) + 10 * n for n in (3, 2, 5, 2, 4)]
    batches = list(model._batches(model._windows(histories), np.random.default_rng(0)))
    assert [len(users) for users, _, _ in batches].count(2) == 2
    seen = set()
    for users, codes, targets in batches:
        assert codes.shape[1] == max(len(histories[u]) for u in users) - 1  # no wider than needed
        for user, inputs, following in zip(users, codes, targets, strict=True):
            pad = codes.shape[1] - len(histories[user]) + 1
            assert inputs.tolist() == [-1] * pad + histories[user][:-1].tolist()
            assert following.tolist() == [-1] * pad + histories[user][1:].tolist()
            seen.add(int(user))
    assert seen == {0, 1, 2, 3, 4}


@pytest.fixture
def half_trained(planted, features):
    """A model without dropout, its net in place, and the batch whose losses the tests recompute."""

    def make(**options):
        model = SASRec(**SMALL | {"dropout": 0.0} | options).fit(planted, features)
        batch = (
            np.array([0, 1]),
            torch.tensor([[3, 6, 9], [-1, 4, 1]]),
            torch.tensor([[6, 9, 12], [-1, 1, 7]]),
        )
        h = model.net_(model.net_.items(), batch[1])
        real = torch.stack([h[0, 0], h[0, 1], h[0, 2], h[1, 1], h[1, 2]])
        return model, batch, real, torch.tensor([6, 9, 12, 1, 7])

    return make


@pytest.mark.parametrize(("inputs", "candidates"), [("identity", 50), ("text", 47)])
def test_cross_entropy_reads_real_positions_and_its_candidates(
    planted, half_trained, inputs, candidates
):
    model, batch, h, targets = half_trained(inputs=inputs)
    warm = np.arange(candidates)  # the cold items are the last three
    loss = _Loss(model, planted.matrix("train"), warm, np.random.default_rng(0))(batch)
    items = model.net_.items()
    expected = F.cross_entropy(h @ items[:candidates].T, targets)
    torch.testing.assert_close(loss, expected)
    for got, wanted in zip(
        torch.autograd.grad(loss, model.net_.parameters()),
        torch.autograd.grad(expected, model.net_.parameters()),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)


def test_fit_takes_the_whole_catalogue_as_negatives_only_without_text(planted, features):
    """At the start scores are all but equal, so the first loss is the log of their number."""
    options = SMALL | {"epochs": 1, "lr": 1e-9}
    losses = {
        inputs: SASRec(**options | {"inputs": inputs}).fit(planted, features).history_[0]
        for inputs in ("identity", "text", "text-initialised")
    }
    assert losses["identity"] == pytest.approx(np.log(50), abs=0.02)
    assert losses["text"] == pytest.approx(np.log(47), abs=0.02)
    assert losses["text-initialised"] == pytest.approx(losses["text"], abs=0.01)


def test_binary_cross_entropy_sets_each_target_against_an_unseen_item(planted, half_trained):
    model, batch, h, targets = half_trained(loss="bce")
    loss = _Loss(model, planted.matrix("train"), np.arange(50), np.random.default_rng(5))
    drawn = loss.sampler(np.array([0, 0, 0, 1, 1]), 1, np.random.default_rng(5))[:, 0]
    assert not planted.matrix("train")[[0, 0, 0, 1, 1], drawn].any()
    items = model.net_.items()
    positive, negative = (h * items[targets]).sum(1), (h * items[drawn]).sum(1)
    expected = (-F.logsigmoid(positive) - F.logsigmoid(-negative)).mean() / 2
    torch.testing.assert_close(loss(batch), expected)


def test_order_is_learned(split_of):
    """Each user walks the same circle: only the latest item tells the next."""
    cells = [(user, (user + step) % 12) for user in range(12) for step in range(6)]
    split = split_of(cells, 12, 15)
    model = SASRec(**SMALL | {"max_len": 5, "epochs": 60, "dropout": 0.0}).fit(split)
    items, _ = model.recommend(np.arange(12), 1)
    assert items[:, 0].tolist() == [(user + 6) % 12 for user in range(12)]
    scores = model.fold_in([History(np.arange(5)), History(np.arange(5)[::-1]), History([])])
    assert scores[0].argmax() == 5
    assert scores[1].argmax() != 5
    assert not scores[2].any()  # nothing is known
    probability = torch.softmax(torch.from_numpy(model.score(np.arange(12))), dim=1)
    assert probability[:, 12:].max() < 1 / 30  # the cold have sunk: half of chance at most


def test_scores_follow_the_history_and_its_last_max_len_items(planted, features):
    model = SASRec(**SMALL).fit(planted, features)
    histories = histories_of(planted)
    shortened = [History(history.items[-6:]) for history in histories]
    np.testing.assert_array_equal(model.fold_in(histories), model.fold_in(shortened))
    expected = last(model.net_, [shortened[28].items.tolist()])[0, -1] @ model.net_.items().T
    np.testing.assert_allclose(model.score(np.array([28]))[0], expected.detach(), atol=1e-5)


def test_text_items_are_one_linear_map_of_centred_text(planted, features):
    model = SASRec(**SMALL | {"inputs": "text"}).fit(planted, features)
    text = features.items - features.items[:47].mean(axis=0)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    weight = model.net_.weight.detach().numpy()
    np.testing.assert_allclose(model.items_, text @ weight, atol=1e-5)
    assert len(np.unique(model.items_[47:], axis=0)) == 3  # the cold have vectors of their own


def test_text_initialised_starts_where_text_starts(planted, features):
    nets = []
    for inputs in ("text", "text-initialised"):
        torch.manual_seed(0)
        model = SASRec(**SMALL | {"inputs": inputs})
        nets.append(model._net(planted, features, np.arange(47)))
    torch.testing.assert_close(nets[0].items(), nets[1].items())
    assert nets[0].items()[:47].square().mean().item() == pytest.approx(0.02**2, rel=1e-3)
    assert nets[1].table.shape == (50, 8)
    assert nets[1].weight is None


def test_principal_axes_whiten_and_stop_at_the_rank():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(40, 3)) * [5, 1, 0.1] @ np.eye(3, 6)
    out = rows @ principal_axes(rows, 5)
    np.testing.assert_allclose(out.T @ out / 40, np.diag([1, 1, 1, 0, 0]), atol=1e-4)
    assert abs(np.corrcoef(out[:, 0], rows[:, 0])[0, 1]) > 0.99  # the largest comes first


def test_early_stopping_keeps_the_best_epoch(split_of, planted):
    valid = planted.test[planted.test["user"] < 27][["user", "item"]].to_numpy()
    split = split_of(planted.train[["user", "item"]].to_numpy(), 30, 50, valid=valid)
    model = SASRec(**SMALL | {"epochs": 60, "patience": 3, "lr": 0.02}).fit(split)
    recall = model.valid_history_
    best = int(np.argmax(recall))
    assert len(recall) == len(model.history_) == best + 1 + 3 < 60
    items, _ = model.recommend(np.arange(27), 10)
    hits = sum(item in items[user] for user, item in valid)
    assert hits / len(valid) == pytest.approx(recall[best], abs=1e-9)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"inputs": "images"}, "inputs='images' must be one of identity, text-initialised, text"),
        ({"loss": "mse"}, "loss='mse' must be one of ce, bce"),
        ({"heads": 3}, "heads must divide dim"),
        ({"max_len": 0}, "max_len=0 must be at least 1"),
        ({"dropout": 1.0}, r"dropout=1.0 must be in \[0, 1\)"),
        ({"batch_size": 0}, "size=0 must be at least 1|batch_size=0"),
    ],
)
def test_bad_arguments(planted, features, bad, message):
    with pytest.raises(ValueError, match=message):
        SASRec(**SMALL | bad).fit(planted, Features(items=features.items))


def test_single_events_are_refused(split_of):
    with pytest.raises(ValueError, match="no user of split 'planted' has two train interactions"):
        SASRec(**SMALL).fit(split_of([(0, 1), (1, 2)], 2, 3))

import math

import numpy as np
import pytest
import torch
from scipy import sparse
from scipy.stats import chisquare

from llmrec.training import (
    NegativeSampler,
    bce_loss,
    bpr_loss,
    held_out_recall,
    linear_cross_entropy,
    minibatches,
    seeded,
    softmax_loss,
    train,
)


def test_bce_by_hand():
    logits, labels = torch.tensor([0.0, math.log(3.0)]), torch.tensor([1.0, 0.0])
    # σ(0) = 1/2, σ(log 3) = 3/4: −(log 1/2 + log 1/4) / 2
    assert bce_loss(logits, labels).item() == pytest.approx(1.5 * math.log(2), rel=1e-6)
    assert bce_loss(torch.tensor([1000.0]), torch.tensor([0.0])).item() == 1000.0  # no overflow


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_linear_cross_entropy_equals_torch_and_so_do_its_gradients(rows):
    generator = torch.Generator().manual_seed(0)
    sides = [torch.randn(n, 4, generator=generator, dtype=torch.float64) for n in (7, 5)]
    targets = torch.tensor([0, 4, 2, 2, 1, 0, 3])
    losses, gradients = [], []
    for loss in (
        lambda h, v: linear_cross_entropy(h, v, targets, rows),
        lambda h, v: torch.nn.functional.cross_entropy(h @ v.T, targets),
    ):
        hidden, items = (side.clone().requires_grad_() for side in sides)
        value = loss(2 * hidden, items)
        losses.append(value)
        gradients.append(torch.autograd.grad(3 * value, (hidden, items)))
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(*gradients)


def test_linear_cross_entropy_is_finite_where_a_probability_underflows():
    hidden = torch.tensor([[1.0]], requires_grad=True)
    items = torch.tensor([[0.0], [1000.0]])
    loss = linear_cross_entropy(hidden, items, torch.tensor([0]))
    loss.backward()
    assert 87 < loss.item() < 1000  # the loss is cut off there, the gradient is not
    assert hidden.grad.item() == 1000.0


def test_held_out_recall_by_hand():
    scores = np.array([[5, 4, 3, 2, 1], [5, 4, 3, 2, 1], [0, 0, 0, 0, 0]], np.float32)
    known = sparse.csr_matrix(np.array([[1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]))
    held_out = sparse.csr_matrix(np.array([[1, 0, 1, 0, 0], [1, 0, 1, 0, 0], [0, 1, 0, 0, 0]]))

    def recall(k):
        return held_out_recall(lambda users: scores[users], known, held_out, k)

    assert recall(1) == 1 / 4  # user 0's item 0 is known: neither a candidate nor a target
    assert recall(2) == 2 / 4
    assert recall(3) == 3 / 4
    assert recall(4) == 3 / 4  # all scores equal: found only when everything is listed
    assert recall(5) == 1.0
    assert held_out_recall(lambda users: scores[users], held_out, held_out) == 0.0


def test_held_out_recall_does_not_depend_on_its_blocks():
    rng = np.random.default_rng(0)
    scores = rng.random((80, 30))
    known, held_out = (sparse.csr_matrix(rng.random((80, 30)) < share) for share in (0.2, 0.3))
    ranked = np.argsort(-np.where(known.toarray(), -np.inf, scores), axis=1)[:, :10]
    targets = held_out.toarray() & ~known.toarray()
    assert targets.sum() > 512
    expected = np.take_along_axis(targets, ranked, axis=1).sum() / targets.sum()
    assert held_out_recall(lambda users: scores[users], known, held_out) == expected


def test_bpr_by_hand_and_shift_invariance():
    positive, negative = torch.tensor([[math.log(3.0)], [0.0]]), torch.zeros(2, 2)
    expected = (math.log(4 / 3) + math.log(2)) / 2
    assert bpr_loss(positive, negative).item() == pytest.approx(expected, rel=1e-6)
    assert bpr_loss(positive + 7, negative + 7).item() == pytest.approx(expected, rel=1e-5)


def test_softmax_by_hand_in_both_forms():
    scores = torch.tensor([[math.log(1.0), math.log(2.0), math.log(5.0)], [0.0, 0.0, 0.0]])
    many = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    expected = (math.log(8) + math.log(4) + math.log(3)) / 3
    assert softmax_loss(scores, many).item() == pytest.approx(expected, rel=1e-6)
    one = softmax_loss(scores, torch.tensor([2, 0])).item()
    assert one == pytest.approx((math.log(8 / 5) + math.log(3)) / 2, rel=1e-6)
    # τ = 1/2 squares the odds 1 : 2 : 5
    sharp = softmax_loss(scores[:1], torch.tensor([1]), temperature=0.5).item()
    assert sharp == pytest.approx(math.log(30 / 4), rel=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0])
def test_softmax_refuses_a_bad_temperature(temperature):
    with pytest.raises(ValueError, match=r"temperature=.* must be positive"):
        softmax_loss(torch.zeros(1, 2), torch.tensor([0]), temperature)


def test_negatives_are_never_seen_and_are_uniform():
    seen = np.zeros((3, 9))
    seen[0, [0, 1, 8]] = 1
    seen[1, [2, 3, 4, 5, 6, 7, 8]] = 1
    rng = np.random.default_rng(0)
    users = np.repeat([2, 0, 1], 2000)
    drawn = NegativeSampler(sparse.csr_matrix(seen))(users, 3, rng)
    assert drawn.shape == (6000, 3)
    for user in range(3):
        counts = np.bincount(drawn[users == user].ravel(), minlength=9)
        unseen = seen[user] == 0
        assert counts[~unseen].sum() == 0
        assert (counts[unseen] > 0).all()
        assert chisquare(counts[unseen]).pvalue > 1e-4


def test_negatives_on_random_matrices():
    rng = np.random.default_rng(1)
    for density in (0.05, 0.5, 0.95):
        seen = rng.random((40, 30)) < density
        seen[:, rng.integers(30)] = False
        users = rng.integers(0, 40, 500)
        drawn = NegativeSampler(sparse.csr_matrix(seen))(users, 4, rng)
        assert drawn.min() >= 0
        assert drawn.max() < 30
        assert not seen[users[:, None], drawn].any()


def test_negatives_read_explicit_zeros_duplicates_and_disorder():
    seen = sparse.csr_matrix(
        (np.array([1.0, 1.0, 1.0, 0.0]), np.array([3, 0, 3, 1]), np.array([0, 4])), shape=(1, 4)
    )
    drawn = NegativeSampler(seen)(np.zeros(200, int), 1, np.random.default_rng(0))
    assert set(drawn.ravel()) == {1, 2}


def test_negatives_follow_the_generator():
    sampler = NegativeSampler(sparse.csr_matrix(np.eye(5)))
    one, two = (sampler(np.arange(5), 6, np.random.default_rng(9)) for _ in range(2))
    assert np.array_equal(one, two)


def test_negatives_of_a_user_who_saw_everything_are_refused():
    seen = sparse.csr_matrix(np.array([[1, 0], [1, 1]]))
    with pytest.raises(ValueError, match="user code 1 has seen all 2 items"):
        NegativeSampler(seen)(np.array([0, 1]), 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        NegativeSampler(seen)(np.array([0]), 0, np.random.default_rng(0))


def test_minibatches_cover_everything_once():
    parts = list(minibatches(10, 4, np.random.default_rng(0)))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert sorted(np.concatenate(parts)) == list(range(10))
    with pytest.raises(ValueError, match="batch_size=0"):
        list(minibatches(3, 0, np.random.default_rng(0)))


def fit_line(seed, **options):
    with seeded(seed) as generator:
        module = torch.nn.Linear(2, 1)
        x = torch.from_numpy(generator.normal(size=(64, 2)).astype(np.float32))
        y = x @ torch.tensor([[1.0], [-2.0]]) + 0.5

        def batches():
            for chosen in minibatches(64, 16, generator):
                yield x[chosen], y[chosen]

        history = train(module, batches, lambda b: ((module(b[0]) - b[1]) ** 2).mean(), **options)
    return module, history


def test_train_learns_a_line_and_reports_each_epoch():
    module, history = fit_line(0, epochs=80, lr=0.05)
    assert len(history) == 80
    np.testing.assert_allclose(module.weight.detach().numpy(), [[1.0, -2.0]], atol=0.01)
    assert history[-1] < 1e-3 < history[0]
    assert not module.training


def test_same_seed_same_bits():
    (one, first), (two, second), (_, third) = (fit_line(seed, epochs=5) for seed in (3, 3, 4))
    assert first == second != third
    assert torch.equal(one.weight, two.weight)


def test_the_reported_loss_is_the_mean_over_batches():
    module = torch.nn.Linear(1, 1)
    anchor = module.weight.sum() * 0
    values = iter([1.0, 3.0, 10.0, 20.0])
    history = train(
        module,
        lambda: [0, 1],
        lambda _: anchor.detach() + module.bias.sum() * 0 + next(values),
        epochs=2,
    )
    assert history == [2.0, 15.0]


def test_early_stopping_returns_to_the_best_epoch():
    module = torch.nn.Linear(1, 1, bias=False)
    reached = iter([0.1, 0.5, 0.4, 0.5, 0.9])
    weights = []

    def validate():
        assert not module.training
        assert not torch.is_grad_enabled()
        weights.append(module.weight.item())
        return next(reached)

    history = train(
        module,
        lambda: [None],
        lambda _: module.weight.sum(),
        epochs=9,
        lr=0.1,
        validate=validate,
        patience=2,
    )
    assert len(history) == 4  # best in epoch 2, then two without a better value
    assert module.weight.item() == weights[1]


def test_progress_is_shown_only_when_asked(capsys):
    fit_line(0, epochs=2)
    assert capsys.readouterr().err == ""
    fit_line(0, epochs=2, progress=True)
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize("bad", [{"epochs": 0}, {"epochs": 1, "lr": 0.0}, {"epochs": 1, "lr": -1}])
def test_train_refuses_bad_arguments(bad):
    with pytest.raises(ValueError, match="must be at least 1, lr="):
        train(torch.nn.Linear(1, 1), lambda: [0], lambda _: torch.tensor(0.0), **bad)


def test_train_refuses_no_batches_and_a_loss_that_explodes():
    module = torch.nn.Linear(1, 1)
    with pytest.raises(ValueError, match="gave no batch"):
        train(module, list, lambda _: module.weight.sum(), epochs=1)
    with pytest.raises(FloatingPointError, match="loss is nan in epoch 1; try a smaller lr"):
        train(module, lambda: [0], lambda _: module.weight.sum() * torch.nan, epochs=1)


def test_seeded_restores_the_global_stream():
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(99):
        inside = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    assert not torch.equal(inside, expected)

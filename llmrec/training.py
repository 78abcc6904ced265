"""Losses, negative sampling, and one plain training loop with progress and early stopping.

All neural models take the same arguments for it, and keep the same record of it:

- ``lr``, ``weight_decay``: AdamW's step and decoupled decay;
- ``epochs``: at most this many passes over the train part, in batches of ``batch_size``;
- ``patience``: epochs without a better recall@10 on ``split.valid`` before training stops and the
  best epoch's parameters come back; not used when valid is empty;
- ``seed``: of everything random: initial weights, order, dropout, held-out and negative items;
- ``history_``, ``valid_history_``: mean loss, and valid recall@10 where there is one, an epoch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from llmrec import config
from llmrec.data import Split


def bce_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy of logits: ``−y log σ(z) − (1−y) log(1−σ(z))``.

    Use it when each (user, item) pair carries its own label, in [0, 1]. It takes logits, not
    probabilities: ``softplus(z) − y z`` is the same number without overflow.

    Examples
    --------
    >>> round(bce_loss(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 1.0])).item(), 4)
    0.41
    """
    return F.binary_cross_entropy_with_logits(logits, labels)


def bpr_loss(positive: Tensor, negative: Tensor) -> Tensor:
    """Return the mean pairwise loss ``−log σ(s⁺ − s⁻)`` of taken against sampled items.

    Use it when only the order matters: adding a constant to a user's scores changes nothing. The
    scores broadcast against each other, such as ``(B, 1)`` and ``(B, n)``. Rendle et al., UAI 2009.
    """
    return F.softplus(negative - positive).mean()


def softmax_loss(scores: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the full-catalogue cross-entropy, averaged over the observed interactions.

    ``−Σ_ui y_ui log softmax_i(s_u / τ) / Σ_ui y_ui``: every item of the catalogue is a negative, so
    nothing is sampled.

    Parameters
    ----------
    scores:
        ``(B, n_items)``.
    targets:
        Either int64 ``(B,)``, one observed item a row, or float ``(B, n_items)``, many a row.
    temperature:
        τ > 0; a small one sharpens scores that are bounded, such as cosines.
    """
    if not temperature > 0:
        raise ValueError(f"softmax_loss: temperature={temperature} must be positive")
    if targets.ndim == 1:
        return F.cross_entropy(scores / temperature, targets)
    log_probability = F.log_softmax(scores / temperature, dim=1)
    return -(targets * log_probability).sum() / targets.sum()


def linear_cross_entropy(hidden: Tensor, items: Tensor, targets: Tensor, rows: int = 256) -> Tensor:
    """Return ``softmax_loss(hidden @ items.T, targets)`` without holding all of its scores.

    A large catalogue's scores fill the memory long before its vectors do. A few rows at a time are
    scored, turned into probabilities ``P`` and at once into the two gradients ``(P − Y) items`` and
    ``(P − Y)ᵀ hidden``, so that nothing of size ``(N, n_items)`` is kept for the backward pass.

    Parameters
    ----------
    hidden:
        ``(N, dim)``, N at least 1.
    items:
        ``(n_items, dim)``.
    targets:
        int64 ``(N,)``, one observed item a row.
    rows:
        Rows of scores held at once.
    """
    return _LinearCrossEntropy.apply(hidden, items, targets, rows)


class _LinearCrossEntropy(torch.autograd.Function):
    """The loss and, already in the forward pass, its gradients."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, items: Tensor, targets: Tensor, rows: int) -> Tensor:
        to_hidden, to_items = torch.empty_like(hidden), torch.zeros_like(items)
        total, tiny = hidden.new_zeros(()), torch.finfo(hidden.dtype).tiny
        for start in range(0, len(hidden), rows):
            block = slice(start, start + rows)
            target = targets[block]
            cells = torch.arange(len(target), device=target.device), target
            error = F.softmax(hidden[block] @ items.T, dim=1)  # (rows, n_items)
            total -= error[cells].clamp(min=tiny).log().sum()
            error[cells] -= 1.0
            torch.mm(error, items, out=to_hidden[block])
            to_items.addmm_(error.T, hidden[block])
        ctx.save_for_backward(to_hidden / len(hidden), to_items / len(hidden))
        return total / len(hidden)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        to_hidden, to_items = ctx.saved_tensors
        return gradients[0] * to_hidden, gradients[0] * to_items, None, None


class NegativeSampler:
    """Draws items uniformly (with replacement) from what a user has not seen, without rejection.

    A rank among the unseen items is drawn and turned into an item code: the ``r``-th unseen item is
    ``r`` plus the number of seen items before it. The index is built once and serves every batch.

    Parameters
    ----------
    seen:
        ``(n_users, n_items)``; nonzero cells are never drawn.
    """

    def __init__(self, seen: sparse.csr_matrix) -> None:
        seen = sparse.csr_matrix(seen, copy=True)
        seen.sum_duplicates()  # also sorts each row
        seen.eliminate_zeros()
        self.n_items = seen.shape[1]
        self.starts = seen.indptr.astype(np.int64)
        owner = np.repeat(np.arange(seen.shape[0]), np.diff(seen.indptr))
        place = np.arange(seen.nnz) - self.starts[owner]
        # Before the t-th seen item s_t (t from 0) stand s_t − t unseen ones, so the r-th unseen
        # item has as many seen ones before it as there are t with s_t − t ≤ r. These numbers do not
        # fall within a user, and users stand one after the other: one binary search finds them.
        self.keys = owner * (self.n_items + 1) + (seen.indices - place)

    def __call__(self, users: np.ndarray, n: int, generator: np.random.Generator) -> np.ndarray:
        """Return ``n`` items for each user code, int64 ``(B, n)``.

        Raises
        ------
        ValueError
            When ``n`` is below 1 or a user has seen the whole catalogue.
        """
        if n < 1:
            raise ValueError(f"NegativeSampler: n={n} must be at least 1")
        users = np.asarray(users, np.int64)
        unseen = self.n_items - np.diff(self.starts)[users]
        if (unseen == 0).any():
            raise ValueError(
                f"NegativeSampler: user code {users[unseen == 0][0]} has seen all"
                f" {self.n_items} items; leave that user out"
            )
        rank = generator.integers(0, unseen[:, None], (len(users), n))
        keys = users[:, None] * (self.n_items + 1) + rank
        before = np.searchsorted(self.keys, keys, side="right") - self.starts[users][:, None]
        return rank + before


def held_out_recall(
    score: Callable[[np.ndarray], np.ndarray],
    known: sparse.csr_matrix,
    held_out: sparse.csr_matrix,
    k: int = 10,
) -> float:
    """Return the share of held-out interactions that stand among their user's ``k`` best items.

    Items of ``known`` are neither candidates nor targets. An item is found when fewer than ``k``
    other candidates score as much or more, so that a model whose scores are all equal finds
    nothing. It serves early stopping; `llmrec.evaluation` measures.

    Parameters
    ----------
    score:
        Maps user codes ``(B,)`` to fresh scores ``(B, n_items)``.
    known, held_out:
        ``(n_users, n_items)``.
    """
    users, items = (held_out > known).nonzero()
    found = 0
    for start in range(0, len(users), 256):
        block = slice(start, start + 256)
        scores = score(users[block])
        scores[known[users[block]].nonzero()] = -np.inf
        own = scores[np.arange(len(scores)), items[block]]
        found += int(((scores >= own[:, None]).sum(axis=1) <= k).sum())
    return found / max(len(users), 1)


def recall_on_valid(
    model: Any, split: Split, embed: Callable[[], None]
) -> Callable[[], float] | None:
    """Return what `train` asks after each epoch, or None for a split without valid.

    ``embed`` brings ``model.users_`` and ``model.items_`` up to date; their `held_out_recall` on
    ``split.valid`` is noted in ``model.valid_history_``.
    """
    if not len(split.valid):
        return None
    known, valid = split.matrix("history"), split.matrix("valid")

    def recall() -> float:
        embed()
        reached = held_out_recall(lambda users: model.users_[users] @ model.items_.T, known, valid)
        model.valid_history_.append(reached)
        return reached

    return recall


@contextmanager
def seeded(seed: int) -> Iterator[np.random.Generator]:
    """Seed torch inside a block and yield a NumPy generator; leave the global stream as it was.

    Torch computes on one thread inside and on as many as before outside. These models are so small
    that a second thread waits more than it computes (ten times slower on a busy machine), and
    sums in one order give the same bits everywhere.
    """
    before = torch.get_num_threads()
    with torch.random.fork_rng():
        try:
            torch.manual_seed(seed)
            torch.set_num_threads(1)
            yield np.random.default_rng(seed)
        finally:
            torch.set_num_threads(before)


def float_tensor(array: np.ndarray) -> Tensor:
    """Return the array as a float32 tensor on the device of the book."""
    return torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(config.device())


def minibatches(n: int, size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield positions 0…n−1 in random order, ``size`` at a time; the last batch may be short."""
    if size < 1:
        raise ValueError(f"batch_size={size} must be at least 1")
    order = generator.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def train(
    module: nn.Module,
    batches: Callable[[], Iterable[Any]],
    loss: Callable[[Any], Tensor],
    *,
    epochs: int,
    lr: float = 1e-3,
    weight_decay: float = 0.0,
    validate: Callable[[], float] | None = None,
    patience: int = 5,
    progress: bool | None = None,
) -> list[float]:
    """Minimise ``loss(batch)`` with Adam and return the mean loss of each epoch.

    Parameters
    ----------
    module:
        Its parameters are trained in place.
    batches:
        Called once an epoch; returns that epoch's batches (shuffled, with fresh negatives).
    loss:
        Maps one batch to a scalar tensor.
    epochs, lr, weight_decay, patience:
        See the module.
    validate:
        Called after each epoch; higher is better.
    progress:
        True shows a bar, False none; None shows one on a terminal only.

    Returns
    -------
    list of float
        One mean batch loss an epoch run: what the chapters plot.

    Raises
    ------
    FloatingPointError
        When the loss becomes NaN or infinite.
    """
    if epochs < 1 or not lr > 0 or patience < 1:
        raise ValueError(
            f"train: epochs={epochs} and patience={patience} must be at least 1, lr={lr} positive"
        )
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=weight_decay, fused=True)
    history: list[float] = []
    best, best_state, waited = -np.inf, None, 0
    hidden = None if progress is None else not progress  # tqdm's None: off a terminal
    bar = tqdm(range(epochs), desc="training", unit="epoch", disable=hidden)
    for epoch in bar:
        module.train()
        losses = []
        for batch in batches():
            optimizer.zero_grad()
            value = loss(batch)
            value.backward()
            optimizer.step()
            losses.append(value.item())
        if not losses:
            raise ValueError("train: batches() gave no batch; is the train part empty?")
        history.append(float(np.mean(losses)))
        if not np.isfinite(history[-1]):
            raise FloatingPointError(
                f"train: the loss is {history[-1]} in epoch {epoch + 1}; try a smaller lr than {lr}"
            )
        bar.set_postfix(loss=f"{history[-1]:.4f}")
        if validate is not None:
            module.eval()
            with torch.no_grad():
                reached = validate()
            if reached > best:
                best, best_state, waited = reached, copy.deepcopy(module.state_dict()), 0
            else:
                waited += 1
            if waited >= patience:
                break
    bar.close()
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()
    return history

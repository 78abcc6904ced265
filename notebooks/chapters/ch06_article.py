"""The model as the article prints it: two embedding tables, a concatenation, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from llmrec import config
from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check
from llmrec.training import NegativeSampler, bce_loss, minibatches, seeded, train


class ArticleNet(nn.Module):
    """Logit of a (user, item) pair: ``z(u, i) = wᵀ [p_u; q_i] + b``."""

    def __init__(self, n_users: int, n_items: int, dim: int) -> None:
        super().__init__()
        self.users = nn.Embedding(n_users, dim)  # (n_users, d)
        self.items = nn.Embedding(n_items, dim)  # (n_items, d)
        self.output = nn.Linear(2 * dim, 1)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        both = torch.cat([self.users(users), self.items(items)], dim=-1)  # (B, 2d)
        return self.output(both).squeeze(-1)  # (B,)


@dataclass(eq=False, repr=False)
class ArticleModel(Recommender):
    """The article's program, made to run: binary cross-entropy on logits and sampled negatives.

    A linear layer on a concatenation is a sum, ``s(u, i) = a·p_u + c·q_i + b`` with ``w = [a; c]``:
    the user's part is the same for every item, so **every user gets the same ranking** and
    nothing can be personalised, whatever the data.

    Parameters
    ----------
    dim:
        Size of either table's vectors.
    epochs, batch_size, lr, seed:
        See `llmrec.training`; the article's 10, 64 and 0.001.
    negatives:
        Unseen items drawn for each train interaction, anew in each epoch.

    Attributes
    ----------
    user_effect_:
        float64 ``(n_users,)``, ``a·p_u``.
    item_effect_:
        float64 ``(n_items,)``, ``c·q_i``: the one ranking that everybody gets.
    intercept_:
        ``b``.
    net_:
        The trained `ArticleNet`.
    history_:
        Mean loss of each epoch.

    Notes
    -----
    ``score`` rounds the sum to float32, which may merge two neighbouring scores but never swaps
    them.
    """

    dim: int = 64
    epochs: int = 10
    batch_size: int = 64
    lr: float = 1e-3
    negatives: int = 1
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        check(self.dim >= 1, f"ArticleModel: dim={self.dim} must be at least 1")
        seen = split.matrix("train")
        sampler = NegativeSampler(seen)
        users, items = seen.nonzero()
        device = config.device()
        with seeded(self.seed) as generator:
            net = ArticleNet(split.n_users, split.n_items, self.dim).to(device)

            def batches():  # half positives, half negatives when negatives=1
                who = np.repeat(users, 1 + self.negatives)
                what = np.column_stack([items, sampler(users, self.negatives, generator)]).ravel()
                label = np.zeros((len(users), 1 + self.negatives), np.float32)
                label[:, 0] = 1.0
                table = [
                    torch.from_numpy(np.asarray(column)).to(device)
                    for column in (who.astype(np.int64), what.astype(np.int64), label.ravel())
                ]
                for chosen in minibatches(len(who), self.batch_size, generator):
                    rows = torch.from_numpy(chosen).to(device)
                    yield [column[rows] for column in table]

            def loss(batch):
                who, what, label = batch
                return bce_loss(net(who, what), label)

            self.history_ = train(net, batches, loss, epochs=self.epochs, lr=self.lr)
        self.net_ = net
        weight = net.output.weight.detach().double().cpu().numpy()[0]  # (2d,) = [a; c]
        self.user_effect_ = net.users.weight.detach().double().cpu().numpy() @ weight[: self.dim]
        self.item_effect_ = net.items.weight.detach().double().cpu().numpy() @ weight[self.dim :]
        self.intercept_ = float(net.output.bias.item())

    def score(self, users: np.ndarray) -> np.ndarray:
        effect = self.user_effect_[self._codes(users)] + self.intercept_
        return (effect[:, None] + self.item_effect_).astype(np.float32)

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return the item effects for every history: an unseen user's own part is taken as 0."""
        row = (self.item_effect_ + self.intercept_).astype(np.float32)
        return np.tile(row, (len(self._checked(histories)), 1))

"""Two towers: the article's mathematical model with f, W and b explicit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec import config
from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check, check_vectors, mean_history
from llmrec.training import (
    NegativeSampler,
    bpr_loss,
    float_tensor,
    minibatches,
    recall_on_valid,
    seeded,
    softmax_loss,
    train,
)
from llmrec.training import bce_loss as bce
from llmrec.vectors import centred, unit_rows

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda z: z,
    "tanh": torch.tanh,
    "relu": F.relu,
    "gelu": F.gelu,
}
INPUTS = ("text", "identity", "both")
LOSSES = ("softmax", "bpr", "bce")


class Tower(nn.Module):
    """One side of the model: ``f(W X + b)``, with X a one-hot code, a text vector, or both stacked.

    ``W [one-hot(i); x] = table[i] + weight x``, so the one-hot part of W is a table of rows.

    Attributes
    ----------
    table:
        ``(n, dim)`` or None; rows outside ``known`` start at zero and are never trained.
    weight:
        ``(dim, d)`` or None.
    bias:
        ``(dim,)``.
    """

    def __init__(
        self, known: np.ndarray, d: int, dim: int, inputs: str, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.table: nn.Parameter | None = None
        self.weight: nn.Parameter | None = None
        if inputs != "text":
            rows = torch.from_numpy(known.astype(np.float32))[:, None]
            self.table = nn.Parameter(0.1 * torch.randn(len(known), dim) * rows)
        if inputs != "identity":
            self.weight = nn.Parameter(0.1 * torch.randn(dim, d))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.dropout = nn.Dropout(dropout)
        self.activation = activation

    def forward(self, codes: Tensor | None, text: Tensor | None) -> Tensor:
        z: Tensor = self.bias  # (dim,)
        if self.table is not None and codes is not None:  # without a code the table adds zero
            z = z + self.table[codes]  # (B, dim)
        if self.weight is not None and text is not None:
            z = z + self.dropout(text) @ self.weight.T  # (B, d) -> (B, dim)
        return ACTIVATIONS[self.activation](z)


@dataclass(eq=False, repr=False)
class TwoTower(Recommender):
    """The article's section 4: ``U = f(W₁X₁ + b₁)``, ``V = f(W₂X₂ + b₂)``, ``R = U Vᵀ``.

    With one-hot X and f the identity it is matrix factorisation; with text it scores items and
    users that no interaction has named; with both, text is the prior and the one-hot part learns
    the deviation from it (zero for the cold).

    Parameters
    ----------
    dim:
        Size of U's and V's rows.
    inputs:
        ``"text"``, ``"identity"`` (one-hot codes) or ``"both"``.
    activation:
        f: ``"identity"``, ``"tanh"``, ``"relu"`` or ``"gelu"``.
    loss:
        ``"softmax"`` over the whole catalogue, or ``"bpr"`` or ``"bce"`` with sampled negatives.
    temperature:
        τ of the softmax loss.
    holdout:
        Share of a history that is the target while the rest is the input; see Notes.
    dropout:
        Share of text dimensions hidden at each step. It is what keeps a 384-dimensional map learnt
        from a thousand items from memorising them.
    negatives:
        Sampled unseen items for each target (``"bpr"``, ``"bce"``).
    weight_decay, lr, epochs, batch_size, patience, seed:
        See `llmrec.training`; a batch holds users, all their targets with them.

    Attributes
    ----------
    users_, items_:
        float32 ``(n_users, dim)`` and ``(n_items, dim)``: U and V.
    user_tower_, item_tower_:
        The trained `Tower` modules: W₁, b₁ and W₂, b₂.
    history_, valid_history_:
        See `llmrec.training`.

    Notes
    -----
    Requires ``Features(items=...)`` unless ``inputs="identity"``. A user's text vector is
    ``features.users[u]`` when given, else the mean of the history's item vectors. A mean that holds
    the very item to be predicted leaks the answer, so in training each visit of a user splits the
    history at random: a share ``holdout`` (at least one item) becomes the target, and the mean runs
    over the rest only. With one item held out this is the leave-one-out mean; a larger share is the
    same idea with many targets for one pass over the catalogue. Given ``features.users`` are used
    as they are, so write them without the targets or expect a leak in training (never in testing).

    Item vectors are centred on the warm items and scaled to unit rows, which W and b could undo for
    the centre; training is faster for it. Cold items are never negatives: a loss that pushed them
    down for lacking users would teach the text what "new" looks like.
    """

    dim: int = 64
    inputs: str = "text"
    activation: str = "identity"
    loss: str = "softmax"
    temperature: float = 1.0
    holdout: float = 0.5
    dropout: float = 0.5
    weight_decay: float = 1.0
    lr: float = 0.01
    epochs: int = 20
    batch_size: int = 128
    negatives: int = 4
    patience: int = 5
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        self._check_params()
        x = split.matrix("train")
        warm_users = np.diff(x.indptr) > 0
        warm_items = np.diff(x.tocsc().indptr) > 0
        self._prepare_text(split, features, warm_items)
        with seeded(self.seed) as generator:
            self.user_tower_ = self._tower(warm_users, self._user_text)
            self.item_tower_ = self._tower(warm_items, self._item_text)
            loss = _Loss(self, x, np.flatnonzero(warm_items), generator)
            self.valid_history_: list[float] = []
            self.history_ = train(
                nn.ModuleList([self.user_tower_, self.item_tower_]),
                lambda: self._batches(x, np.flatnonzero(warm_users), generator),
                loss,
                epochs=self.epochs,
                lr=self.lr,
                weight_decay=self.weight_decay,
                validate=recall_on_valid(self, split, lambda: self._embed(split)),
                patience=self.patience,
            )
            self._embed(split)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.users_[self._codes(users)] @ self.items_.T

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return scores for U made from the mean text of each history, with no one-hot part.

        Raises
        ------
        NotImplementedError
            With ``inputs="identity"``: an unseen user's one-hot column of W₁ was never trained.
            Also when ``features.users`` had another dimension than the items' vectors.
        """
        matrix, text = self._matrix(histories), self._item_text
        if text is None:
            raise NotImplementedError(
                "TwoTower with inputs='identity' cannot score users unseen in training: W₁ has no"
                " column for them; use inputs='text' or 'both'"
            )
        weight = self.user_tower_.weight
        if weight is not None and weight.shape[1] != text.shape[1]:
            raise NotImplementedError(
                f"TwoTower was fitted on {weight.shape[1]}-dimensional user vectors: a history of"
                f" {text.shape[1]}-dimensional item vectors cannot replace them"
            )
        with torch.no_grad():
            users = self.user_tower_(None, float_tensor(mean_history(matrix, text)))
        return users.cpu().numpy() @ self.items_.T

    def _check_params(self) -> None:
        choices = {"inputs": INPUTS, "activation": tuple(ACTIVATIONS), "loss": LOSSES}
        for name, allowed in choices.items():
            value = getattr(self, name)
            check(
                value in allowed,
                f"TwoTower: {name}={value!r} must be one of {', '.join(allowed)}",
            )
        check(
            self.dim >= 1 and 0 < self.holdout <= 1 and 0 <= self.dropout < 1,
            f"TwoTower: dim={self.dim} must be at least 1, holdout={self.holdout} in (0, 1] and"
            f" dropout={self.dropout} in [0, 1)",
        )

    def _tower(self, known: np.ndarray, text: np.ndarray | None) -> Tower:
        d = 0 if text is None else text.shape[1]
        tower = Tower(known, d, self.dim, self.inputs, self.activation, self.dropout)
        return tower.to(config.device())

    def _prepare_text(self, split: Split, features: Features, warm_items: np.ndarray) -> None:
        """Set the items' centred unit vectors and the users': their own text, or their mean."""
        self._item_text: np.ndarray | None = None
        self._user_text: np.ndarray | None = None
        self._own_user_text = features.users is not None
        if self.inputs == "identity":
            return
        items = check_vectors(features.items, split.n_items, "items", "TwoTower")
        self._item_text = unit_rows(centred(items, warm=warm_items))
        if features.users is not None:
            users = check_vectors(features.users, split.n_users, "users", "TwoTower")
            self._user_text = unit_rows(centred(users))
        else:
            self._user_text = mean_history(split.matrix("history"), self._item_text)

    def _batches(
        self, x: sparse.csr_matrix, users: np.ndarray, generator: np.random.Generator
    ) -> Iterator[tuple[np.ndarray, Tensor | None, sparse.csr_matrix]]:
        """Yield ``(user codes, their text, targets (B, n_items))`` over all warm users once."""
        for chosen in minibatches(len(users), self.batch_size, generator):
            codes = users[chosen]
            if self._user_text is None or self._own_user_text:
                text = None if self._user_text is None else float_tensor(self._user_text[codes])
                yield codes, text, x[codes]
            else:
                assert self._item_text is not None
                # The mean runs over the rest of the history: one that held a target would leak the
                # answer, and the tower would learn to copy it. (At test no target is in a history.)
                known, targets = hold_out(x[codes], self.holdout, generator)
                yield codes, float_tensor(mean_history(known, self._item_text)), targets

    def _embed(self, split: Split) -> None:
        with torch.no_grad():
            for name, tower, n, text in (
                ("users_", self.user_tower_, split.n_users, self._user_text),
                ("items_", self.item_tower_, split.n_items, self._item_text),
            ):
                codes = torch.arange(n, device=tower.bias.device)
                rows = tower(codes, None if text is None else float_tensor(text))
                setattr(self, name, rows.cpu().numpy())


class _Loss:
    """The loss of one batch of users against all warm items."""

    def __init__(
        self,
        model: TwoTower,
        x: sparse.csr_matrix,
        warm: np.ndarray,
        generator: np.random.Generator,
    ) -> None:
        self.model, self.warm, self.generator = model, warm, generator
        self.sampler = NegativeSampler(x[:, warm])
        self.item_text = None if model._item_text is None else float_tensor(model._item_text[warm])
        self.codes = torch.from_numpy(warm).to(config.device())

    def __call__(self, batch: tuple[np.ndarray, Tensor | None, sparse.csr_matrix]) -> Tensor:
        users, text, targets = batch
        u = self.model.user_tower_(torch.from_numpy(users).to(config.device()), text)  # (B, dim)
        v = self.model.item_tower_(self.codes, self.item_text)  # (n_warm, dim)
        scores = u @ v.T  # (B, n_warm)
        wanted = targets[:, self.warm]
        if self.model.loss == "softmax":
            return softmax_loss(scores, float_tensor(wanted.toarray()), self.model.temperature)
        rows, columns = wanted.nonzero()
        drawn = self.sampler(users[rows], self.model.negatives, self.generator)  # (P, n)
        positive = scores[rows, columns][:, None]  # (P, 1)
        negative = scores[rows[:, None], drawn]  # (P, n)
        if self.model.loss == "bpr":
            return bpr_loss(positive, negative)
        logits = torch.cat([positive, negative], dim=1)
        labels = torch.zeros_like(logits)
        labels[:, 0] = 1.0
        return bce(logits, labels)


def hold_out(
    histories: sparse.csr_matrix, share: float, generator: np.random.Generator
) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
    """Split each row at random into disjoint ``(known, targets)``, targets never empty.

    A row of ``n`` items gives ``max(1, round(share · n))`` targets, so that a user with one item
    has an empty known part.
    """
    sizes = np.diff(histories.indptr)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    shuffled = np.lexsort((generator.random(histories.nnz), owner))
    rank = np.empty(histories.nnz, np.int64)
    rank[shuffled] = np.arange(histories.nnz) - histories.indptr[owner]
    target = rank < np.maximum(1, np.rint(share * sizes).astype(np.int64))[owner]
    parts = []
    for mask in (~target, target):
        cells = (histories.data[mask], (owner[mask], histories.indices[mask]))
        parts.append(sparse.csr_matrix(cells, shape=histories.shape))
    return parts[0], parts[1]

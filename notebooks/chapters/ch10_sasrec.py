"""SASRec: self-attention over the order of a history, with item codes or text as its input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec import config
from llmrec.data import History, Split, sequences
from llmrec.models.base import Features, Recommender, check, check_vectors
from llmrec.training import (
    NegativeSampler,
    bce_loss,
    linear_cross_entropy,
    minibatches,
    recall_on_valid,
    seeded,
    train,
)
from llmrec.vectors import centred, unit_rows

INPUTS = ("identity", "text-initialised", "text")
LOSSES = ("ce", "bce")
SCALE = 0.02  # standard deviation of the first weights, as in BERT and its kin
POOL = 16  # batches whose sequences are sorted by length together

Batch = tuple[np.ndarray, Tensor, Tensor]  # users (B,), inputs (B, T), targets (B, T); -1 pads


class SASRecBlock(nn.Module):
    """One layer: masked self-attention, then a map of each position, each added to its input."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.p = heads, dropout
        self.norm_1, self.norm_2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.inner, self.outer = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        b, t, dim = x.shape
        # (B, T, 3 dim) -> three of (B, heads, T, dim / heads)
        q, k, v = self.qkv(self.norm_1(x)).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        p = self.p if self.training else 0.0
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=p)
        x = x + self.dropout(self.out(a.transpose(1, 2).reshape(b, t, dim)))
        z = self.inner(self.norm_2(x))
        return x + self.dropout(self.outer(self.dropout(F.relu(z))))  # (B, T, dim)


class SASRecNet(nn.Module):
    """Item vectors, positions and a stack of layers: ``h_t`` reads items 1…t and predicts t + 1.

    Attributes
    ----------
    table:
        ``(n_items, dim)``, or None when items are a map of their text.
    weight:
        ``(d, dim)``, the map of the text, or None.
    positions:
        ``(max_len, dim)``; the last row belongs to the latest item.
    """

    text: Tensor | None

    def __init__(
        self, start: Tensor, text: Tensor | None, max_len: int, layers: int, heads: int, p: float
    ) -> None:
        """Begin with item table ``start``, or, when there is text, with the map ``start``."""
        super().__init__()
        dim = start.shape[1]
        self.table = nn.Parameter(start) if text is None else None
        self.weight = nn.Parameter(start) if text is not None else None
        self.register_buffer("text", text, persistent=False)
        self.positions = nn.Parameter(SCALE * torch.randn(max_len, dim))
        self.blocks = nn.ModuleList(SASRecBlock(dim, heads, p) for _ in range(layers))
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(p)

    def items(self) -> Tensor:
        """Return the item vectors ``(n_items, dim)``, the same for reading and for predicting."""
        if self.table is not None:
            return self.table
        assert self.text is not None
        assert self.weight is not None
        return self.text @ self.weight

    def forward(self, items: Tensor, codes: Tensor) -> Tensor:
        """Return ``h (B, T, dim)`` for codes ``(B, T)``, latest last, -1 where there is none."""
        t = codes.shape[1]
        real = codes >= 0
        x = F.embedding(codes.clamp(min=0), items) * items.shape[1] ** 0.5
        x = self.dropout(x + self.positions[-t:])
        eye = torch.eye(t, dtype=torch.bool, device=codes.device)  # padding sees itself: no NaN
        mask = (eye.new_ones(t, t).tril() & real[:, None, :] | eye)[:, None]  # (B, 1, T, T)
        for block in self.blocks:
            x = block(x, mask)
        return self.norm(x)


@dataclass(eq=False, repr=False)
class SASRec(Recommender):
    """Read a history in its order and score the next item: ``s(u, i) = ⟨h_u, e_i⟩``.

    ``h_t = Transformer(√dim e_{i₁} + p₁, …, √dim e_{i_t} + p_t)`` under a causal mask; the item
    vectors ``e`` that are read are the ones that are predicted.

    Parameters
    ----------
    dim, layers, heads:
        Width, number of layers, attention heads (a divisor of ``dim``).
    max_len:
        Latest items read. A longer train sequence is cut into windows of this many targets.
    inputs:
        ``"identity"``: e is a learned table; ``"text"``: e = Wᵀ t of the frozen text vector, so
        that cold items have one; ``"text-initialised"``: a learned table that starts there.
    loss:
        ``"ce"``: softmax over the whole catalogue; ``"bce"``: the original one, each target against
        one sampled item the user never took.
    dropout:
        Share of activations hidden at each step.
    lr, weight_decay, epochs, batch_size, patience, seed:
        See `llmrec.training`; a batch holds sequences.

    Attributes
    ----------
    users_, items_:
        float32 ``(n_users, dim)`` and ``(n_items, dim)``: h after each history (zero when it is
        empty), and e.
    net_:
        The trained `SASRecNet`.
    history_, valid_history_:
        See `llmrec.training`.

    References
    ----------
    Kang and McAuley, Self-attentive sequential recommendation, ICDM 2018. Klenitskiy and Vasilev,
    Turning dross into gold loss, RecSys 2023: with cross-entropy it beats BERT4Rec.

    Notes
    -----
    ``"text"`` and ``"text-initialised"`` require ``Features(items=...)``. A sequence is ordered by
    timestamp, then by row. A user's own sequence in ``split.history`` is read when scoring, whether
    or not the user has a train row.

    Text vectors are centred on the warm items and scaled to unit rows; W starts at their principal
    axes, each scaled to equal variance. With text only warm items are negatives, because a loss
    that pushed the cold down would teach the text what "new" looks like. Without text all items
    are, as published, and the cold sink to the bottom, where nothing known about them puts them.
    """

    dim: int = 64
    layers: int = 2
    heads: int = 2
    max_len: int = 50
    inputs: str = "identity"
    loss: str = "ce"
    dropout: float = 0.3
    lr: float = 2e-3
    weight_decay: float = 0.0
    epochs: int = 10
    batch_size: int = 128
    patience: int = 3
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        self._check_params()
        x = split.matrix("train")
        warm = np.setdiff1d(np.arange(split.n_items), split.cold_items)
        candidates = np.arange(split.n_items) if self.inputs == "identity" else warm
        windows = self._windows(sequences(split.train, split.n_users))
        check(
            len(windows) > 0,
            f"SASRec.fit: no user of split {split.name!r} has two train interactions, so there is"
            " no next item to predict",
        )
        with seeded(self.seed) as generator:
            self.net_ = self._net(split, features, warm).to(config.device())
            self.valid_history_: list[float] = []
            self.history_ = train(
                self.net_,
                lambda: self._batches(windows, generator),
                _Loss(self, x, candidates, generator),
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
        return self._encode([row.items for row in self._checked(histories)]) @ self.items_.T

    def _check_params(self) -> None:
        for name, allowed in (("inputs", INPUTS), ("loss", LOSSES)):
            value = getattr(self, name)
            check(value in allowed, f"SASRec: {name}={value!r} must be one of {', '.join(allowed)}")
        sizes = (self.dim, self.heads, self.layers, self.max_len)
        check(
            min(sizes) >= 1 and self.dim % self.heads == 0,
            f"SASRec: dim={self.dim}, heads={self.heads}, layers={self.layers} and max_len="
            f"{self.max_len} must be at least 1, and heads must divide dim",
        )
        check(0 <= self.dropout < 1, f"SASRec: dropout={self.dropout} must be in [0, 1)")

    def _net(self, split: Split, features: Features, warm: np.ndarray) -> SASRecNet:
        """Return the untrained network."""
        text = None
        if self.inputs == "identity":
            start = SCALE * torch.randn(split.n_items, self.dim)
        else:
            vectors = check_vectors(features.items, split.n_items, "items", "SASRec")
            taken = np.isin(np.arange(split.n_items), warm)
            vectors = unit_rows(centred(vectors, warm=taken))
            text = torch.from_numpy(vectors)
            start = torch.from_numpy(SCALE * principal_axes(vectors[warm], self.dim))
        if self.inputs == "text-initialised":
            assert text is not None
            start, text = text @ start, None
        return SASRecNet(start, text, self.max_len, self.layers, self.heads, self.dropout)

    def _windows(self, histories: Sequence[np.ndarray]) -> list[tuple[int, np.ndarray]]:
        """Return (user, at most max_len + 1 items), so that each item but the first is a target."""
        return [
            (user, items[max(0, end - self.max_len - 1) : end])
            for user, items in enumerate(histories)
            for end in range(len(items), 1, -self.max_len)
        ]

    def _batches(
        self, windows: list[tuple[int, np.ndarray]], generator: np.random.Generator
    ) -> Iterator[Batch]:
        """Yield all windows once, those of like length together, so that little is padding."""
        for pool in minibatches(len(windows), POOL * self.batch_size, generator):
            by_length = sorted(pool, key=lambda place: len(windows[place][1]))
            for chosen in minibatches(-(-len(pool) // self.batch_size), 1, generator):
                start = int(chosen[0]) * self.batch_size
                rows = [windows[place] for place in by_length[start : start + self.batch_size]]
                yield (
                    np.array([user for user, _ in rows]),
                    _padded([items[:-1] for _, items in rows]),
                    _padded([items[1:] for _, items in rows]),
                )

    def _encode(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """Return h ``(m, dim)`` after each history; zero after an empty one."""
        out = np.zeros((len(histories), self.dim), np.float32)
        length = np.array([len(history) for history in histories], np.int64)
        order = np.argsort(length, kind="stable")
        order = order[length[order] > 0]
        with torch.no_grad():
            items = self.net_.items()
            for start in range(0, len(order), 512):
                block = order[start : start + 512]
                codes = _padded([histories[place][-self.max_len :] for place in block])
                out[block] = self.net_(items, codes)[:, -1].cpu().numpy()
        return out

    def _embed(self, split: Split) -> None:
        self.users_ = self._encode(sequences(split.history, split.n_users))
        self.items_ = self.net_.items().detach().cpu().numpy()


class _Loss:
    """The loss of one batch of sequences at their real positions."""

    def __init__(
        self,
        model: SASRec,
        x: sparse.csr_matrix,
        candidates: np.ndarray,
        generator: np.random.Generator,
    ) -> None:
        self.model, self.generator = model, generator
        self.sampler = NegativeSampler(x[:, candidates])
        self.candidates = torch.from_numpy(candidates).to(config.device())
        place = np.zeros(x.shape[1], np.int64)
        place[candidates] = np.arange(len(candidates))
        self.place = torch.from_numpy(place).to(config.device())

    def __call__(self, batch: Batch) -> Tensor:
        users, codes, targets = batch
        items = self.model.net_.items()  # (n_items, dim)
        real = targets >= 0
        h = self.model.net_(items, codes)[real]  # (N, dim)
        target = targets[real]  # (N,)
        if self.model.loss == "ce":
            if len(self.candidates) < len(items):
                items = items[self.candidates]
            return linear_cross_entropy(h, items, self.place[target])
        owner = users[real.nonzero()[:, 0].cpu().numpy()]
        drawn = torch.from_numpy(self.sampler(owner, 1, self.generator)[:, 0])
        both = torch.stack([target, self.candidates[drawn]], dim=1)  # (N, 2): taken, sampled
        logits = (h[:, None] * F.embedding(both, items)).sum(dim=2)
        labels = torch.zeros_like(logits)
        labels[:, 0] = 1.0
        return bce_loss(logits, labels)


def principal_axes(vectors: np.ndarray, dim: int) -> np.ndarray:
    """Return float32 ``(d, dim)`` such that ``vectors @ axes`` has columns of unit mean square.

    The columns are uncorrelated, of the largest variance first; those beyond the rank are zero.
    """
    values, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors / len(vectors))
    kept = np.flatnonzero(values > 1e-6 * values[-1])[::-1][:dim]
    out = np.zeros((vectors.shape[1], dim), np.float32)
    out[:, : len(kept)] = axes[:, kept] / np.sqrt(values[kept])
    return out


def _padded(histories: Sequence[np.ndarray]) -> Tensor:
    """Return int64 ``(B, T)``, right-aligned, -1 to the left of the shorter ones."""
    codes = np.full((len(histories), max(map(len, histories))), -1, np.int64)
    for row, history in zip(codes, histories, strict=True):
        row[-len(history) :] = history
    return torch.from_numpy(codes).to(config.device())

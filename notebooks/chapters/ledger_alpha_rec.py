"""AlphaRec: one map from language to taste, shared by items and users, and a graph to smooth it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional as F

from llmrec import config
from llmrec.data import History, Split
from llmrec.models.base import Features, Recommender, check, check_vectors
from llmrec.training import (
    float_tensor,
    minibatches,
    recall_on_valid,
    seeded,
    softmax_loss,
    train,
)
from llmrec.vectors import centred, unit_rows

MAPS = ("linear", "mlp")


@dataclass(eq=False, repr=False)
class AlphaRec(Recommender):
    """Score by the cosine of a user and an item that both come from item text: ``s = cos(u, v)``.

    An item's layer 0 is ``v⁰ = f(t_i)``, a user's the same f of the mean text of the history,
    ``u⁰ = f(mean_{i ∈ N(u)} t_i)``. Then K steps over the graph of train interactions, as in
    LightGCN with nothing to learn, and the mean of all layers:

    ``u^{k+1} = Σ_{i ∈ N(u)} v^k / √(|N(u)| |N(i)|)``, likewise v, and ``u = Σ_k u^k / (K + 1)``.

    The only parameters are f's, whatever the number of users and items. They minimise the InfoNCE
    loss ``−log softmax_i(cos(u, v_i) / τ)`` of each interaction against every warm item.

    Parameters
    ----------
    dim:
        Size of u and v.
    map:
        f: ``"linear"`` (no bias) or ``"mlp"`` (one hidden layer of the mean of both sizes, leaky
        ReLU).
    layers:
        K steps; 0 leaves the graph out.
    temperature:
        τ > 0.
    lr, weight_decay, epochs, batch_size, patience, seed:
        See `llmrec.training`; a batch holds users, all their interactions with them.

    Attributes
    ----------
    users_, items_:
        float32 unit rows ``(n_users, dim)`` and ``(n_items, dim)``.
    map_:
        The trained f.
    history_, valid_history_:
        See `llmrec.training`.

    References
    ----------
    Sheng et al., Language representations can be what recommenders need, ICLR 2025. He et al.,
    LightGCN, SIGIR 2020.

    Notes
    -----
    Requires ``Features(items=...)``, centred here on the warm items and scaled to unit rows; the
    text of users is not read. The paper draws 256 negatives for each interaction; the whole
    catalogue leaves no noise of sampling. The target is in the mean it is predicted from, as in the
    paper; `TwoTower` holds it out.

    A cold item has no edge, so v is the direction of f(t_i) alone. A user of ``fold_in`` reads the
    trained items' layers but does not change them: for a warm user's own train history that is
    exactly u. The mean text of an empty history is zero.
    """

    dim: int = 64
    map: str = "linear"
    layers: int = 2
    temperature: float = 0.15
    lr: float = 1e-3
    weight_decay: float = 0.0
    epochs: int = 30
    batch_size: int = 256
    patience: int = 5
    seed: int = 0

    def _fit(self, split: Split, features: Features) -> None:
        check(
            self.map in MAPS and self.dim >= 1 and self.layers >= 0,
            f"AlphaRec: map={self.map!r} must be one of {', '.join(MAPS)}, dim={self.dim} at"
            f" least 1 and layers={self.layers} at least 0",
        )
        x = split.matrix("train")
        self._degrees = x.getnnz(axis=0)
        text = check_vectors(features.items, split.n_items, "items", "AlphaRec")
        self._text = unit_rows(centred(text, warm=self._degrees > 0))
        users = np.flatnonzero(x.getnnz(axis=1))
        warm = torch.from_numpy(np.flatnonzero(self._degrees)).to(config.device())
        with seeded(self.seed) as generator:
            self.map_ = _map(self.map, text.shape[1], self.dim).to(config.device())
            embed = self._embedder(x)

            def batches() -> Iterator[np.ndarray]:
                for chosen in minibatches(len(users), self.batch_size, generator):
                    yield users[chosen]

            def loss(codes: np.ndarray) -> Tensor:
                u, v = (F.normalize(side) for side in embed(torch.from_numpy(codes), warm))
                targets = float_tensor(x[codes].toarray())[:, warm]  # (B, n_warm)
                return softmax_loss(u @ v.T, targets, self.temperature)

            self.valid_history_: list[float] = []
            self.history_ = train(
                self.map_,
                batches,
                loss,
                epochs=self.epochs,
                lr=self.lr,
                weight_decay=self.weight_decay,
                validate=recall_on_valid(self, split, lambda: self._embed(split, x)),
                patience=self.patience,
            )
            self._embed(split, x)

    def score(self, users: np.ndarray) -> np.ndarray:
        return self.users_[self._codes(users)] @ self.items_.T

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        """Return scores for u made from each history's text and the trained items' layers."""
        return self._fold(self._matrix(histories)) @ self.items_.T

    def _embedder(self, x: sparse.csr_matrix) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Return a function of user and item codes that gives their u and v, with gradients."""
        graph = _normalised(x, self._degrees).tocoo()
        cells = torch.from_numpy(np.stack([graph.row, graph.col])).long()
        values = torch.from_numpy(graph.data)
        edges = torch.sparse_coo_tensor(cells, values, x.shape, check_invariants=True)
        edges = edges.coalesce().to(config.device())
        of_users, of_items = float_tensor(_mean_rows(x) @ self._text), float_tensor(self._text)
        if self.map == "linear":  # a linear f and the graph commute: smooth the text once
            of_users, of_items = _average(propagate(edges, of_users, of_items, self.layers))
            return lambda users, items: (self.map_(of_users[users]), self.map_(of_items[items]))

        def embed(users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
            start = self.map_(of_users), self.map_(of_items)
            u, v = _average(propagate(edges, *start, self.layers))
            return u[users], v[items]

        return embed

    def _embed(self, split: Split, x: sparse.csr_matrix) -> None:
        start = self._mapped(_mean_rows(x) @ self._text), self._mapped(self._text)
        layers = propagate(_normalised(x, self._degrees), *start, self.layers)
        self.items_ = unit_rows(_average(layers)[1])
        self._neighbours: np.ndarray = sum(v for _, v in layers[:-1]) + np.zeros_like(start[1])
        self.users_ = self._fold(split.matrix("history"))

    def _fold(self, histories: sparse.csr_matrix) -> np.ndarray:
        """Return u ``(m, dim)``: layer 0 from the text, the others from the items' layers below."""
        u = self._mapped(_mean_rows(histories) @ self._text)
        return unit_rows(u + _normalised(histories, self._degrees) @ self._neighbours)

    def _mapped(self, text: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.map_(float_tensor(text)).cpu().numpy()


def propagate(graph: Any, users: Any, items: Any, layers: int) -> list[tuple[Any, Any]]:
    """Return layers 0…K of ``u^{k+1} = Â v^k`` and ``v^{k+1} = Âᵀ u^k``, NumPy's or torch's.

    Parameters
    ----------
    graph:
        Â, sparse ``(n_users, n_items)``.
    users, items:
        Layer 0, ``(n_users, d)`` and ``(n_items, d)``.
    layers:
        K.
    """
    out = [(users, items)]
    for _ in range(layers):
        users, items = graph @ items, graph.T @ users
        out.append((users, items))
    return out


def _average(layers: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    return sum(u for u, _ in layers) / len(layers), sum(v for _, v in layers) / len(layers)


def _normalised(x: sparse.csr_matrix, degrees: np.ndarray) -> sparse.csr_matrix:
    """Return Â: ``1 / √(|N(u)| |N(i)|)`` at each edge to an item that has train edges."""
    edges = sparse.csr_matrix((x != 0).multiply(degrees > 0), dtype=np.float32)
    edges.eliminate_zeros()
    edges.data /= np.sqrt(edges.getnnz(axis=1).repeat(edges.getnnz(axis=1)))
    edges.data /= np.sqrt(degrees[edges.indices])
    return edges


def _mean_rows(x: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return weights that average over each row's nonzero columns."""
    weights = sparse.csr_matrix(x != 0, dtype=np.float32)
    weights.data /= weights.getnnz(axis=1).repeat(weights.getnnz(axis=1))
    return weights


def _map(kind: str, d: int, dim: int) -> nn.Module:
    if kind == "linear":
        return nn.Linear(d, dim, bias=False)
    hidden = (d + dim) // 2
    return nn.Sequential(nn.Linear(d, hidden), nn.LeakyReLU(), nn.Linear(hidden, dim))

"""A conditional logit: what each piece of evidence counts when one thing is chosen from a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special

from llmrec.models.base import check


@dataclass(frozen=True)
class Panel:
    """Choices made at one moment from one set of candidates.

    Attributes
    ----------
    features : (m, c, k)
        What is known of each reader and candidate.
    chosen : (m, c) bool
        What was chosen: at least one candidate a reader, each an open one.
    open : (m, c) bool
        What could be chosen.

    Raises
    ------
    ValueError
        When shapes differ, a reader chose nothing, or something was chosen that was not open.
    """

    features: np.ndarray
    chosen: np.ndarray
    open: np.ndarray

    def __post_init__(self) -> None:
        shape = self.features.shape
        if len(shape) != 3 or self.chosen.shape != shape[:2] or self.open.shape != shape[:2]:
            raise ValueError(
                f"features {shape}, chosen {self.chosen.shape} and open {self.open.shape} must be"
                " (m, c, k), (m, c) and (m, c)"
            )
        if not self.chosen.any(axis=1).all():
            row = int(np.flatnonzero(~self.chosen.any(axis=1))[0])
            raise ValueError(f"row {row} of chosen is empty: leave out who chose nothing")
        if (self.chosen & ~self.open).any():
            row, column = np.argwhere(self.chosen & ~self.open)[0]
            raise ValueError(f"candidate {column} of row {row} was chosen and is not open")


class ConditionalLogit:
    """Learn weights ``w`` from choices: ``P(i | u) = exp⟨w, φ(u, i)⟩ / Σ_j exp⟨w, φ(u, j)⟩``.

    Minimises ``-(1/n) Σ_u (1/|T_u|) Σ_{i ∈ T_u} log P(i | u) + l2 ‖w‖²`` over all n rows of all
    panels: who chose several things counts once. The loss is convex; with ``l2`` 0 it has no
    minimum when a feature tells the chosen apart without exception.

    Parameters
    ----------
    l2 : float
        At least 0.

    Attributes
    ----------
    weights_ : (k,) float64

    Raises
    ------
    ValueError
        When ``l2`` is negative, there is no panel, or panels differ in k.

    References
    ----------
    McFadden 1974, "Conditional logit analysis of qualitative choice behavior".

    Examples
    --------
    Three of four take the marked one of two: the odds are 3, the weight is ln 3.

    >>> marked = np.tile([[[1.0], [0.0]]], (4, 1, 1))
    >>> chosen = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], bool)
    >>> model = ConditionalLogit(l2=0).fit([Panel(marked, chosen, np.ones((4, 2), bool))])
    >>> model.weights_.round(3)
    array([1.099])
    """

    weights_: np.ndarray

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = l2

    def fit(self, panels: Sequence[Panel]) -> ConditionalLogit:
        """Learn from all panels together and return the model."""
        check(self.l2 >= 0, f"l2={self.l2} must be at least 0")
        sizes = {panel.features.shape[2] for panel in panels}
        if len(sizes) != 1:
            raise ValueError(f"panels have {sorted(sizes)} features: give panels of one size")
        n = sum(len(panel.chosen) for panel in panels)
        parts = [
            (
                panel.features.astype(np.float64),
                panel.chosen / panel.chosen.sum(axis=1, keepdims=True),
                np.where(panel.open, 0.0, -np.inf),
            )
            for panel in panels
        ]

        def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = self.l2 * (w @ w), 2 * self.l2 * w
            for phi, goal, closed in parts:
                logp = special.log_softmax(phi @ w + closed, axis=1)
                value -= (goal * np.where(goal > 0, logp, 0)).sum() / n
                rest = (goal - np.exp(logp)).ravel() / n
                slope = slope - rest @ phi.reshape(-1, len(w))
            return float(value), slope

        start = np.zeros(sizes.pop())
        self.weights_ = optimize.minimize(
            loss, start, jac=True, method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-7}
        ).x
        return self

    def score(self, features: np.ndarray) -> np.ndarray:
        """Return ``⟨w, φ⟩``, ``(…)`` for features ``(…, k)``."""
        if features.shape[-1] != len(self.weights_):
            raise ValueError(
                f"features have {features.shape[-1]} columns, the weights {len(self.weights_)}"
            )
        return features @ self.weights_

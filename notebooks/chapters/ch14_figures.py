"""Chapter 14's figures: what the decoder says to nobody, to the first in line, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from llmrec.plots import FAMILIES, INK, Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Where a ranker's name stands beside its point, in points.
OFFSETS = {
    "popularity": (8, 6),
    "EASE, the base": (8, 6),
    "decoder, likelihood": (-8, -16),
    "decoder, list-wise": (8, 8),
    "decoder, fine-tuned": (-8, 10),
}
#: What a ranker knows, for its colour.
KNOWS = {"popularity": "popularity", "EASE, the base": "id"}


def prior(tokens: np.ndarray, total: np.ndarray, seed: int) -> Figure:
    """Return the log-likelihood of titles after an empty prompt against their length.

    Parameters
    ----------
    tokens, total : (n,) arrays
        Tokens of each title, and its log-likelihood in nats.
    seed : int
        Of the horizontal jitter that keeps points of one length apart.
    """
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    jitter = np.random.default_rng(seed).uniform(-0.25, 0.25, len(tokens))
    color = FAMILIES["control"][0]
    ax.scatter(tokens + jitter, total, s=9, color=color, alpha=0.6, linewidths=0)
    ax.set_xlabel("tokens of the title")
    ax.set_ylabel("log-likelihood, nothing told")
    return fig


def position(share: np.ndarray, letters: Sequence[str]) -> Figure:
    """Return the mean probability ``share (n,)`` of each place in a lettered list."""
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    ax.bar(range(len(share)), share, color=FAMILIES["both"][0])
    ax.axhline(1 / len(share), color=INK, lw=1, ls="--")
    ax.set_xticks(range(len(share)), [letter.strip() for letter in letters])
    ax.set_xlabel("place in the list")
    ax.set_ylabel("mean probability")
    return fig


def cost(operations: Mapping[str, float], quality: Mapping[str, Interval]) -> Figure:
    """Return nDCG@10 with its interval against the operations for one user, log scale."""
    fig, ax = plt.subplots(figsize=(6.4, 3.8))
    for label, x in operations.items():
        one = quality[label]
        color, marker = FAMILIES[KNOWS.get(label, "both")]
        error = [[one.value - one.low], [one.high - one.value]]
        ax.errorbar(x, one.value, error, fmt=marker, color=color, capsize=3)
        shift = OFFSETS[label]
        side = "left" if shift[0] > 0 else "right"
        ax.annotate(label, (x, one.value), shift, textcoords="offset points", ha=side, fontsize=10)
    ax.set_xscale("log")
    ax.set_xlim(0.3, 1e15)
    ax.set_ylim(0)
    ax.set_xlabel("operations to rank for one user")
    ax.set_ylabel("nDCG@10")
    return fig

"""Chapter 1's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np

from llmrec.evaluation import Estimate
from llmrec.plots import FAINT, FAMILIES, INK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOOK = dict(zip(("shop", "films", "community"), list(FAMILIES.values())[:3], strict=True))
Curves = Mapping[str, np.ndarray]


def timelines(days: Curves) -> Figure:
    """Return one user's events of each dataset as lines in time."""
    fig, axes = plt.subplots(len(days), 1, figsize=(6.4, 1.2 * len(days) + 0.8), sharex=True)
    for ax, (name, one) in zip(axes, days.items(), strict=True):
        ax.vlines(one, 0, 1, color=LOOK[name][0], lw=1.2, alpha=0.6)
        ax.set(yticks=[], xlim=(-5, 366), ylim=(0, 1))
        ax.grid(visible=False)
        ax.set_title(f"{name}, {len(one)} events", fontsize=12)
    axes[-1].set_xlabel("days since the first event")
    return fig


def tails(grid: np.ndarray, curves: Curves) -> Figure:
    """Return the share of all pairs that the most taken items hold."""
    fig, ax = plt.subplots(figsize=(6.4, 4))
    ax.plot([0, 1], [0, 1], "--", color=FAINT, label="all equal")
    for name, curve in curves.items():
        color, marker = LOOK[name]
        ax.plot(grid, curve, marker=marker, markevery=5, color=color, label=name)
    ax.set(xlabel="share of the items, most taken first", ylabel="share of all pairs")
    ax.legend(loc="lower right")
    return fig


def arrivals(shares: Mapping[str, Curves]) -> Figure:
    """Return, for items and for users, how much of each tenth of the events is of new ones."""
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.6), sharey=True)
    for ax, (column, curves) in zip(axes, shares.items(), strict=True):
        for name, new in curves.items():
            color, marker = LOOK[name]
            ax.plot(range(2, 11), new[1:], marker=marker, color=color, label=name)
        ax.set(title=f"new {column}s", xlabel="tenth of the events", ylim=(-3, 103))
    axes[0].set_ylabel("% of the tenth's events")
    axes[0].legend()
    return fig


def scarcity(
    means: Mapping[str, Mapping[str, Sequence[float]]],
    popular: Mapping[str, float],
    lengths: Sequence[int],
) -> Figure:
    """Return nDCG@10 by events left, a line a world, with the level of best-sellers."""
    fig, axes = plt.subplots(1, 2, figsize=(6.4, 3.8))
    for ax, (name, worlds) in zip(axes, means.items(), strict=True):
        ax.axhline(popular[name], color=INK, ls="--", lw=1.2, label="best-sellers")
        for (world, reached), family in zip(worlds.items(), ("id", "text"), strict=True):
            color, marker = FAMILIES[family]
            ax.plot(range(len(reached)), reached, marker=marker, color=color, label=world)
        ax.set_xticks(range(len(lengths) + 1), [*map(str, lengths), "all"])
        ax.set(title=name, xlabel="events left of a history", ylim=(0, None))
    axes[0].set_ylabel("nDCG@10")
    axes[0].legend(loc="lower right", fontsize=11)
    return fig


def bands(places: Mapping[str, Sequence[Estimate]]) -> Figure:
    """Return the mean place of hidden items, new ones and by fifths of popularity."""
    fig, ax = plt.subplots(figsize=(6.4, 4))
    ax.axhline(0.5, color=INK, ls="--", lw=1.2, label="random baseline")
    for shift, (name, reached) in zip((-0.06, 0.06), places.items(), strict=True):
        color, marker = LOOK[name]
        middle, low, high = np.array([(one.value, one.low, one.high) for one in reached]).T
        at, error = np.arange(6) + shift, [middle - low, high - middle]
        ax.errorbar(at, middle, error, fmt=marker, color=color, label=name, capsize=4)
        ax.plot(at[1:], middle[1:], color=color, lw=1)
    ax.set_xticks(range(6), ["new", "rarest\nfifth", "2nd", "3rd", "4th", "most\ntaken"])
    ax.set_ylabel("mean place")
    ax.legend(loc="upper left")
    return fig


def lags(edges: np.ndarray, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Return the cosine of two weeks by how far they lie apart, in time and shuffled."""
    fig, axes = plt.subplots(1, len(curves), figsize=(6.4, 3.6), squeeze=False)
    middle = np.sqrt(edges[:-1] * (edges[1:] - 1))
    for ax, (name, (true, null)) in zip(axes[0], curves.items(), strict=True):
        color, marker = LOOK[name]
        ax.plot(middle, true, marker=marker, color=color, label="in time")
        ax.plot(middle, null, "--", color=INK, label="shuffled")
        ax.set(xscale="log", title=name, xlabel="weeks apart")
        ax.set_xticks([1, 4, 12, 40], ["1", "4", "12", "40"])
        ax.minorticks_off()
    axes[0][0].set_ylabel("cosine of two weeks")
    axes[0][0].legend()
    return fig

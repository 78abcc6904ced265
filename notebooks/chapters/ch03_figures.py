"""The figures of chapter 3: the small table, its plane, six score matrices, real data, seats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from llmrec.evaluation import Comparison, Evaluation
from llmrec.plots import FAMILIES, INK, interval_plot

METRIC = "ndcg@10"
# Women whose dot lies beside that of a woman who is named.
UNNAMED = {1, 3, 4, 5, 6, 9, 10, 11, 12, 16}


def table(x: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw who came where: ``x (n_women, n_gatherings)``, a dark cell for each attendance."""
    fig, ax = plt.subplots(figsize=(6.4, 5.2))
    _grid(ax, x, names, cmap="Blues")
    ax.set_xlabel("gathering")
    return fig


def plane(women: np.ndarray, gatherings: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw women and gatherings by their first two singular vectors, both ``(n, 2)``.

    Gatherings 13 and 14 had the same guests: they share a place and a label.
    """
    fig, ax = plt.subplots(figsize=(6.4, 4.6))
    first = {row: name.split()[0] for row, name in enumerate(names) if row not in UNNAMED}
    numbers = {row: str(row + 1) for row in range(12)} | {12: "13, 14"}
    for points, labels, family, size in (
        (women, first, "id", 9.5),
        (gatherings, numbers, "text", 12),
    ):
        color, marker = FAMILIES[family]
        ax.plot(*points.T, marker, color=color, ms=6, ls="")
        beside: dict[str, Any] = {"xytext": (4, 3), "textcoords": "offset points"}
        for row, label in labels.items():
            ax.annotate(label, points[row], color=color, fontsize=size, **beside)
    ax.axhline(0, color="#57606A", lw=0.8)
    ax.set(xlabel="first singular vector: how often", ylabel="second: which circle")
    return fig


def score_grids(scores: Mapping[str, np.ndarray], x: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw six score matrices ``(n_women, n_gatherings)``, a dot wherever she was there."""
    fig, axes = plt.subplots(2, 3, figsize=(8.4, 7.2))
    numbers = [str(number + 1) for number in range(x.shape[1])]
    for ax, (name, values) in zip(axes.flat, scores.items(), strict=True):
        _grid(ax, values, names, name, x)
        ax.set_xticks(range(0, len(numbers), 3), numbers[::3], fontsize=10)
        if ax in axes[:, 0]:
            ax.set_yticklabels([label.split()[0] for label in names], fontsize=9)
        else:
            ax.set_yticklabels([])
    return fig


def real_data(columns: Mapping[str, Mapping[str, Evaluation]], kinds: Mapping[str, str]) -> Figure:
    """Draw mean nDCG@10 of each model, one panel a split; ``kinds`` gives each model's colour."""
    fig, axes = plt.subplots(len(columns), 1, figsize=(6.4, 9.6), sharex=True)
    for ax, (title, runs) in zip(axes, columns.items(), strict=True):
        levels = {name: run.mean(METRIC) for name, run in runs.items()}
        interval_plot(levels, families=kinds, title=title, ax=ax)
        ax.set_xlim(left=0)
    axes[-1].set_xlabel("nDCG@10, 95 % interval")
    return fig


def exchanges(swaps: Mapping[str, Mapping[str, Comparison]]) -> Figure:
    """Draw paired differences in nDCG@10, one panel a regime; the last row has no LM."""
    fig, axes = plt.subplots(len(swaps), 1, figsize=(6.8, 6.4), sharex=True)
    for ax, (regime, differences) in zip(axes, swaps.items(), strict=True):
        *with_lm, without = differences
        colors = dict.fromkeys(with_lm, "text") | {without: "control"}
        interval_plot(differences, families=colors, title=regime, ax=ax, spec="+.3f")
        ax.axvline(0, color=INK, ls=(0, (4, 3)), lw=1.2, zorder=1)
    axes[-1].set_xlabel("difference in nDCG@10, 95 % interval")
    return fig


def _grid(
    ax: Axes,
    values: np.ndarray,
    names: Sequence[str],
    title: str = "",
    marks: np.ndarray | None = None,
    cmap: str = "cividis",
) -> None:
    """Draw a matrix of women by gatherings; small dots show who was there."""
    ax.imshow(values, cmap=cmap, aspect="auto")
    if marks is not None:
        ax.plot(*np.nonzero(marks)[::-1], ".", color="white", mec=INK, mew=0.6, ms=5)
    numbers = [str(number + 1) for number in range(values.shape[1])]
    ax.set_xticks(range(len(numbers)), numbers, fontsize=9)
    ax.set_yticks(range(len(names)), names, fontsize=10)
    ax.tick_params(length=0)
    ax.grid(visible=False)
    ax.set_title(title, fontsize=12, pad=5)

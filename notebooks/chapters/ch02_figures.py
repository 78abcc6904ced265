"""The figures of chapter 2 that need more than one call of the package's charts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from llmrec.plots import FAMILIES, INK, Interval, interval_plot


def next_words(expected: Mapping[str, Sequence[tuple[str, float]]]) -> Figure:
    """Draw the most probable next words after each beginning, one panel a beginning."""
    fig, axes = plt.subplots(len(expected), 1, figsize=(6.4, 7.2))
    for ax, (begin, likely) in zip(axes, expected.items(), strict=True):
        words, p = zip(*likely, strict=True)
        ax.barh(range(len(words)), p, color=FAMILIES["text"][0])
        for row, value in enumerate(p):
            ax.text(value + 0.01, row, f"{value:.2f}", va="center")
        ax.set_yticks(range(len(words)), [repr(word)[1:-1].replace(" ", "␣") for word in words])
        ax.set(xlim=(0, 1.1), title=f"{begin} …")
        ax.invert_yaxis()
        ax.grid(axis="y", visible=False)
    axes[-1].set_xlabel("probability")
    return fig


def cosines(raw: Mapping[str, np.ndarray], centred: Mapping[str, np.ndarray]) -> Figure:
    """Draw histograms of cosines by encoder, raw on the left and centred on the right."""
    fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), sharex=True)
    bins, looks = np.linspace(-0.6, 1, 65), (("text", "-"), ("id", "--"), ("popularity", ":"))
    for ax, title, by_encoder in zip(axes, ("raw", "centred"), (raw, centred), strict=True):
        for (look, style), name in zip(looks, by_encoder, strict=True):
            line = {"ls": style, "lw": 2, "label": name, "color": FAMILIES[look][0]}
            ax.hist(by_encoder[name], bins, histtype="step", density=True, **line)
        ax.set(title=title, xlabel="cosine", yticks=[])
    axes[0].legend(loc="upper left", fontsize=10)
    return fig


def intervals(
    estimates: Mapping[str, Interval],
    xlabel: str,
    reference: tuple[str, float],
    controls: Collection[str] = (),
    **options: Any,
) -> Figure:
    """Draw one interval a row, controls in grey; two decimals unless ``spec`` says otherwise."""
    colors = {name: "control" if name in controls else "text" for name in estimates}
    options = {"spec": ".2f", "xlabel": xlabel, "reference": reference} | options
    return interval_plot(estimates, families=colors, **options)[0]


def meaning(estimates: Mapping[str, Mapping[str, Interval]], controls: Collection[str]) -> Figure:
    """Draw the AUC of each kind of vectors, one panel a kind of names."""
    fig, axes = plt.subplots(1, 2, figsize=(8.6, 3.8))
    for ax, (kind, by_vectors) in zip(axes, estimates.items(), strict=True):
        intervals(by_vectors, "AUC", ("", 0.5), controls, title=kind, ax=ax)
    axes[1].set_yticklabels([])
    return fig


def ranking(levels: Mapping[str, tuple[float, float]], random: float) -> Figure:
    """Draw nDCG@10 with and without stop words, a line between the two, one row a model."""
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    for row, ends in enumerate(levels.values()):
        ax.plot(ends, [row, row], color=INK, lw=1.5, zorder=1)
        for value, look, version in zip(
            ends, ("text", "control"), ("with", "without"), strict=True
        ):
            color, marker = FAMILIES[look]
            label = None if row else f"{version} stop words"
            ax.plot(value, row, marker, color=color, ms=10, label=label)
    ax.axvline(random, color=INK, ls=(0, (4, 3)), lw=1.2)
    ax.text(random, -0.62, " random vectors", ha="left", va="center")
    ax.set_yticks(range(len(levels)), list(levels))
    ax.set_ylim(2.5, -0.8)
    ax.set(xlabel="nDCG@10 on new films")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return fig

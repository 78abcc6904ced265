"""One visual language for the book: every chart returns the figure and the numbers it shows.

Colours follow what a model knows (ids, text, both), never the chart; each colour has its
own marker, so that the figures can also be read in grey.
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox

Arrays = dict[str, np.ndarray]

STYLE = Path(__file__).with_name("book.mplstyle")
INK, FAINT, PAPER = "#1F2328", "#B9BDC1", "#FCFCFA"
#: What a model knows → colour and marker.
FAMILIES: dict[str, tuple[str, str]] = {
    "id": ("#0072B2", "o"),
    "text": ("#D55E00", "s"),
    "both": ("#009E73", "D"),
    "control": ("#6B6B6B", "X"),
    "popularity": ("#AA4499", "^"),
}
#: Roles on the item map → colour, marker and size, in drawing order.
ROLES: dict[str, tuple[str, str, int]] = {
    "history": ("#0072B2", "o", 60),
    "recommended": ("#D55E00", "^", 80),
    "next": ("#009E73", "*", 190),
}


class Interval(Protocol):
    """Anything with a value and bounds, such as an Estimate or a Comparison."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def use_style() -> None:
    """Set the book's matplotlib style, as every chart here does."""
    plt.style.use(STYLE)


def show(fig: Figure) -> Figure:
    """Return a figure for a cell to show, closed so that it is shown once."""
    plt.close(fig)
    return fig


def panels(
    n: int = 1, width: float = 8.4, height: float = 3.6, **options: Any
) -> tuple[Figure, list[Axes]]:
    """Return a figure of n panels side by side and the list of them, in the book's style.

    ``width, height`` are inches of the whole figure; options go to ``plt.subplots``.
    """
    use_style()
    fig, axes = plt.subplots(1, n, figsize=(width, height), **options)
    return fig, list(np.atleast_1d(axes))


def interval_plot(
    estimates: Mapping[str, Interval],
    *,
    families: Mapping[str, str] | None = None,
    title: str = "",
    xlabel: str = "",
    reference: tuple[str, float] | None = None,
    spec: str = ".3f",
    ax: Axes | None = None,
) -> tuple[Figure, Arrays]:
    """Draw one dot with its interval a row, the value written at the right.

    Parameters
    ----------
    estimates : mapping
        Name → Estimate or Comparison, top to bottom.
    families : mapping, optional
        Name → ``"id"``, ``"text"``, ``"both"``, ``"control"`` or ``"popularity"``.
    reference : (text, x), optional
        A dashed line with its name above, such as ``("random", 0.06)``.
    spec : str
        Number format of the values.
    ax : Axes, optional
        A panel of your own figure, here as in the other charts; default: a new figure.

    Returns
    -------
    (Figure, dict)
        Arrays ``names``, ``value``, ``low``, ``high`` and, if given, ``reference``.

    ValueError without estimates, or on an unknown family.
    """
    families = _known_families(estimates, families)
    names = list(estimates)
    fig, ax = _axes(ax, title, 1.5 + 0.45 * len(names), room=18 if reference else 0)
    beside: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "va": "center"}
    for row, name in enumerate(names):
        one = estimates[name]
        color, marker = FAMILIES[families[name]] if name in families else (INK, "o")
        ax.plot([one.low, one.high], [row, row], "|-", color=color, ms=13, mew=2, zorder=2)
        ax.plot(one.value, row, marker, color=color, mec=PAPER, mew=0.8, ms=8, zorder=3)
        ax.text(1.02, row, f"{one.value:{spec}}", color=color, weight="bold", **beside)
    ax.set_yticks(range(len(names)), [_wrap(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="y", visible=False)
    ax.spines["left"].set_visible(False)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(xlabel)
    arrays = {"names": np.array(names)} | {
        field: np.array([getattr(one, field) for one in estimates.values()], float)
        for field in ("value", "low", "high")
    }
    if reference:
        text, x = reference
        ax.axvline(x, color=INK, ls=(0, (4, 3)), lw=1.2, zorder=1)
        over = ax.get_xaxis_transform()
        ax.text(x, 1.01, text, transform=over, ha="center", va="bottom", fontsize=12)
        arrays["reference"] = np.array([x], float)
    return fig, arrays


def loss_curves(
    curves: Mapping[str, ArrayLike],
    *,
    families: Mapping[str, str] | None = None,
    dashed: Collection[str] = (),
    title: str = "",
    xlabel: str = "epoch",
    ylabel: str = "loss",
    log: bool = False,
    ax: Axes | None = None,
) -> tuple[Figure, Arrays]:
    """Draw one line a curve over epochs 1, 2, …, each named at its end.

    Parameters
    ----------
    curves : mapping
        Name → ``(n_epochs,)``; lengths may differ.
    families : mapping, optional
        Name → family, as in `interval_plot`; the others take the free colours in turn.
    dashed : collection of str
        Names drawn dashed, such as a curve quoted from elsewhere.
    log : bool
        Logarithmic y axis.

    Returns
    -------
    (Figure, dict)
        One array a curve, under its name.

    ValueError without curves, on an empty or two-dimensional curve, or on an unknown family.
    """
    families = _known_families(curves, families)
    arrays = {name: np.asarray(curve, float) for name, curve in curves.items()}
    for name, curve in arrays.items():
        if curve.ndim != 1 or not len(curve):
            raise ValueError(f"curve {name!r} must be (n_epochs,), got shape {curve.shape}")
    fig, ax = _axes(ax, title)
    taken = set(families.values())
    free = cycle([look for name, look in FAMILIES.items() if name not in taken] or [(INK, "o")])
    ends = {}
    few = max(map(len, arrays.values())) <= 25
    for name, curve in arrays.items():
        color, marker = FAMILIES[families[name]] if name in families else next(free)
        epochs = np.arange(1, len(curve) + 1)
        style = "--" if name in dashed else "-"
        ax.plot(epochs, curve, style, color=color)
        if few:
            ax.plot(epochs, curve, marker, color=color, ms=5)
        ends[name] = (float(epochs[-1]), float(curve[-1]), color)
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    _name_ends(ax, ends)
    return fig, arrays


def item_map(
    xy: ArrayLike,
    *,
    highlight: Mapping[str, ArrayLike] | None = None,
    labels: Mapping[int, str] | None = None,
    title: str = "",
    ax: Axes | None = None,
) -> tuple[Figure, Arrays]:
    """Draw all items as a cloud of dots, with some of them highlighted and named.

    Parameters
    ----------
    xy : (n_items, 2) array
        A projection of the item vectors.
    highlight : mapping, optional
        Among ``"history"``, ``"recommended"`` and ``"next"`` → item codes. An item in several
        roles carries the last one's mark on top.
    labels : mapping, optional
        Item code → text. A label that finds no free place around its dot is left out.

    Returns
    -------
    (Figure, dict)
        Arrays ``xy``, one of codes a role, and ``labelled``, the codes that found a place.

    ValueError when xy is not ``(n, 2)`` and finite, a role is unknown or a code is no row of xy.
    """
    points = np.asarray(xy, float)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"xy must be finite and (n_items, 2), got shape {points.shape}")
    groups = {role: np.asarray(codes, int) for role, codes in (highlight or {}).items()}
    if unknown := set(groups) - set(ROLES):
        raise ValueError(f"highlight has {sorted(unknown)}: use {', '.join(ROLES)}")
    labels = dict(labels or {})
    for code in [*labels, *np.concatenate([[], *groups.values()])]:
        if not 0 <= code < len(points):
            raise ValueError(f"item code {int(code)} is no row of xy, which has {len(points)}")
    fig, ax = _axes(ax, title, height=5.2, room=26 if groups else 0)
    ax.scatter(points[:, 0], points[:, 1], s=9, color=FAINT, lw=0, zorder=1)
    color_of: dict[int, str] = {}
    for order, (role, (color, marker, size)) in enumerate(ROLES.items()):
        if role in groups:
            look: dict[str, Any] = {"s": size, "c": color, "marker": marker, "ec": PAPER}
            ax.scatter(*points[groups[role]].T, label=role, zorder=3 + order, **look)
            color_of.update(dict.fromkeys(groups[role].tolist(), color))
    ax.set(xticks=[], yticks=[])
    ax.margins(0.05)
    ax.spines[:].set_visible(False)
    if groups:
        narrow: dict[str, Any] = {"handletextpad": 0.2, "columnspacing": 1}
        ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=3, **narrow)
    placed = _place_labels(ax, points, labels, color_of)
    return fig, {"xy": points, **groups, "labelled": np.array(placed, int)}


def heatmap(
    matrix: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    spec: str = ".2f",
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> tuple[Figure, Arrays]:
    """Draw a matrix as colours with the number in each cell (a colour bar beyond 120 cells).

    Parameters
    ----------
    matrix : (r, c) array
        NaN cells stay empty.
    rows, columns : sequence of str
        Names, as many as the matrix has.
    spec : str
        Number format of the cells.
    limits : (low, high), optional
        Ends of the colour scale; default: smallest and largest value.

    Returns
    -------
    (Figure, dict)
        Arrays ``matrix``, ``rows``, ``columns``.

    ValueError when the names do not fit the matrix, or it holds no finite number.
    """
    data = np.asarray(matrix, float)
    if data.shape != (len(rows), len(columns)):
        raise ValueError(
            f"matrix has shape {data.shape} but there are {len(rows)} rows, {len(columns)} columns"
        )
    if not np.isfinite(data).any():
        raise ValueError("matrix holds no finite number: there is nothing to draw")
    low, high = limits or (np.nanmin(data), np.nanmax(data))
    annotate = data.size <= 120
    fig, ax = _axes(ax, title, height=1.6 + 0.48 * min(len(rows), 12))
    image = ax.imshow(data, vmin=low, vmax=high, aspect="auto")
    if annotate:
        for (row, column), value in np.ndenumerate(data):
            if np.isfinite(value):
                color = _readable_on(image.to_rgba(np.array([value]))[0])
                ax.text(column, row, f"{value:{spec}}", ha="center", va="center", color=color)
    else:
        fig.colorbar(image, ax=ax, pad=0.02).outline.set_visible(False)
    across = [_wrap(name, max(7, 40 // len(columns))) for name in columns]
    longest = max(len(line) for name in across for line in name.split("\n"))
    step = -(-len(columns) * (longest + 1) // 60)  # about 60 characters fit side by side
    ax.set_xticks(range(0, len(columns), step), across[::step])
    step = -(-len(rows) // 24)
    ax.set_yticks(range(0, len(rows), step), [_wrap(name) for name in rows[::step]])
    ax.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return fig, {"matrix": data, "rows": np.array(rows), "columns": np.array(columns)}


def _axes(ax: Axes | None, title: str, height: float = 4.0, room: float = 0) -> tuple[Figure, Axes]:
    """Return where to draw: a new figure with its title at its left edge, or the panel given.

    A panel's title starts ``room`` points higher, above what else stands there.
    """
    use_style()
    if ax is None:
        fig, ax = plt.subplots(figsize=(6.4, height))
        if title:
            fig.suptitle(textwrap.fill(title, 54), x=0.01, ha="left")
        return fig, ax
    if title:
        ax.set_title(title, pad=plt.rcParams["axes.titlepad"] + room)
    return ax.figure, ax  # type: ignore[return-value]


def _wrap(name: str, width: int = 24) -> str:
    return textwrap.fill(name, width, break_long_words=False, break_on_hyphens=False)


def _readable_on(rgba: np.ndarray) -> str:
    """Return black or white, whichever stands out more: at least 4.5 : 1 on any colour (WCAG 2)."""
    rgb = rgba[:3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return "black" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "white"


def _name_ends(ax: Axes, ends: Mapping[str, tuple[float, float, Any]]) -> None:
    """Write each line's name right of the axes, level with its end, a line apart at least."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = {name: to_axes.transform((x, y))[1] for name, (x, y, _) in ends.items()}
    gap = 1.25 * plt.rcParams["font.size"] / 72 * ax.figure.dpi / ax.bbox.height
    order = sorted(heights, key=lambda name: heights[name])
    level = np.array([heights[name] for name in order])
    steps = gap * np.arange(len(level))
    pushed_up = np.maximum.accumulate(level - steps) + steps
    pushed_down = np.minimum.accumulate((level - steps)[::-1])[::-1] + steps
    level = (pushed_up + pushed_down) / 2  # both keep the gap, so their mean does
    beside: dict[str, Any] = {"textcoords": "axes fraction", "va": "center", "weight": "bold"}
    for name, y_text in zip(order, level, strict=True):
        x, y, color = ends[name]
        line = {"arrowstyle": "-", "color": color, "lw": 0.8, "relpos": (0, 0.5)}
        ax.annotate(name, (x, y), xytext=(1.04, y_text), color=color, arrowprops=line, **beside)


def _place_labels(
    ax: Axes, points: np.ndarray, labels: Mapping[int, str], colors: Mapping[int, str]
) -> list[int]:
    """Write each label at the first free place beside its dot; return the codes that found one."""
    ax.figure.draw_without_rendering()  # type: ignore[union-attr]
    dots = ax.transData.transform(points[list(colors)]) if colors else np.full((1, 2), -1.0)
    turns = [(11, 0), (-11, 0), (0, 14), (0, -14), (9, 11), (-9, 11), (9, -11), (-9, -11)]  # points
    paper = {"boxstyle": "square,pad=0.1", "fc": PAPER, "ec": "none", "alpha": 0.85}
    beside: dict[str, Any] = {"xytext": (0, 0), "textcoords": "offset points", "bbox": paper}
    beside |= {"fontsize": 11, "va": "center", "zorder": 9}
    boxes: list[Bbox] = []
    placed = []
    for code, text in labels.items():
        short = textwrap.shorten(text, 30, placeholder=" …")
        note = ax.annotate(short, points[code], color=colors.get(code, INK), **beside)
        for x, y in turns:
            note.set_position((x, y))
            note.set_horizontalalignment("left" if x > 0 else "right" if x < 0 else "center")
            box = note.get_window_extent().padded(3)
            inside = ax.bbox.count_contains(box.corners()) == 4
            if inside and not box.count_overlaps(boxes) and not box.padded(6).count_contains(dots):
                boxes.append(box)
                placed.append(int(code))
                break
        else:
            note.remove()
    return placed


def _known_families(
    shown: Mapping[str, object], families: Mapping[str, str] | None
) -> Mapping[str, str]:
    if not shown:
        raise ValueError("there is nothing to draw: pass at least one name with its numbers")
    if unknown := set((families or {}).values()) - set(FAMILIES):
        raise ValueError(f"families holds {sorted(unknown)}: use {', '.join(FAMILIES)}")
    return families or {}

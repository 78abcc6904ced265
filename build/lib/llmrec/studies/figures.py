"""The figures of a study, in the book's visual language, each with its caption and alt text."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from llmrec.evaluation import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

    from llmrec.studies.study import Study


@dataclass(frozen=True)
class Figure:
    """One figure as SVG; ``caption`` carries its message, ``alt`` says what is drawn."""

    name: str
    svg: bytes
    caption: str
    alt: str

    @property
    def address(self) -> str:
        """The figure as a data address, which needs no file beside the page."""
        return f"data:image/svg+xml;base64,{base64.b64encode(self.svg).decode()}"

    def _repr_html_(self) -> str:
        from html import escape

        image = f'<img src="{self.address}" alt="{escape(self.alt)}" style="max-width: 100%">'
        return f"<figure>{image}<figcaption>{escape(self.caption)}</figcaption></figure>"


def figures(study: Study) -> dict[str, Figure]:
    """Return the figures of a study by name: models, where, tail, histories."""
    made = [_models(study), _where(study), _tail(study), _histories(study)]
    return {one.name: one for one in made if one is not None}


def _models(study: Study) -> Figure:
    from llmrec.plots import interval_plot

    rows = sorted(study.results["models"], key=lambda row: -row[study.plan.metric])
    metric = study.plan.metric
    estimates = {
        row["model"]: Estimate(row[metric], row[f"{metric} low"], row[f"{metric} high"], 1)
        for row in rows
    }
    families = {row["model"]: _family(row) for row in rows}
    drawing, _ = interval_plot(estimates, families=families, xlabel=_label(metric))
    best = rows[0]["model"]
    split = study.results["split"]
    users = f"{split['users']:,} test users"
    if split["able"] > split["users"]:
        users += f" (drawn from {split['able']:,})"
    caption = (
        f"{best} reaches the highest mean over {users}. Bars are 95 % intervals of"
        " each mean; whether two models differ is read from the paired comparison, not from bars"
        " that overlap. Blue: behaviour only. Orange: reads text. Green: both, joined. Purple:"
        " best-sellers. Grey: the control with shuffled texts."
    )
    said = "; ".join(f"{name} {one.value:.3f}" for name, one in estimates.items())
    return Figure("models", _svg(drawing), caption, f"{_label(metric)} by model: {said}.")


def _where(study: Study) -> Figure | None:
    from llmrec.plots import interval_plot

    rows = [row for row in study.answer.where if row["b"] == study.answer.without]
    if not rows:
        return None
    estimates = {
        row["claim"]: Estimate(row["difference"], row["low"], row["high"], row["n"]) for row in rows
    }
    drawing, _ = interval_plot(
        estimates,
        xlabel=f"gain in {_label(study.plan.metric)} from text",
        reference=("no gain", 0.0),
        spec="+.3f",
    )
    shown = [row["claim"] for row in rows if row["low"] > 0]
    first = f"Text helps {', '.join(shown)}" if shown else "In no group is a gain from text shown"
    caption = (
        f"{first}. Difference between the best model with text and the best without, by group of"
        " users and of items; the intervals hold for all groups at once."
    )
    said = "; ".join(f"{name} {one.value:+.3f}" for name, one in estimates.items())
    return Figure("where", _svg(drawing), caption, f"Gain from text by group: {said}.")


def _tail(study: Study) -> Figure:
    share = np.array(study.profile.tail)
    at = np.linspace(0, 100, len(share))
    hot = study.profile.hot_share
    drawing, ax = _axes()
    ax.plot(at, 100 * share)
    ax.plot([0, 100], [0, 100], ls=(0, (4, 3)), lw=1.2, color="#57606A")
    ax.set(xlabel="% of the items taken, most popular first", ylabel="% of choices")
    caption = f"The most popular fifth of the items has {hot:.0%} of all choices."
    alt = f"Share of choices on the most popular items: {caption} The dashed line: all equal."
    return Figure("tail", _svg(drawing), caption, alt)


def _histories(study: Study) -> Figure:
    length = np.array(study.profile.histories)
    at = np.linspace(0, 100, len(length))
    median = study.profile.median_history
    drawing, ax = _axes()
    ax.step(at, length, where="mid")
    ax.set(xlabel="% of the users, shortest history first", ylabel="distinct items", yscale="log")
    caption = f"The median user took {median:g} distinct items, the busiest {length.max():g}."
    return Figure("histories", _svg(drawing), caption, f"Length of histories. {caption}")


def _axes() -> tuple[Drawing, Any]:
    from matplotlib import pyplot as plt

    from llmrec.plots import use_style

    use_style()
    return plt.subplots(figsize=(6.4, 3.4))


def _svg(drawing: Drawing) -> bytes:
    from matplotlib import pyplot as plt

    out = io.BytesIO()
    with plt.rc_context({"svg.fonttype": "path"}):  # looks the same without the fonts
        drawing.savefig(out, format="svg", metadata={"Date": None})
    plt.close(drawing)
    return out.getvalue()


def _family(row: Mapping[str, Any]) -> str:
    """Return the colour's name in `llmrec.plots.FAMILIES`."""
    if row["knows"] == "text" and "weights" in row["values"]:
        return "both"
    return {"nothing": "popularity", "behaviour": "id"}.get(row["knows"], row["knows"])


def _label(metric: str) -> str:
    return metric.replace("ndcg", "nDCG")

"""The report of a study: one page that opens anywhere, and notes that the command prints too."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from llmrec.data.folder import EARLY, NO_RATING, NO_ROW_EVENTS
from llmrec.evaluation import Estimate
from llmrec.evaluation.statistics import BETTER, WORSE
from llmrec.study.answer import number, signed
from llmrec.study.run import WORDS
from llmrec.study.tables import Profile
from llmrec.study.vectors import LEXICAL, TOKENS

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PAGE, NOTES = "report.html.jinja", "notes.txt.jinja"
NO_SPACES = ("Chinese", "Japanese", "Thai")  # scripts whose words nobody can count by spaces
KNOWS = {
    "nothing": "nothing of the user",
    "behaviour": "behaviour",
    "text": "behaviour and text",
    "control": "wrong texts",
}
READS = {"": "–", "words": WORDS, "shuffled": "shuffled texts", "shuffled words": "shuffled words"}
MODELS = {
    "Popularity": "best-sellers, the same for all",
    "ItemKNN": "items that the same users took",
    "ALS": "users and items as points of a space (matrix factorisation)",
    "EASE": "all items predict each item, linearly",
    "TransitionKNN": "what others took next",
    "Bridge": "EASE’s weights, predicted from the texts",
    "TextEASE": "EASE, drawn towards what the texts say",
    "NeighbourBridge": "ItemKNN’s weights, predicted from the texts",
    "TextSimilarity": "items whose texts are like the history’s",
    "TextKNN": "items whose texts are like single items of the history",
    "together": "two models, their scores added with learned weights",
}


@dataclass(frozen=True)
class Notes:
    """What a reader should mind: limits from the tables, failed checks, and the study's own."""

    warnings: list[str]
    failed: list[str]
    limits: list[str]


def notes(results: Mapping[str, Any]) -> Notes:
    """Return the notes on a study by its results, most serious first."""
    about = Profile(**results["profile"])
    numbers = [repr(name) for name, holds in about.unread.items() if holds]
    facts: dict[str, Any] = {"no_row": NO_ROW_EVENTS, "no_rating": NO_RATING, "early": EARLY}
    facts |= {"numbers": numbers, "profile": about, "spaced": about.script not in NO_SPACES}
    told = _environment().get_template(NOTES).make_module({**results, **facts})
    return Notes(*(str(getattr(told, name)()).splitlines() for name in Notes.__annotations__))


def report_html(results: Mapping[str, Any], items: Sequence[object]) -> str:
    """Return the whole report as one HTML page with its figures inside.

    ``items`` are the ids of an example of ``llmrec recommend``. Titles of items and everything else
    from the tables are escaped: they are data, not markup.
    """
    answer, plan = results["answer"], results["plan"]
    ranked = sorted(results["models"], key=lambda row: -row[plan["metric"]])
    shipped = next(row for row in ranked if row["model"] == answer["ship"])
    said = notes(results)
    return (
        _environment()
        .get_template(PAGE)
        .render(
            results,
            items=items,
            warnings=said.warnings,
            limits=said.limits,
            figures=_figures(results, ranked),
            metric=_label(plan["metric"]),
            claims=_claims(answer["claims"]),
            where=_claims(answer["where"]),
            models=[_model(row, plan) for row in ranked],
            model_terms=[
                (name, what)
                for name, what in MODELS.items()
                if any(row["model"].startswith(name) for row in ranked)
            ],
            shipped_values=_values(shipped["values"]) or "nothing to tune",
            facts=_facts(Profile(**results["profile"]), results["split"]),
            audit_rows=[
                [row["check"], row["split"], row["status"], row["found"], row["fix"] or "–"]
                for row in results["audit"]
            ],
            lexical=plan["encoder"] in LEXICAL,
            tokens=TOKENS[plan["quick"]],
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("llmrec.study", "."),
        autoescape=lambda name: name == PAGE,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "thousands": lambda value: f"{value:,.0f}",
        "percent": lambda value: f"{value:.0%}",
        "short": lambda value: f"{value:g}",
        "quoted": repr,
        "number": number,
        "duration": lambda seconds: (
            f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
        ),
    }
    return environment


def _claims(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    verdicts = {BETTER: "yes", WORSE: "no, worse"}
    return [
        [
            row["claim"],
            verdicts.get(row["verdict"], "not shown"),
            number(row["before"]),
            number(row["after"]),
            signed(row["difference"]),
            f"{signed(row['low'])} to {signed(row['high'])}",
            f"{row['p_holm']:.3f}" if row["p_holm"] >= 0.001 else "< .001",
            f"{row['n']:,}",
        ]
        for row in rows
    ]


def _model(row: Mapping[str, Any], plan: Mapping[str, Any]) -> list[str]:
    return [
        row["model"],
        KNOWS[row["knows"]],
        plan["encoder"] if row["reads"] == "language" else READS[row["reads"]],
        *(number(row[key]) for key in ("valid", plan["metric"], "recall@10")),
        *(f"{row[key]:.1f}" for key in ("fit_seconds", "list_ms", "mb")),
    ]


def _values(values: Mapping[str, Any]) -> str:
    """Return tuned values, or the weights of joined models, in words."""
    flat = values.get("weights", values)
    return ", ".join(
        f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}"
        for name, value in flat.items()
    )


def _facts(about: Profile, split: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what stands in the table of the tables."""
    words = f", {about.median_words:g} words in the median" if about.script not in NO_SPACES else ""
    facts = [
        ("events that count", f"{about.n_events:,} ({about.feedback})"),
        ("time", f"{about.first} to {about.last}" if about.dated else ""),
        ("users", f"{about.n_users:,}, {about.one_event_users:,} of them with one item"),
        ("items", f"{about.n_items:,}, {about.never_taken:,} of them never taken"),
        ("filled cells of the table", f"{about.density:.2%}"),
        ("events that repeat an earlier choice", f"{about.repeated:.1%}"),
        ("choices on the most popular fifth of the items", f"{about.hot_share:.0%}"),
        ("test events on items that were new", f"{split['new_items']:.1%}"),
        ("text columns", ", ".join(about.columns)),
        ("items with a text", f"{about.with_text:.1%}{words}"),
        ("scripts", _shares(about.scripts) or "no letters"),
    ]
    if about.script == "Latin":  # the small words are all of languages that write it
        facts.append(("languages, by their small words", _shares(about.languages) or "not clear"))
    return [fact for fact in facts if fact[1]]


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.005)


# --- figures --------------------------------------------------------------------------------------


def _figures(results: Mapping[str, Any], ranked: list[dict[str, Any]]) -> dict[str, Any]:
    """Return data addresses of SVGs, which need no file beside the page, and what they show."""
    from matplotlib import pyplot as plt

    from llmrec.plots import interval_plot, use_style

    use_style()
    about, metric = results["profile"], results["plan"]["metric"]
    means = {
        row["model"]: Estimate(row[metric], row[f"{metric} low"], row[f"{metric} high"], 1)
        for row in ranked
    }
    families = {row["model"]: _family(row) for row in ranked}
    out: dict[str, Any] = {"means": means, "gains": {}}
    drawing, _ = interval_plot(means, families=families, xlabel=_label(metric))
    out["models"] = _address(drawing)
    rows = [row for row in results["answer"]["where"] if row["b"] == results["answer"]["without"]]
    if rows:
        out["gains"] = {
            row["claim"]: Estimate(row["difference"], row["low"], row["high"], row["n"])
            for row in rows
        }
        label, line = f"gain in {_label(metric)} from text", ("no gain", 0.0)
        drawing, _ = interval_plot(out["gains"], xlabel=label, reference=line, spec="+.3f")
        out["where"] = _address(drawing)
    at = np.linspace(0, 100, len(about["tail"]))
    drawing, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.plot(at, 100 * np.array(about["tail"]))
    ax.plot([0, 100], [0, 100], ls=(0, (4, 3)), lw=1.2, color="#57606A")
    ax.set(xlabel="% of the items taken, most popular first", ylabel="% of choices")
    out["tail"] = _address(drawing)
    drawing, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.step(at, about["histories"], where="mid")
    ax.set(xlabel="% of the users, shortest history first", ylabel="distinct items", yscale="log")
    out["histories"] = _address(drawing)
    return out


def _address(drawing: Drawing) -> str:
    from matplotlib import pyplot as plt

    out = io.BytesIO()
    with plt.rc_context({"svg.fonttype": "path"}):  # looks the same without the fonts
        drawing.savefig(out, format="svg", metadata={"Date": None})
    plt.close(drawing)
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"


def _family(row: Mapping[str, Any]) -> str:
    """Return the colour's name in `llmrec.plots.FAMILIES`."""
    if row["knows"] == "text" and "weights" in row["values"]:
        return "both"
    return {"nothing": "popularity", "behaviour": "id"}.get(row["knows"], row["knows"])


def _label(metric: str) -> str:
    return metric.replace("ndcg", "nDCG")

"""From results to an answer: does text help, for whom, at what cost, and which model to ship."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.data import Split
from llmrec.evaluation import Comparison, Evaluation, compare, family, slices
from llmrec.evaluation.statistics import BETTER, WORSE
from llmrec.study.plan import FEWEST, Candidate, Plan, Splits
from llmrec.study.run import K, Results
from llmrec.study.tables import Tables

NUMBERS = ("difference", "low", "high", "p_holm", "detectable")
MARGIN = 0.005  # a loss of nDCG that matters: text is not shipped for new items where it may occur
FEWEST_NEW = 0.01  # share of test events on new items, below which nothing is shipped for them
RIGHT, RIGHT_NEW = "right text", "right text on new items"
SHOWN = 10  # items of an example user's history and of what was taken
SLICES = {  # name in the report of each group of users and of items
    "short": "users with a short history",
    "medium": "users with a medium history",
    "long": "users with a long history",
    "cold": "new items only",
    "warm": "items of the long tail",
    "hot": "popular items",
}


@dataclass(frozen=True)
class Answer:
    """What the study concludes.

    Attributes
    ----------
    without, with_text:
        The best model of each kind, chosen on valid; ``with_text`` is "" where no item has a text.
    gain:
        The row of `family` for "text helps", with ``relative``, the gain over the best without.
        None where there is no text.
    claims:
        One row a claim of the main family: text; language model over TF-IDF; the best with
        text over the same model with other items' texts.
    where:
        One row a group: the gain among its users, or on its items, and on new items the gain over
        other items' texts; a family of its own.
    ship, why:
        The model to ship, and the reason.
    sentence:
        The answer in words.

    Notes
    -----
    Rows hold ``part, claim, a, b, before, after, difference, low, high, p_holm, n, detectable,
    verdict``; ``part`` is a key that no wording changes. Intervals are simultaneous within a family
    (Bonferroni), p-values are Holm's.
    """

    without: str
    with_text: str
    gain: Mapping[str, Any] | None
    claims: tuple[Mapping[str, Any], ...]
    where: tuple[Mapping[str, Any], ...]
    ship: str
    why: str
    sentence: str


def evaluation(results: Results, name: str, part: str = "") -> Evaluation | None:
    """Return what a candidate reached, overall or on the items of a part; None where nobody is."""
    tested = results.tested[name]
    tested = tested["slices"].get(part) if part else tested
    if tested is None:
        return None
    values = {metric: np.array(array) for metric, array in tested["values"].items()}
    return Evaluation(name, (K,), np.array(tested["users"], int), values)


def answer(results: Results, plan: Plan, split: Split) -> Answer:
    """Compare the best with text and the best without, in general and in parts."""
    without, text = results.pair
    if not text:
        sentence = "No model that reads text could be fitted, so there is nothing to compare."
        if not any(one.knows == "text" for one in plan.candidates):
            sentence = "No item has a text, so there is nothing that a language model could read."
        why = "it is the best on the validation part"
        return Answer(without, "", None, (), (), without, why, sentence)
    asked: dict[str, tuple[str, str, str, Any]] = {"text": ("text helps", text, without, "")}
    if (language := results.controls.get("language")) and (words := results.controls.get("words")):
        asked["words"] = ("the language model reads more than words", language, words, "")
    shuffled = results.controls.get("shuffled")
    if shuffled:
        asked[RIGHT] = ("it is the right text that helps", text, shuffled, "")
    claims = _family(asked, results, plan)
    where: dict[str, tuple[str, str, str, Any]] = {}
    for name, users in slices(split).users.items():
        if name in ("short", "medium", "long"):
            where[name] = (SLICES[name], text, without, users)
    for name in ("cold", "warm", "hot"):
        where[name] = (SLICES[name], text, without, name)
    if shuffled:
        where[RIGHT_NEW] = ("new items only, over other items’ texts", text, shuffled, "cold")
    rows = _family(where, results, plan)
    gain = {**claims[0], "relative": _ratio(claims[0]["difference"], claims[0]["before"])}
    verdicts = {row["part"]: row for row in (*claims, *rows)}
    ship, why = _ship(verdicts, _share_new(split), text, without)
    return Answer(without, text, gain, claims, rows, ship, why, _sentence(gain, verdicts))


def _family(
    asked: Mapping[str, tuple[str, str, str, Any]], results: Results, plan: Plan
) -> tuple[Mapping[str, Any], ...]:
    """Return one row for each ``(claim, a, b, part)``: is a better than b within the part?

    The part is a name of items, or user codes.
    """
    both: dict[str, tuple[Evaluation, Evaluation]] = {}
    for key, (_, a, b, part) in asked.items():
        sides = [
            evaluation(results, name, part if isinstance(part, str) else "") for name in (a, b)
        ]
        if sides[0] is None or sides[1] is None:
            continue
        if not isinstance(part, str):
            sides = [side.slice(part) for side in sides if side]
        if len(sides[0].users) >= FEWEST:  # type: ignore[union-attr]
            both[key] = sides[0], sides[1]  # type: ignore[assignment]
    metric = plan.metric
    compared: dict[str, Comparison] = {
        key: compare(a, b, metric, seed=plan.seed) for key, (a, b) in both.items()
    }
    if not compared:
        return ()
    rows: dict[Any, Any] = family(compared, margin=0.0).to_dict("index")
    return tuple(
        {
            "part": key,
            "claim": asked[key][0],
            "a": a.name,
            "b": b.name,
            "before": float(b.per_user(metric).mean()),
            "after": float(a.per_user(metric).mean()),
            **{name: float(rows[key][name]) for name in NUMBERS},
            "n": int(rows[key]["n"]),
            "verdict": str(rows[key]["verdict"]),
        }
        for key, (a, b) in both.items()
    )


def _ship(
    rows: Mapping[str, Mapping[str, Any]], new: float, text: str, without: str
) -> tuple[str, str]:
    """Return the model to ship and why.

    Text needs a gain, and its right texts to give it. Where none is shown overall, a gain on new
    items will do, but only if no group of users or items is shown to lose.
    """
    gain = rows["text"]
    groups = [SLICES[key] for key in SLICES if key in rows and rows[key]["verdict"] == WORSE]
    worse = f"worse, clear of zero, among {' and '.join(groups)}" if groups else ""
    if gain["verdict"] == BETTER:
        if _better(rows, RIGHT):
            why = "its gain over the best model without text is clear of zero"
            return text, f"{why}; yet it is {worse}" if worse else why
        return without, "it is not shown that the right texts give the gain"
    if gain["verdict"] == WORSE:
        return without, "the best model with text is worse, clear of zero"
    plain = "no gain from text is shown, and it is the simpler model"
    if not _better(rows, "cold"):
        return without, plain
    if new < FEWEST_NEW:
        return without, (
            f"{plain}; text is better on new items, but they are {new:.1%} of the test events, and"
            f" {FEWEST_NEW:.0%} would be needed"
        )
    if gain["low"] <= -MARGIN:
        return without, (
            f"{plain}; text is better on new items, but overall a loss of {-gain['low']:.3f} is not"
            f" excluded, and {MARGIN} is the most that would be borne"
        )
    if not _better(rows, RIGHT_NEW):
        return without, (
            f"{plain}; text is better on new items, but not shown to be so by the right texts"
        )
    if worse:
        return without, f"{plain}; text is better on new items, but {worse}"
    return text, (
        "on new items it is better, clear of zero, and than with other items’ texts too; they are"
        f" {new:.1%} of the test events ({FEWEST_NEW:.0%} would do); overall no difference to the"
        f" best model without text is shown, and a loss of {MARGIN} is excluded"
    )


def _better(rows: Mapping[str, Mapping[str, Any]], part: str) -> bool:
    return part in rows and rows[part]["verdict"] == BETTER


def _sentence(gain: Mapping[str, Any], rows: Mapping[str, Mapping[str, Any]]) -> str:
    first = "No gain from text is shown."
    if gain["verdict"] == WORSE:
        first = "No, text makes it worse."
    if gain["verdict"] == BETTER:
        first = "Yes, text helps."
        if RIGHT not in rows:
            first = "A gain, but its control with other items’ texts could not be made."
        elif not _better(rows, RIGHT):
            first = (
                "A gain, but other items’ texts give it too: with them the same model reaches"
                f" {number(rows[RIGHT]['before'])}, and that the right ones do better is not shown."
            )
    before, after = number(gain["before"]), number(gain["after"])
    return (
        f"{first} The best model with text ({gain['a']}) reaches {after} nDCG@{K}, the best without"
        f" ({gain['b']}) {before}: a difference of {signed(gain['difference'])}"
        f" [{signed(gain['low'])}, {signed(gain['high'])}] over {gain['n']:,} users."
    )


def _ratio(difference: float, before: float) -> float | None:
    return difference / before if before > 0 else None


def signed(value: float) -> str:
    """Return a difference with its sign, and zero without one.

    Examples
    --------
    >>> signed(0.0123), signed(-0.00041), signed(-0.0)
    ('+0.012', '-0.00041', '0.000')
    """
    value = round(value, 6)
    return f"{value:+.{_places(value)}f}" if value else "0.000"


def number(value: float) -> str:
    """Return a value with three decimals, more where it is small.

    Examples
    --------
    >>> number(0.3), number(0.00412)
    ('0.300', '0.0041')
    """
    return f"{value:.{_places(value)}f}"


def _places(value: float) -> int:
    """Return decimals that show two digits, three at least and six at most."""
    size = abs(value)
    return 3 if size >= 0.01 or size == 0 else min(6, 1 - math.floor(math.log10(size)))


# --- rows of results.json -------------------------------------------------------------------------


def row_of(candidate: Candidate, results: Results) -> dict[str, Any]:
    """Return what the table of models holds of one."""
    tuned, tested = results.tuned[candidate.name], results.tested[candidate.name]
    whole = evaluation(results, candidate.name)
    assert whole is not None
    row: dict[str, Any] = {
        "model": candidate.name,
        "knows": candidate.knows,
        "reads": candidate.reads,
        "values": tuned["values"] if "values" in tuned else {"weights": tuned["weights"]},
        "valid": tuned["value"],
    }
    for metric in whole.values:
        mean = whole.mean(metric)
        row |= {metric: mean.value, f"{metric} low": mean.low, f"{metric} high": mean.high}
    return row | {
        "tune_seconds": tuned["seconds"],
        "fit_seconds": tested["fit_seconds"],
        "list_ms": tested["list_ms"],
        "mb": tested["bytes"] / 1e6,
    }


def split_facts(splits: Splits) -> dict[str, Any]:
    """Return the sizes of the parts, and the users tested of those that could be."""
    split = splits.final
    return {
        "train": len(split.train),
        "test": len(split.test),
        "tuning": len(splits.tuning.train),
        "refused": len(splits.judged.history) - len(split.history),
        "users": len(splits.users),
        "able": splits.able,
        "newcomers": splits.newcomers,
        "new_items": _share_new(split),
        "hash": split.hash,
    }


def people(results: Results, ship: str, tables: Tables, splits: Splits) -> list[dict[str, Any]]:
    """Return the example users: latest history, the list of the model to ship, what was taken."""
    items, split = tables.dataset.items, splits.final
    pairs = zip(items["title"], items["item"], strict=True)
    titles = [" ".join(str(title).split()) or f"item {item}" for title, item in pairs]
    rows = []
    for code, tops in zip(results.examples, results.tested[ship]["lists"], strict=True):
        past = split.history[split.history["user"] == code].sort_values("timestamp", kind="stable")
        seen = list(dict.fromkeys(past["item"].tolist()[::-1]))
        later = split.test[split.test["user"] == code].sort_values("timestamp", kind="stable")
        taken = [i for i in dict.fromkeys(later["item"].tolist()) if i not in set(seen)]
        rows.append(
            {
                "user": str(tables.dataset.user_ids[code]),
                "n_history": len(seen),
                "n_taken": len(taken),
                "history": [titles[i] for i in seen[:SHOWN]],
                "taken": [titles[i] for i in taken[:SHOWN]],
                "list": [{"title": titles[i], "taken": i in taken} for i in tops if i >= 0],
            }
        )
    return rows


def _share_new(split: Split) -> float:
    """Return the share of test events on items that nobody had taken before."""
    return float((~split.test["item"].isin(split.train["item"])).mean())

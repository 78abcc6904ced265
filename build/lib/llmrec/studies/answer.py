"""From results to an answer: does text help, for whom, at what cost, and which model to ship."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.data import Split
from llmrec.evaluation import Comparison, Evaluation, compare, family, slices
from llmrec.evaluation.families import BETTER, WORSE
from llmrec.studies.found import Found, K
from llmrec.studies.html import number, signed
from llmrec.studies.plan import FEWEST, Plan

NUMBERS = ("difference", "low", "high", "p_holm", "detectable")
MARGIN = 0.005  # a loss of nDCG that matters: text is not shipped for new items where it may occur
FEWEST_NEW = 0.01  # share of test events on new items, below which nothing is shipped for them
RIGHT, RIGHT_NEW = "right text", "right text on new items"
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
    """What the study says.

    Attributes
    ----------
    without, with_text:
        The best model of each kind, chosen on valid; ``with_text`` is "" where no item has a text.
    gain:
        The row of `family` for "text helps", with ``relative``, the gain over the best without.
        None where there is no text.
    claims:
        One row a claim of the main family: text; language model over counted words; the best with
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


def evaluation(found: Found, name: str, part: str = "") -> Evaluation | None:
    """Return what a candidate reached, overall or on the items of a part; None where nobody is."""
    result = found.results[name]
    result = result["slices"].get(part) if part else result
    if result is None:
        return None
    values = {metric: np.array(array) for metric, array in result["values"].items()}
    return Evaluation(name, (K,), np.array(result["users"], int), values)


def answer(found: Found, plan: Plan, split: Split) -> Answer:
    """Compare the best with text and the best without, in general and in parts."""
    without, text = found.pair
    if not text:
        said = "No model that reads text could be fitted, so there is nothing to compare."
        if not any(one.knows == "text" for one in plan.candidates):
            said = "No item has a text, so there is nothing that a language model could read."
        why = "it is the best on the validation part"
        return Answer(without, "", None, (), (), without, why, said)
    asked: dict[str, tuple[str, str, str, Any]] = {"text": ("text helps", text, without, "")}
    if (language := found.controls.get("language")) and (words := found.controls.get("words")):
        asked["words"] = ("the language model reads more than words", language, words, "")
    shuffled = found.controls.get("shuffled")
    if shuffled:
        asked[RIGHT] = ("it is the right text that helps", text, shuffled, "")
    claims = _family(asked, found, plan)
    where: dict[str, tuple[str, str, str, Any]] = {}
    for name, users in slices(split).users.items():
        if name in ("short", "medium", "long"):
            where[name] = (SLICES[name], text, without, users)
    for name in ("cold", "warm", "hot"):
        where[name] = (SLICES[name], text, without, name)
    if shuffled:
        where[RIGHT_NEW] = ("new items only, over other items’ texts", text, shuffled, "cold")
    rows = _family(where, found, plan)
    gain = {**claims[0], "relative": _ratio(claims[0]["difference"], claims[0]["before"])}
    verdicts = {row["part"]: row for row in (*claims, *rows)}
    new = float((~split.test["item"].isin(split.train["item"])).mean())
    ship, why = _ship(verdicts, new, text, without)
    return Answer(without, text, gain, claims, rows, ship, why, _sentence(gain, verdicts))


def _family(
    asked: Mapping[str, tuple[str, str, str, Any]], found: Found, plan: Plan
) -> tuple[Mapping[str, Any], ...]:
    """Return one row for each ``(claim, a, b, part)``: is a better than b within the part?

    The part is a name of items, or user codes.
    """
    both: dict[str, tuple[Evaluation, Evaluation]] = {}
    for key, (_, a, b, part) in asked.items():
        sides = [evaluation(found, name, part if isinstance(part, str) else "") for name in (a, b)]
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
    """Return the model to ship and why; text needs a gain, and its right texts to give it."""
    gain = rows["text"]
    if gain["verdict"] == BETTER:
        if _better(rows, RIGHT):
            return text, "its gain over the best model without text is clear of zero"
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

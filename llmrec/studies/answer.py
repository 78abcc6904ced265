"""From results to an answer: does text help, for whom, at what cost, and which model to ship.

Introduced in chapter 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from llmrec.data import Split
from llmrec.evaluation import Comparison, Evaluation, compare, family, slices
from llmrec.evaluation.families import BETTER, WORSE
from llmrec.studies.plan import FEWEST, Plan
from llmrec.studies.run import Found, K

NUMBERS = ("difference", "low", "high", "p_holm", "detectable")
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
        One row a claim of the main family: text, language model over counted words, over shuffled
        texts.
    where:
        One row a group: the gain among its users, or on its items; a family of its own.
    ship, why:
        The model to ship, and the reason.
    sentence:
        The answer in words.

    Notes
    -----
    Rows hold ``claim, a, b, before, after, difference, low, high, p_holm, n, detectable,
    verdict``. Intervals are simultaneous within a family (Bonferroni), p-values are Holm's.
    Introduced in chapter 11.
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
    """Return what a candidate reached, overall or on the items of a part; None where nobody is.

    Introduced in chapter 11.
    """
    result = found.results[name]
    result = result["slices"].get(part) if part else result
    if result is None:
        return None
    values = {metric: np.array(array) for metric, array in result["values"].items()}
    return Evaluation(name, (K,), np.array(result["users"], int), values)


def answer(found: Found, plan: Plan, split: Split) -> Answer:
    """Compare the best with text and the best without, in general and in parts.

    Introduced in chapter 11.
    """
    without, text = found.pair
    if not text:
        said = "No model that reads text could be fitted, so there is nothing to compare."
        if not any(one.knows == "text" for one in plan.candidates):
            said = "No item has a text, so there is nothing that a language model could read."
        why = "it is the best on the validation part"
        return Answer(without, "", None, (), (), without, why, said)
    pairs = {"text helps": (text, without)}
    language = found.controls["language"]
    if words := found.controls.get("words"):
        pairs["the language model reads more than words"] = (language, words)
    if shuffled := found.controls.get("shuffled"):
        pairs["it is the right text that helps"] = (language, shuffled)
    claims = _family({name: (*pair, "") for name, pair in pairs.items()}, found, plan)
    groups = slices(split)
    where: dict[str, tuple[str, str, Any]] = {}
    for name, users in groups.users.items():
        if name in ("short", "medium", "long"):
            where[SLICES[name]] = (text, without, users)
    for name in ("cold", "warm", "hot"):
        where[SLICES[name]] = (text, without, name)
    rows = _family(where, found, plan)
    gain = {**claims[0], "relative": _ratio(claims[0]["difference"], claims[0]["before"])}
    ship, why = _ship(gain, rows, text, without)
    return Answer(without, text, gain, claims, rows, ship, why, _sentence(gain))


def _family(
    pairs: Mapping[str, tuple[str, str, Any]], found: Found, plan: Plan
) -> tuple[Mapping[str, Any], ...]:
    """Return one row a claim "a is better than b" within a part: a name of items, or user codes."""
    both: dict[str, tuple[Evaluation, Evaluation]] = {}
    for claim, (a, b, part) in pairs.items():
        sides = [evaluation(found, name, part if isinstance(part, str) else "") for name in (a, b)]
        if sides[0] is None or sides[1] is None:
            continue
        if not isinstance(part, str):
            sides = [side.slice(part) for side in sides if side]
        if len(sides[0].users) >= FEWEST:  # type: ignore[union-attr]
            both[claim] = sides[0], sides[1]  # type: ignore[assignment]
    metric = plan.metric
    compared: dict[str, Comparison] = {
        claim: compare(a, b, metric, seed=plan.seed) for claim, (a, b) in both.items()
    }
    if not compared:
        return ()
    rows: dict[Any, Any] = family(compared, margin=0.0).to_dict("index")
    return tuple(
        {
            "claim": claim,
            "a": a.name,
            "b": b.name,
            "before": float(b.per_user(metric).mean()),
            "after": float(a.per_user(metric).mean()),
            **{key: float(rows[claim][key]) for key in NUMBERS},
            "n": int(rows[claim]["n"]),
            "verdict": str(rows[claim]["verdict"]),
        }
        for claim, (a, b) in both.items()
    )


def _ship(
    gain: Mapping[str, Any], rows: tuple[Mapping[str, Any], ...], text: str, without: str
) -> tuple[str, str]:
    cold = next((row for row in rows if row["claim"] == SLICES["cold"]), None)
    if gain["verdict"] == BETTER:
        return text, "its gain over the best model without text is clear of zero"
    if gain["verdict"] != WORSE and cold and cold["verdict"] == BETTER:
        return text, (
            "overall no difference to the best model without text is shown, and on new items it is"
            " better, clear of zero"
        )
    return without, "no gain from text is shown, and it is the simpler model"


def _sentence(gain: Mapping[str, Any]) -> str:
    helps = {BETTER: "Yes, text helps.", WORSE: "No, text makes it worse."}
    first = helps.get(gain["verdict"], "No gain from text is shown.")
    return (
        f"{first} The best model with text ({gain['a']}) reaches {gain['after']:.3f} nDCG@{K}, the"
        f" best without ({gain['b']}) {gain['before']:.3f}: a difference of"
        f" {gain['difference']:+.3f} [{gain['low']:+.3f}, {gain['high']:+.3f}] over {gain['n']:,}"
        " users."
    )


def _ratio(difference: float, before: float) -> float | None:
    return difference / before if before > 0 else None

"""Tune, fit and judge every candidate of a plan, with the same budget, one finished step at a time.

Introduced in chapter 11.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from llmrec.evaluation import audit, evaluate, slices
from llmrec.models import Ensemble, Features, Recommender
from llmrec.models.saved import size
from llmrec.studies.plan import Candidate, Plan, Splits
from llmrec.studies.steps import Steps
from llmrec.studies.vectors import Vectors

K = 10
METRICS = ("ndcg", "recall", "hit")
EXAMPLES = ("short", "medium", "long")
WORDS, SHUFFLED = "words counted", "texts shuffled"
BOTH = "together, without text", "together, with text"


@dataclass
class Found:
    """What a run found, all of it JSON: by candidate what tuning chose and the test gave.

    Attributes
    ----------
    candidates:
        All that were tested, controls and joined ones included.
    tuned:
        Name → ``values, value`` (on valid), ``default, seconds, failed``, or ``error``.
    results:
        Name → ``users, values, slices, lists, fit_seconds, list_ms, bytes``.
    pair:
        The best without text and the best with text, chosen on valid.
    controls:
        ``"words"`` and ``"shuffled"`` → the candidate of that name, beside ``"language"``: the
        same model with the language model's vectors.
    examples:
        User codes whose lists are shown.
    audit:
        ``check, status, found, mend`` of each check.
    encode_seconds:
        What the language model took to read the items; less where its cache knew them.

    Notes
    -----
    Introduced in chapter 11.
    """

    candidates: list[Candidate] = field(default_factory=list)
    tuned: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    pair: tuple[str, str] = ("", "")
    controls: dict[str, str] = field(default_factory=dict)
    examples: list[int] = field(default_factory=list)
    audit: list[dict[str, str]] = field(default_factory=list)
    encode_seconds: float = 0.0


def units(plan: Plan, vectors: Vectors) -> int:
    """Return how many fits a run of this plan takes, for the bar. Introduced in chapter 11."""
    tuned = len(plan.candidates) - 1
    reads = any(one.knows == "text" for one in plan.candidates)
    controls = (1 if vectors.lexical else 2) if reads else 0
    joined = 2 if reads else 1
    reading = plan.trials if reads else 0
    return (tuned + controls) * (plan.trials + 1) + joined * 4 + reading + 3


def run(plan: Plan, splits: Splits, vectors: Vectors, steps: Steps) -> Found:
    """Tune on valid, test on test, with everything chosen before the test is looked at.

    First every candidate of the plan is tuned; then the best text model's class again, as often,
    with counted words and with shuffled texts; then two are joined, without text and with it. The
    best without and the best with text are chosen on valid. Introduced in chapter 11.
    """
    found = Found()
    found.audit = steps("audit", lambda: _audit(splits, plan))
    found.examples = _examples(splits, plan.seed)
    if any(one.reads for one in plan.candidates):
        found.encode_seconds = steps("read the texts", lambda: _read(vectors), units=plan.trials)

    def tune(candidate: Candidate) -> None:
        units = 1 if candidate.entry == "Popularity" else plan.trials
        chosen = steps(
            f"tune {candidate.name}",
            partial(_tune, candidate, plan, splits, vectors),
            asdict(candidate),
            units=units,
        )
        found.tuned[candidate.name] = chosen
        if "error" not in chosen:
            found.candidates.append(candidate)

    for candidate in plan.candidates:
        tune(candidate)
    _tune_controls(found, vectors, tune)
    _join(found, plan, splits, vectors, steps)
    best = {
        knows: [one for one in found.candidates if one.knows in kinds]
        for knows, kinds in (("without", ("nothing", "behaviour")), ("with", ("text",)))
    }
    found.pair = _best(best["without"], found), _best(best["with"], found)
    for candidate in found.candidates:
        found.results[candidate.name] = steps(
            f"test {candidate.name}",
            partial(_test, candidate, found, plan, splits, vectors),
            asdict(candidate),
            _values(candidate, found),
        )
    return found


def _audit(splits: Splits, plan: Plan) -> list[dict[str, str]]:
    report = audit(splits.final, seed=plan.seed)
    return [{name: str(said) for name, said in vars(one).items()} for one in report.findings]


def _read(vectors: Vectors) -> float:
    start = time.perf_counter()
    vectors.features("language")
    return time.perf_counter() - start


def build(candidate: Candidate, found: Found) -> Recommender:
    """Return the candidate's model with the chosen values, not fitted. Introduced in chapter 11."""
    from llmrec.tuning import model_of

    chosen = found.tuned[candidate.name]
    if candidate.members:
        by_name = {one.name: one for one in found.candidates}
        members = {name: build(by_name[name], found) for name in candidate.members}
        return Ensemble(members, chosen["weights"])
    return model_of(candidate.entry)(**chosen["values"])


def _values(candidate: Candidate, found: Found) -> Any:
    own = {key: found.tuned[candidate.name].get(key) for key in ("values", "weights")}
    members = [found.tuned[name]["values"] for name in candidate.members]
    return [own, members]


def _best(candidates: list[Candidate], found: Found) -> str:
    """Return the best on valid; the earlier of equals, "" of none."""
    names = [one.name for one in candidates]
    return max(names, key=lambda name: found.tuned[name]["value"], default="")


def _tune(candidate: Candidate, plan: Plan, splits: Splits, vectors: Vectors) -> dict[str, Any]:
    from llmrec.tuning import model_of, tune

    try:
        tuned = tune(
            model_of(candidate.entry),
            splits.tuning,
            vectors.features(candidate.reads),
            plan.trials,
            plan.metric,
            plan.seed,
            name=candidate.entry,
        )
    except ValueError as error:
        return {"error": " ".join(str(error).split())}
    return {
        "values": dict(tuned.values),
        "value": tuned.value,
        "default": tuned.default,
        "seconds": tuned.seconds,
        "failed": sum(bool(trial.error) for trial in tuned.trials),
    }


def _tune_controls(found: Found, vectors: Vectors, tune: Any) -> None:
    """Tune the best text model's class once more on each control's vectors."""
    text = [one for one in found.candidates if one.knows == "text"]
    if not text:
        return
    best = next(one for one in text if one.name == _best(text, found))
    found.controls["language"] = best.name
    if not vectors.lexical:
        words = Candidate(f"{best.name}, {WORDS}", best.entry, "text", "words")
        tune(words)
        found.controls["words"] = words.name
    shuffled = Candidate(f"{best.name}, {SHUFFLED}", best.entry, "control", "shuffled")
    tune(shuffled)
    found.controls["shuffled"] = shuffled.name
    found.controls = {
        key: name for key, name in found.controls.items() if "error" not in found.tuned[name]
    }


def _join(found: Found, plan: Plan, splits: Splits, vectors: Vectors, steps: Steps) -> None:
    """Add the two best without text, and the best of either kind, with weights learned on valid."""
    without = [one for one in found.candidates if one.knows == "behaviour"]
    text = [one for one in found.candidates if one.knows == "text"]
    without.sort(key=lambda one: -found.tuned[one.name]["value"])
    text.sort(key=lambda one: -found.tuned[one.name]["value"])
    for name, knows, pair in (
        (BOTH[0], "behaviour", without[:2]),
        (BOTH[1], "text", [*without[:1], *text[:1]]),
    ):
        if len(pair) < 2:
            continue
        reads = pair[1].reads
        joined = Candidate(name, "Ensemble", knows, reads, tuple(one.name for one in pair))  # type: ignore[arg-type]
        values = _members(joined, found)
        chosen = steps(
            f"join {name}",
            partial(_weigh, joined, found, plan, splits, vectors),
            asdict(joined),
            values,
            units=3,
        )
        found.tuned[name] = chosen
        if "error" not in chosen:
            found.candidates.append(joined)


def _members(joined: Candidate, found: Found) -> list[Any]:
    return [found.tuned[name]["values"] for name in joined.members]


def _weigh(
    joined: Candidate, found: Found, plan: Plan, splits: Splits, vectors: Vectors
) -> dict[str, Any]:
    """Learn the weights of two members on valid, and say what they reach there."""
    by_name = {one.name: one for one in found.candidates}
    members = {name: build(by_name[name], found) for name in joined.members}
    start = time.perf_counter()
    kind, _, k = plan.metric.partition("@")
    try:
        fitted = Ensemble(members).fit(splits.tuning, vectors.features(joined.reads))
        reached = evaluate(fitted, splits.tuning, (int(k),), (kind,), part="valid")
    except ValueError as error:
        return {"error": " ".join(str(error).split())}
    return {
        "weights": fitted.weights_,
        "value": float(reached.per_user(plan.metric).mean()),
        "seconds": time.perf_counter() - start,
        "failed": 0,
    }


def _test(
    candidate: Candidate, found: Found, plan: Plan, splits: Splits, vectors: Vectors
) -> dict[str, Any]:
    """Fit on all before the test, judge overall and by slice, and list for the examples."""
    split, users = splits.final, splits.users
    features = vectors.features(candidate.reads)
    start = time.perf_counter()
    model = build(candidate, found).fit(split, features)
    fitted = time.perf_counter() - start
    whole = evaluate(model, split, (K,), METRICS, users=users)
    few = users[:: -(-len(users) // max(500, plan.tested // 4))]
    parts = {}
    for name, items in slices(split).items.items():
        try:
            part = evaluate(model, split, (K,), ("ndcg",), users=few, items=items)
        except ValueError:  # nobody was tested on such an item
            continue
        parts[name] = {"users": part.users.tolist(), "values": _rounded(part.values)}
    asked = users[:100]
    start = time.perf_counter()
    model.recommend(asked, K)
    listing = (time.perf_counter() - start) / len(asked)
    lists, _ = model.recommend(np.array(found.examples), K)
    return {
        "users": whole.users.tolist(),
        "values": _rounded(whole.values),
        "slices": parts,
        "lists": lists.tolist(),
        "fit_seconds": fitted,
        "list_ms": listing * 1000,
        "bytes": size(model),
    }


def _rounded(values: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    return {name: array.round(6).tolist() for name, array in values.items()}


def _examples(splits: Splits, seed: int) -> list[int]:
    """Draw one test user of each length of history, by chance."""
    rng = np.random.default_rng([seed, 1])
    groups = slices(splits.final).users
    drawn = []
    for name in EXAMPLES:
        group = np.intersect1d(groups[name], splits.users)
        if len(group):
            drawn.append(int(rng.choice(group)))
    return drawn


def fit_on_everything(
    candidate: Candidate, found: Found, splits: Splits, vectors: Vectors
) -> Recommender:
    """Return the candidate fitted on all events, test included: the model to ship.

    Introduced in chapter 11.
    """
    from llmrec.studies.served import everything

    features: Features | None = vectors.features(candidate.reads)
    return build(candidate, found).fit(everything(splits.final.dataset), features)

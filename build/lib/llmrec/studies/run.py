"""Tune, fit and judge every candidate of a plan, with the same budget, one finished step at
a time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from llmrec.evaluation import audit, evaluate, slices
from llmrec.models import Ensemble, Features, Recommender, top_k
from llmrec.models.saved import size
from llmrec.studies.budget import Costs
from llmrec.studies.controls import best_of, join_best, join_control, tune_controls
from llmrec.studies.found import Found, K
from llmrec.studies.plan import Candidate, Plan, Splits
from llmrec.studies.steps import Steps
from llmrec.studies.vectors import Vectors

METRICS = ("ndcg", "recall", "hit")
PARTS = ("cold", "warm", "hot")  # items of `slices`
EXAMPLES = ("short", "medium", "long")


def run(plan: Plan, splits: Splits, vectors: Vectors, steps: Steps, costs: Costs) -> Found:
    """Tune on valid, test on test, with everything chosen before the test is looked at.

    First every candidate of the plan is tuned; then the best text model's class again, as often,
    with counted words, and the best of them with shuffled texts; then two are joined, without text
    and with it. The best without and the best with text are chosen on valid; a joined winner is
    joined once more with shuffled texts, its control.
    """
    found = Found()
    found.audit = steps("audit", lambda: _audit(splits, plan), units=costs.audit())
    found.examples = _examples(splits, plan.seed)
    if any(one.reads for one in plan.candidates):
        found.encode_seconds = steps(
            "read the texts", lambda: _read(vectors), vectors.fingerprint, units=costs.read()
        )

    def tune(candidate: Candidate) -> None:
        chosen = steps(
            f"tune {candidate.name}",
            partial(_tune, candidate, plan, splits, vectors),
            asdict(candidate),
            units=costs.tune(candidate),
        )
        found.tuned[candidate.name] = chosen
        if "error" not in chosen:
            found.candidates.append(candidate)

    def join(joined: Candidate) -> None:
        chosen = steps(
            f"join {joined.name}",
            partial(_weigh, joined, found, plan, splits, vectors),
            asdict(joined),
            [found.tuned[name]["values"] for name in joined.members],
            units=costs.join(joined),
        )
        found.tuned[joined.name] = chosen
        if "error" not in chosen:
            found.candidates.append(joined)

    for candidate in plan.candidates:
        tune(candidate)
    tune_controls(found, vectors, tune)
    join_best(found, join)
    without = [one for one in found.candidates if one.knows in ("nothing", "behaviour")]
    text = [one for one in found.candidates if one.knows == "text"]
    found.pair = best_of(without, found), best_of(text, found)
    join_control(found, join)
    for candidate in found.candidates:
        parts: tuple[str, ...] = PARTS if candidate.name in found.pair else ()
        if candidate.name == found.controls.get("shuffled"):
            parts = ("cold",)
        found.results[candidate.name] = steps(
            f"test {candidate.name}",
            partial(_test, candidate, found, plan, splits, vectors, parts),
            asdict(candidate),
            _values(candidate, found),
            parts,
            units=costs.test(candidate, len(parts)),
        )
    return found


def _audit(splits: Splits, plan: Plan) -> list[dict[str, str]]:
    """Audit the split to test on, then the one to tune on, with its validation part as its test."""
    tuning = splits.tuning
    tuned = replace(tuning, test=tuning.valid, valid=tuning.valid.iloc[:0])
    rows = []
    for name, split in (("test", splits.final), ("tuning", tuned)):
        for one in audit(split, seed=plan.seed).findings:
            rows.append({"split": name} | {key: str(said) for key, said in vars(one).items()})
    return rows


def _read(vectors: Vectors) -> float:
    start = time.perf_counter()
    vectors.features("language")
    return time.perf_counter() - start


def build(candidate: Candidate, found: Found) -> Recommender:
    """Return the candidate's model with the chosen values, not fitted."""
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
            items=splits.items,
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
        reached = evaluate(
            fitted, splits.tuning, (int(k),), (kind,), items=splits.items, part="valid"
        )
    except ValueError as error:
        return {"error": " ".join(str(error).split())}
    return {
        "weights": fitted.weights_,
        "value": float(reached.per_user(plan.metric).mean()),
        "seconds": time.perf_counter() - start,
        "failed": 0,
    }


def _test(
    candidate: Candidate,
    found: Found,
    plan: Plan,
    splits: Splits,
    vectors: Vectors,
    parts: tuple[str, ...],
) -> dict[str, Any]:
    """Fit on all before the test, judge overall and on parts, and list for the examples."""
    split, users = splits.final, splits.users
    features = vectors.features(candidate.reads)
    start = time.perf_counter()
    model = build(candidate, found).fit(split, features)
    fitted = time.perf_counter() - start
    whole = evaluate(model, splits.judged, (K,), METRICS, users=users)
    few = users[:: -(-len(users) // max(500, plan.tested // 4))]
    sliced = {}
    for name in parts:
        items = slices(split).items[name]
        try:
            part = evaluate(model, splits.judged, (K,), ("ndcg",), users=few, items=items)
        except ValueError:  # nobody was tested on such an item
            continue
        sliced[name] = {"users": part.users.tolist(), "values": _rounded(part.values)}
    asked = users[:100]
    start = time.perf_counter()
    model.recommend(asked, K)
    listing = (time.perf_counter() - start) / len(asked)
    examples = np.array(found.examples, int)
    scores = model.score(examples).astype(np.float32, copy=True)
    scores[splits.judged.matrix("history")[examples].nonzero()] = -np.inf
    lists, _ = top_k(scores, K)
    return {
        "users": whole.users.tolist(),
        "values": _rounded(whole.values),
        "slices": sliced,
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
    """Return the candidate fitted on all events, test included: the model to ship."""
    from llmrec.studies.served import everything

    features: Features | None = vectors.features(candidate.reads)
    return build(candidate, found).fit(everything(splits.final.dataset), features)

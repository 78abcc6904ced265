"""Tune, fit and judge every candidate of a plan, with the same budget, step by step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from llmrec.cache import Cache, key_of
from llmrec.evaluation import audit, evaluate, slices
from llmrec.fingerprint import code_of
from llmrec.models import Ensemble, Recommender, top_k
from llmrec.models.saved import size
from llmrec.study.plan import Candidate, Knows, Plan, Reads, Splits
from llmrec.study.vectors import LEXICAL, Vectors
from llmrec.tuning import model_of, tune

K = 10
METRICS = ("ndcg", "recall", "hit")
PARTS = ("cold", "warm", "hot")  # items of `slices`
EXAMPLES = ("short", "medium", "long")  # users of `slices`
WORDS, SHUFFLED = "TF-IDF", "texts shuffled"
BOTH = "together, without text", "together, with text"


@dataclass
class Results:
    """What a run measured, all of it JSON: by candidate what tuning chose and the test gave.

    Attributes
    ----------
    candidates:
        All that were tested, controls and joined ones included.
    tuned:
        Name → ``values, value`` (on valid), ``default, seconds, failed``, or ``error``.
    tested:
        Name → ``users, values, slices, lists, fit_seconds, list_ms, bytes``.
    pair:
        The best without text and the best with text, chosen on valid.
    controls:
        ``"language"``, the best single model that reads with the language model; ``"words"``, the
        same with TF-IDF; and ``"shuffled"``, the control of the best with text: built as it is,
        with the texts of other items.
    examples:
        User codes whose lists are shown.
    audit:
        ``split, check, status, examined, found, fix`` of each check.
    encode_seconds:
        What the language model took to read the items; less where its cache knew them.
    """

    candidates: list[Candidate] = field(default_factory=list)
    tuned: dict[str, Any] = field(default_factory=dict)
    tested: dict[str, Any] = field(default_factory=dict)
    pair: tuple[str, str] = ("", "")
    controls: dict[str, str] = field(default_factory=dict)
    examples: list[int] = field(default_factory=list)
    audit: list[dict[str, str]] = field(default_factory=list)
    encode_seconds: float = 0.0

    def named(self, name: str) -> Candidate:
        """Return the candidate of this name."""
        return next(one for one in self.candidates if one.name == name)

    def ranked(self, *knows: Knows) -> list[Candidate]:
        """Return the candidates that know one of these, best on valid first; equals as tuned."""
        known = [one for one in self.candidates if one.knows in knows]
        return sorted(known, key=lambda one: -self.tuned[one.name]["value"])

    def settle(self, candidate: Candidate, chosen: Mapping[str, Any]) -> None:
        """Keep what was chosen for a candidate; one that cannot be fitted takes part no more."""
        self.tuned[candidate.name] = chosen
        if "error" not in chosen:
            self.candidates.append(candidate)


class Steps:
    """Runs steps and keeps what they return under a key of all that they depend on.

    Parameters
    ----------
    path:
        The cache file; None keeps nothing.
    key:
        What pins tables, plan and code: another study finds nothing of this one.
    total:
        How many steps there will be, about, for the bar, which shows on a terminal only.
    force:
        Run finished steps again.
    log:
        Given one line a step where there is no bar.

    Attributes
    ----------
    seconds:
        What all steps took, those of an earlier run included.
    """

    def __init__(
        self,
        path: Path | None,
        key: str,
        total: int = 0,
        *,
        force: bool = False,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.key, self.force, self.seconds = key, force, 0.0
        self._cache = None if path is None else Cache(path)
        self._log = log
        # disable=None: no bar where there is no terminal
        self._bar = tqdm(total=total, desc="study", disable=None, dynamic_ncols=True, unit="step")
        self._done, self._total = 0, total

    def __call__(self, name: str, make: Callable[[], Any], *depends: Any, keep: bool = True) -> Any:
        """Return what ``make()`` returns, or returned in an earlier run with equal ``depends``.

        With ``keep`` it is JSON and kept; else it may be anything, and is made each time.
        """
        self._bar.set_description(name)
        key = key_of([self.key, name, depends])
        cache = self._cache if keep else None
        kept = {} if cache is None or self.force else cache.get([key])
        if kept:
            entry = json.loads(kept[key])
        else:
            start = time.perf_counter()
            value = json.loads(json.dumps(make())) if keep else make()  # types as when it is read
            entry = {"value": value, "seconds": time.perf_counter() - start}
            if cache is not None:
                cache.put({key: json.dumps(entry).encode()})
        self.seconds += entry["seconds"]
        self._done += 1
        self._bar.update()
        if self._log is not None and self._bar.disable:
            what = "found finished" if kept else f"{entry['seconds']:.1f} s"
            self._log(f"[{self._done}/{max(self._done, self._total)}] {name}, {what}")
        return entry["value"]

    def close(self) -> None:
        """End the bar."""
        self._bar.close()


def steps_of(plan: Plan) -> int:
    """Return about how many steps a study takes: controls and joined models are not known yet."""
    own = len(plan.candidates)
    text = any(one.reads for one in plan.candidates)
    controls = (1 if plan.encoder in LEXICAL else 2) if text else 0
    joined = 2 if text else 1
    return 2 + text + 2 * (own + controls + joined)  # audit and ship; tune and test each


def code(plan: Plan) -> str:
    """Return the hash of the code that a run's results depend on."""
    return code_of(run, *(model_of(one.entry) for one in plan.candidates))


def run(plan: Plan, splits: Splits, vectors: Vectors, steps: Steps) -> Results:
    """Tune on valid, test on test, with everything chosen before the test is looked at.

    First every candidate of the plan is tuned; then the best text model's class again, as often,
    with TF-IDF, and the best of them with shuffled texts; then two are joined, without text and
    with it. The best without and the best with text are chosen on valid; a joined winner is joined
    once more with shuffled texts, its control.
    """
    results = Results()
    results.audit = steps("audit", lambda: _audit(splits, plan))
    results.examples = _examples(splits, plan.seed)
    if any(one.reads for one in plan.candidates):
        results.encode_seconds = steps(
            "read the texts", lambda: _read(vectors), vectors.fingerprint
        )

    def settle(candidate: Candidate) -> None:
        """Tune a candidate, or join two that were tuned."""
        if candidate.members:
            name, make = "join", partial(_join, candidate, results, plan, splits, vectors)
        else:
            name, make = "tune", partial(_tune, candidate, plan, splits, vectors)
        members = [results.tuned[one]["values"] for one in candidate.members]
        chosen = steps(f"{name} {candidate.name}", make, asdict(candidate), members)
        results.settle(candidate, chosen)

    for candidate in plan.candidates:
        settle(candidate)
    choose(results, vectors.lexical, settle)
    for candidate in results.candidates:
        parts: tuple[str, ...] = PARTS if candidate.name in results.pair else ()
        if candidate.name == results.controls.get("shuffled"):
            parts = ("cold",)
        values = [results.tuned[one] for one in (candidate.name, *candidate.members)]
        chosen = [{key: one.get(key) for key in ("values", "weights")} for one in values]
        results.tested[candidate.name] = steps(
            f"test {candidate.name}",
            partial(_test, candidate, results, plan, splits, vectors, parts),
            asdict(candidate),
            chosen,
            parts,
        )
    return results


def choose(results: Results, lexical: bool, settle: Callable[[Candidate], None]) -> None:
    """Settle the controls and the joined models, and choose the pair to compare, all on valid.

    The controls: the best text model's class on TF-IDF, unless the encoder only counts words
    itself; and the better one of both on shuffled texts. Joined are the two best without text, and
    the best of either kind.
    """
    controls = results.controls
    if text := results.ranked("text"):
        controls["language"] = text[0].name
        if not lexical:
            words = Candidate(f"{text[0].name}, {WORDS}", text[0].entry, "text", "words")
            settle(words)
            controls["words"] = words.name
        best = results.ranked("text")[0]
        reads: Reads = "shuffled words" if best.reads == "words" else "shuffled"
        shuffled = Candidate(f"{best.name}, {SHUFFLED}", best.entry, "control", reads)
        settle(shuffled)
        controls["shuffled"] = shuffled.name
        for key in [key for key, name in controls.items() if "error" in results.tuned[name]]:
            del controls[key]
    without, text = results.ranked("behaviour"), results.ranked("text")
    if len(without) > 1:
        _settle_both(BOTH[0], "behaviour", (without[0], without[1]), settle)
    if without and text:
        _settle_both(BOTH[1], "text", (without[0], text[0]), settle)
    firsts = results.ranked("nothing", "behaviour")[:1], results.ranked("text")[:1]
    results.pair = tuple(first[0].name if first else "" for first in firsts)  # type: ignore[assignment]
    if results.pair[1] == BOTH[1] and "shuffled" in controls:
        first = results.named(results.named(BOTH[1]).members[0])
        pair = first, results.named(controls.pop("shuffled"))
        joined = _settle_both(f"{BOTH[1]}, {SHUFFLED}", "control", pair, settle)
        if "error" not in results.tuned[joined]:
            controls["shuffled"] = joined


def _settle_both(
    name: str,
    knows: Knows,
    pair: tuple[Candidate, Candidate],
    settle: Callable[[Candidate], None],
) -> str:
    settle(Candidate(name, "Ensemble", knows, pair[1].reads, (pair[0].name, pair[1].name)))
    return name


def _audit(splits: Splits, plan: Plan) -> list[dict[str, str]]:
    """Audit the split to test on, then the one to tune on, with its validation part as its test."""
    tuning = splits.tuning
    tuned = replace(tuning, test=tuning.valid, valid=tuning.valid.iloc[:0])
    rows = []
    for name, split in (("test", splits.final), ("tuning", tuned)):
        for one in audit(split, seed=plan.seed).findings:
            row = {"split": name, "check": one.check, "status": one.status}
            row |= {"examined": one.examined, "found": one.found, "fix": one.fix}
            rows.append({key: str(value) for key, value in row.items()})
    return rows


def _read(vectors: Vectors) -> float:
    start = time.perf_counter()
    vectors.features("language")
    return time.perf_counter() - start


def build(candidate: Candidate, results: Results) -> Recommender:
    """Return the candidate's model with the chosen values, not fitted."""
    chosen = results.tuned[candidate.name]
    if candidate.members:
        return Ensemble(_built(candidate.members, results), chosen["weights"])
    return model_of(candidate.entry)(**chosen["values"])


def _built(names: Iterable[str], results: Results) -> dict[str, Recommender]:
    return {name: build(results.named(name), results) for name in names}


def _tune(candidate: Candidate, plan: Plan, splits: Splits, vectors: Vectors) -> dict[str, Any]:
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
        # `tune` says with a plain ValueError that no trial could be fitted. Others, such as a
        # JSONDecodeError, come from files: no reason to go on without this model.
        if type(error) is not ValueError:
            raise
        return {"error": " ".join(str(error).split())}
    return {
        "values": dict(tuned.values),
        "value": tuned.value,
        "default": tuned.default,
        "seconds": tuned.seconds,
        "failed": sum(bool(trial.error) for trial in tuned.trials),
    }


def _join(
    joined: Candidate, results: Results, plan: Plan, splits: Splits, vectors: Vectors
) -> dict[str, Any]:
    """Learn the weights of two members on valid, and measure what they reach there."""
    members = _built(joined.members, results)
    features = vectors.features(joined.reads)
    start = time.perf_counter()
    kind, _, k = plan.metric.partition("@")
    try:
        fitted = Ensemble(members).fit(splits.tuning, features)
    except ValueError as error:
        return {"error": " ".join(str(error).split())}
    reached = evaluate(fitted, splits.tuning, (int(k),), (kind,), items=splits.items, part="valid")
    return {
        "weights": fitted.weights_,
        "value": float(reached.per_user(plan.metric).mean()),
        "seconds": time.perf_counter() - start,
        "failed": 0,
    }


def _test(
    candidate: Candidate,
    results: Results,
    plan: Plan,
    splits: Splits,
    vectors: Vectors,
    parts: tuple[str, ...],
) -> dict[str, Any]:
    """Fit on all before the test, judge overall and on parts, and list for the examples."""
    split, users = splits.final, splits.users
    features = vectors.features(candidate.reads)
    start = time.perf_counter()
    model = build(candidate, results).fit(split, features)
    fit_seconds = time.perf_counter() - start
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
    list_seconds = (time.perf_counter() - start) / len(asked)
    examples = np.array(results.examples, int)
    scores = model.score(examples).astype(np.float32, copy=True)
    scores[splits.judged.matrix("history")[examples].nonzero()] = -np.inf
    lists, _ = top_k(scores, K)
    return {
        "users": whole.users.tolist(),
        "values": _rounded(whole.values),
        "slices": sliced,
        "lists": lists.tolist(),
        "fit_seconds": fit_seconds,
        "list_ms": list_seconds * 1000,
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

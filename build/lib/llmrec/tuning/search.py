"""Search: trials with Optuna, fitted on train, judged on validation, kept in the cache."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import optuna
import pandas as pd
import psutil
from filelock import FileLock
from numpy.typing import ArrayLike
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from tqdm import tqdm

from llmrec import config
from llmrec.data import Split
from llmrec.evaluation import METRICS, evaluate
from llmrec.models import Features, Recommender
from llmrec.tuning.space import SearchSpace, spaces

WARM_UP = 8  # random trials before TPE models what they found


@dataclass(frozen=True)
class Trial:
    """One trial: the arguments, the validation value (NaN when it failed), seconds and error."""

    values: Mapping[str, Any]
    value: float
    seconds: float
    error: str = ""


@dataclass(frozen=True)
class Tuned:
    """What tuning one model on one split found.

    Attributes
    ----------
    model, split, metric : str
        Names.
    values : mapping
        Arguments of the best trial, for ``Model(**values)``; the earliest of equally good ones.
    value : float
        Its mean metric over the validation users. It is the best of many, hence optimistic.
    budget : int
        Trials asked for; 0 when the model has nothing to tune and its defaults ran once.
    trials : tuple of Trial
        In order; the first one is the model's defaults. A failed trial is among them.
    space_hash, split_hash : str
        Pin what was searched, and on which split.
    """

    model: str
    split: str
    metric: str
    values: Mapping[str, Any]
    value: float
    budget: int
    trials: tuple[Trial, ...]
    space_hash: str
    split_hash: str

    @property
    def default(self) -> float:
        """The validation value of the model's defaults (NaN when they failed)."""
        return self.trials[0].value

    @property
    def seconds(self) -> float:
        """Seconds that the trials took, an earlier run's included."""
        return sum(trial.seconds for trial in self.trials)

    def table(self) -> pd.DataFrame:
        """Return one row a trial: ``value, seconds, error``, then the arguments."""
        rows = [
            {"value": t.value, "seconds": t.seconds, "error": t.error, **t.values}
            for t in self.trials
        ]
        return pd.DataFrame(rows).rename_axis("trial")

    def entry(self) -> dict[str, Any]:
        """Return what ``tuned.yml`` keeps."""
        return {
            "values": dict(self.values),
            "metric": self.metric,
            "value": round(self.value, 5),
            "default": round(self.default, 5),
            "budget": self.budget,
            "failed": sum(bool(trial.error) for trial in self.trials),
            "seconds": round(self.seconds, 1),
            "space": self.space_hash,
            "split": self.split_hash[:16],
        }


def tune(
    model: type[Recommender],
    split: Split,
    features: Features | None = None,
    budget: int = 20,
    metric: str = "ndcg@10",
    seed: int = 0,
    *,
    name: str | None = None,
    space: Mapping[str, Any] | None = None,
    items: ArrayLike | None = None,
) -> Tuned:
    """Choose a model's arguments by ``budget`` trials, fitted on train and judged on valid.

    The first trial is the model's defaults; then come random ones, then those that a
    tree-structured Parzen estimator (TPE) finds promising. The model sees neither the validation
    nor the test part, so that one which could stop early on validation runs all its epochs: they
    are an argument like the others. A trial that raises is recorded and counts; a setting drawn
    again is not run again, and counts. Trials are kept in the cache: a rerun with a larger budget
    adds what is missing, and finds what one long run would have found.

    Parameters
    ----------
    model : class of Recommender
    split : Split
        With a valid part.
    features : Features, optional
        As for ``fit``.
    budget : int
        Trials, the same for every model of a comparison. Where the space has nothing free it
        counts as 0: the defaults are evaluated once.
    metric : str
        ``"name@k"`` of `evaluate`; its mean over the validation users is maximised.
    seed : int
        Of the search. A model's own seed stays at its default unless the space fixes it.
    name : str, optional
        Entry of ``search_spaces.yml``, such as ``"TwoTower-text"``; default: the class's name.
    space : mapping, optional
        A space of your own instead, written like those entries (see `SearchSpace.of`).
    items : array of item codes, optional
        Candidates, as in `evaluate`; for cold items those of ``split.valid``.

    Raises
    ------
    ValueError
        When the split has no valid part, the budget, metric or space is wrong, or every trial
        failed.

    References
    ----------
    Akiba et al., Optuna: a next-generation hyperparameter optimization framework, KDD 2019.
    Bergstra et al., Algorithms for hyper-parameter optimization, NIPS 2011.
    """
    name = name or model.__name__
    kind, _, k = metric.partition("@")
    _check(split, budget, kind, k)
    if space is None and name not in spaces():
        raise ValueError(f"tune: search_spaces.yml has no {name!r}: pass space={{…}}")
    chosen = SearchSpace.of(model, spaces()[name] if space is None else space, name)
    features = features or Features()
    arrays = (features.items, features.users, items)
    key = {
        "model": name,
        "space": chosen.hash,
        "split": split.hash,
        "arrays": [None if a is None else _array_hash(np.asarray(a)) for a in arrays],
        "metric": metric,
        "seed": seed,
        "code": _code_hash(model),
    }
    nothing = split.train.iloc[:0]
    judged = replace(split, test=nothing)
    shown = replace(judged, valid=nothing)

    def run(values: Mapping[str, Any]) -> float:
        fitted = model(**values).fit(shown, features)
        reached = evaluate(fitted, judged, (int(k),), (kind,), items=items, part="valid")
        return float(reached.per_user(metric).mean())

    budget = budget if chosen.free else 0
    trials = _search(run, chosen, max(budget, 1), seed, _hash(key), name)
    worked = [trial for trial in trials if not trial.error]
    if not worked:
        raise ValueError(
            f"tune: all {len(trials)} trials of {name} failed; the first: {trials[0].error}"
        )
    best = max(worked, key=lambda trial: trial.value)
    return Tuned(
        model=name,
        split=split.name,
        metric=metric,
        values=best.values,
        value=best.value,
        budget=budget,
        trials=trials,
        space_hash=chosen.hash,
        split_hash=split.hash,
    )


def _check(split: Split, budget: int, kind: str, k: str) -> None:
    if not len(split.valid):
        raise ValueError(
            f"tune: the {split.name} split of {split.dataset.name!r} has no valid part, and test"
            " is not for choosing: make the split with valid=…"
        )
    if budget != int(budget) or budget < 1:
        raise ValueError(f"tune: budget={budget} must be a whole number of at least 1")
    if kind not in METRICS or not k.isdigit() or not int(k):
        raise ValueError(
            f"tune: metric={'@'.join((kind, k))!r} must be one of {', '.join(METRICS)} with a"
            ' cut, such as "ndcg@10"'
        )


def _search(
    run: Callable[[Mapping[str, Any]], float],
    space: SearchSpace,
    budget: int,
    seed: int,
    key: str,
    name: str,
) -> tuple[Trial, ...]:
    """Return the first ``budget`` trials of the study of this key, running what is missing."""
    path = config.cache_dir() / "tuning" / f"{key}.journal"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")), _quiet():
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
        for left in study.get_trials(states=(TrialState.RUNNING,)):  # by a run that was cut off
            study.tell(left.number, state=TrialState.FAIL)
        trials = [_trial(t, space) for t in study.trials if _counts(t)]
        bar = tqdm(total=budget, initial=min(len(trials), budget), desc=name, unit="trial")
        while len(trials) < budget:
            # A seed for each trial, so that a search that goes on draws what one run would have.
            state = np.random.SeedSequence([seed, len(trials)]).generate_state(1)
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=WARM_UP, seed=int(state[0]))
            if not trials:
                study.enqueue_trial(dict(space.defaults))
            asked = study.ask(dict(space.free))
            values = space.values(asked.params)
            twin = next((t for t in trials if t.values == values), None)
            trials.append(replace(twin, seconds=0.0) if twin else _attempt(run, values))
            asked.set_user_attr("seconds", trials[-1].seconds)
            if trials[-1].error:
                asked.set_user_attr("error", trials[-1].error)
                study.tell(asked, state=TrialState.FAIL)
            else:
                study.tell(asked, trials[-1].value)
            bar.update()
        bar.close()
    return tuple(trials[:budget])


def _attempt(run: Callable[[Mapping[str, Any]], float], values: Mapping[str, Any]) -> Trial:
    start = time.perf_counter()
    try:
        value, error = run(values), ""
        if not math.isfinite(value):
            raise FloatingPointError(f"the validation value is {value}")
    except Exception as problem:  # a setting that cannot be fitted is a result, not an accident
        value, error = math.nan, " ".join(f"{type(problem).__name__}: {problem}".split())
    return Trial(values, value, time.perf_counter() - start, error)


def _counts(trial: FrozenTrial) -> bool:
    return trial.state == TrialState.COMPLETE or "error" in trial.user_attrs


def _trial(trial: FrozenTrial, space: SearchSpace) -> Trial:
    value = math.nan if trial.value is None else trial.value
    noted = trial.user_attrs
    return Trial(space.values(trial.params), value, noted["seconds"], noted.get("error", ""))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log silent inside the block only."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _code_hash(model: type[Recommender]) -> str:
    """Hash the syntax trees of the modules that fit and judge a model: what they import, too."""
    waiting, trees = [model.__module__, "llmrec.evaluation.ranking"], {}
    while waiting:
        name = waiting.pop()
        if name in trees:
            continue
        try:
            trees[name] = ast.dump(ast.parse(_loaded_source(name)))
        except (OSError, TypeError):  # nothing says that it is the same: search anew
            trees[name] = uuid4().hex
        for value in vars(sys.modules[name]).values():
            origin = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
            if str(origin).startswith("llmrec."):
                waiting.append(origin)
    return _hash(trees)


def _loaded_source(name: str) -> str:
    """Return a module's source; OSError when it was edited since, TypeError in a notebook."""
    module = sys.modules[name]
    edited = Path(inspect.getfile(module)).stat().st_mtime
    if edited > psutil.Process().create_time():
        raise OSError(f"{name} was edited since this process began: it may run the old code")
    return inspect.getsource(module)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _array_hash(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.shape} {array.dtype}".encode() + array.tobytes()).hexdigest()

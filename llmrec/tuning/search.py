"""Search: trials with Optuna, fitted on train, judged on validation, kept in the cache."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import ArrayLike
from optuna.trial import TrialState
from tqdm import tqdm

from llmrec import config
from llmrec.cache import Cache, key_of
from llmrec.data import Split
from llmrec.evaluation import METRICS, evaluate
from llmrec.fingerprint import code_of
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
    are an argument like the others. A model that raises is a trial, recorded and counted; a setting
    drawn again is not run again, and counts. A file that cannot be read or written (OSError) is no
    fault of the setting and ends the search.

    What each setting reached is kept in the cache, with a hash of the model's code and of all that
    it was given. A search always begins at its first trial, and runs only what is not there: a
    rerun with a larger budget, or after an interruption, finds what one long run would have found.

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
    given = {
        "model": model.__qualname__,
        "code": code_of(model, evaluate),
        "split": split.hash,
        "arrays": [None if a is None else _array_hash(np.asarray(a)) for a in arrays],
        "metric": metric,
    }
    cache = Cache(config.cache_dir() / "tuning.sqlite")
    nothing = split.train.iloc[:0]
    judged = replace(split, test=nothing)
    shown = replace(judged, valid=nothing)

    def run(values: Mapping[str, Any]) -> float:
        fitted = model(**values).fit(shown, features)
        reached = evaluate(fitted, judged, (int(k),), (kind,), items=items, part="valid")
        return float(reached.per_user(metric).mean())

    def measure(values: Mapping[str, Any]) -> Trial:
        key = key_of([given, values])
        if kept := cache.get([key]):
            return Trial(values, **json.loads(kept[key]))
        trial = _attempt(run, values)
        if not trial.error.startswith("MemoryError"):  # another time there may be room
            outcome = {"value": trial.value, "seconds": trial.seconds, "error": trial.error}
            cache.put({key: json.dumps(outcome).encode()})
        return trial

    budget = budget if chosen.free else 0
    trials = _search(measure, chosen, max(budget, 1), seed, name)
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
    measure: Callable[[Mapping[str, Any]], Trial],
    space: SearchSpace,
    budget: int,
    seed: int,
    name: str,
) -> tuple[Trial, ...]:
    """Return ``budget`` trials: the defaults, then what Optuna asks for."""
    trials: list[Trial] = []
    with _quiet():
        study = optuna.create_study(direction="maximize")
        study.enqueue_trial(dict(space.defaults))
        for number in tqdm(range(budget), desc=name, unit="trial"):
            # What is asked depends on the seed, the number and the trials before, nothing else.
            state = np.random.SeedSequence([seed, number]).generate_state(1)
            study.sampler = optuna.samplers.TPESampler(n_startup_trials=WARM_UP, seed=int(state[0]))
            asked = study.ask(dict(space.free))
            values = space.values(asked.params)
            twin = next((trial for trial in trials if trial.values == values), None)
            trials.append(replace(twin, seconds=0.0) if twin else measure(values))
            if trials[-1].error:
                study.tell(asked, state=TrialState.FAIL)
            else:
                study.tell(asked, trials[-1].value)
    return tuple(trials)


def _attempt(run: Callable[[Mapping[str, Any]], float], values: Mapping[str, Any]) -> Trial:
    start = time.perf_counter()
    try:
        value, error = run(values), ""
        if not math.isfinite(value):
            raise FloatingPointError(f"the validation value is {value}")
    except OSError:
        raise
    except Exception as problem:  # a setting that cannot be fitted is a result, not an accident
        value, error = math.nan, " ".join(f"{type(problem).__name__}: {problem}".split())
    return Trial(values, value, time.perf_counter() - start, error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna's log silent inside the block only."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _array_hash(array: np.ndarray) -> str:
    return hashlib.sha256(f"{array.shape} {array.dtype}".encode() + array.tobytes()).hexdigest()

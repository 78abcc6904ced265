"""The experiment: settings chosen on validation, every arm once a run, contrasts over both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit
from tqdm import tqdm

from llmrec import config
from llmrec.cache import Cache
from llmrec.evaluation import Estimate, Evaluation, bootstrap, compare, compare_seeds, evaluate
from llmrec.evaluation.statistics import Paired, PerUser
from llmrec.experiment.contrasts import Contrast, Contrasts, Record, as_key
from llmrec.experiment.measuring import Measurer, Slicer
from llmrec.experiment.parts import Arm, Run
from llmrec.models import Inverses

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVEL = 0.95
FAMILIES = {"id": "id", "text": "text", "hybrid": "both", "baseline": "popularity"}


class Experiment:
    """Which arm does better, over users and runs.

    Parameters
    ----------
    runs : runs, or callables that return one
        Callables are called when their turn comes, and what they return is dropped afterwards.
    arms : arms
    rehearsals : runs, or callables, with a valid part
        What `choose` chooses on. Their test part is taken away first.
    metric : str
        What is maximised and compared; ``metrics`` are measured beside it.
    slices : mapping
        Name → None or a function of a run that returns ``{"users": codes, "items": codes}``, one of
        them or both, in place of the run's own.
    controls : bool
        Add each arm's controls.
    judge : callable
        ``judge(model, split, ks, metrics, users=, items=, part=)`` → anything with ``name``,
        ``users`` (codes) and ``per_user("metric@k")``, like `evaluate`.
    margin : float
        The smallest difference that counts, for contrasts that name no other.
    seed : int
        Of permutations, searches and bootstraps.
    cache : bool
        Keep per-user values on disk by what they depend on: the model's code and arguments, the
        split, the vectors, the judge, the slice. A model that nothing pins is measured each time.

    Raises
    ------
    ValueError
        When two arms have one name, or a twin is no arm.
    """

    def __init__(
        self,
        runs: Iterable[Run | Callable[[], Run]],
        arms: Iterable[Arm],
        rehearsals: Iterable[Run | Callable[[], Run]] = (),
        metric: str = "ndcg@10",
        metrics: Sequence[str] = (),
        slices: Mapping[str, Slicer | None] | None = None,
        controls: bool = True,
        judge: Callable[..., PerUser] = evaluate,
        margin: float = 0.0,
        seed: int = 0,
        cache: bool = True,
    ) -> None:
        own = list(arms)
        added = [extra for arm in own if controls for extra in arm.shuffles()]
        self.arms = {arm.name: arm for arm in [*own, *added]}
        if len(self.arms) < len(own) + len(added):
            raise ValueError(f"arms need different names: {[arm.name for arm in own]}")
        if lost := [arm for arm in own if arm.twin is not None and arm.twin not in self.arms]:
            raise ValueError(f"arm {lost[0].name!r} has the twin {lost[0].twin!r}, which is no arm")
        self.runs, self.rehearsals = list(runs), list(rehearsals)
        self.metric, self.metrics = metric, tuple(dict.fromkeys([metric, *metrics]))
        self.slices: Mapping[str, Slicer | None] = slices or {"all": None}
        self.controls, self.judge, self.margin, self.seed = controls, judge, margin, seed
        kept = Cache(config.cache_dir() / "experiments.sqlite3") if cache else None
        self._measurer = Measurer(judge, self.metrics, self.slices, seed, kept)
        self.values = {name: dict(arm.values) for name, arm in self.arms.items() if not arm.space}
        self.valid: dict[str, float] = {}
        self.log = pd.DataFrame(columns=["arm", "values", metric, "chosen", "at_edge"])
        self._results: dict[tuple[str, str, str], Evaluation] = {}
        self._units: dict[str, tuple[str, np.ndarray]] = {}

    def choose(self, budget: int | None = None) -> Experiment:
        """Choose each arm's values on the rehearsals' valid part, fill ``log``, and return self.

        Of a grid every point is tried, or ``budget`` of them drawn at random; the mean over users,
        then rehearsals, decides, the first of equals. A search space gets ``budget`` trials on the
        first rehearsal. Arms with nothing to choose are measured once, for `best_of`.

        Raises
        ------
        ValueError
            Without rehearsals; when grids differ in size and no budget makes them equal; when a
            search space meets no budget, or users or a judge that `llmrec.tuning.tune` cannot ask.
        """
        if not self.rehearsals:
            raise ValueError("nothing to choose on: pass rehearsals, runs with a valid part")
        runs = list(_each(self.rehearsals))
        if empty := [run.name for run in runs if not len(run.split.valid)]:
            raise ValueError(
                f"rehearsal {empty[0]!r} has no valid part: make its split with valid="
            )
        sizes = {
            n: len(arm.grid()) for n, arm in self.arms.items() if not arm.is_searched and arm.space
        }
        if budget is None and len(set(sizes.values())) > 1:
            raise ValueError(f"grids differ in size, {sizes}: make them equal or pass budget=")
        self.values, self.valid = {}, {}
        rows: list[list[Any]] = []
        for name, arm in self.arms.items():
            if arm.is_searched:
                tried, reached = self._searched(arm, runs[0], budget)
            else:
                tried = arm.grid()
                if budget is not None and len(tried) > budget:
                    drawn = np.random.default_rng(self.seed).permutation(len(tried))[:budget]
                    tried = [tried[place] for place in sorted(drawn)]
                reached = [self._rehearsed(arm, runs, values) for values in tried]
            best = int(np.nanargmax(reached))
            if arm.is_searched:
                reached[best] = self._rehearsed(arm, runs, tried[best])
            self.values[name], self.valid[name] = tried[best], reached[best]
            for place, (values, value) in enumerate(zip(tried, reached, strict=True)):
                edge = _at_edge(arm.options, values) if place == best else ""
                rows.append([name, values, value, place == best, edge])
        self.log = pd.DataFrame(rows, columns=list(self.log))
        return self

    def best_of(self, kind: str) -> str:
        """Return the arm of a kind with the best validation metric; "id" includes baselines.

        Raises
        ------
        ValueError
            Before `choose`, or when no arm is of that kind.
        """
        kinds = {kind, "baseline"} if kind == "id" else {kind}
        able = [name for name, arm in self.arms.items() if arm.kind in kinds]
        if not able:
            raise ValueError(f"no arm is of kind {kind!r}")
        if not self.valid:
            raise ValueError(f"the best {kind} is chosen on validation: call choose() first")
        return max(able, key=self.valid.__getitem__)

    def run(self) -> Experiment:
        """Measure every arm on every run, except for what the cache holds, and return self."""
        if missing := [name for name in self.arms if name not in self.values]:
            raise ValueError(f"arm {missing[0]!r} has settings to choose: call choose() first")
        self._results, self._units = {}, {}
        with tqdm(total=len(self.runs) * len(self.arms), desc="arms, runs", unit="fit") as bar:
            for run in _each(self.runs):
                if run.name in self._units:
                    raise ValueError(f"two runs are named {run.name!r}: name each")
                ids = run.split.dataset.user_ids if run.user_ids is None else run.user_ids
                self._units[run.name] = (run.unit or run.name, np.asarray(ids))
                inverses = Inverses(run.split)
                for arm in self.arms.values():
                    one_list = self.controls and arm.asks("one list")
                    values = self.values[arm.name]
                    found = self._measurer.measure(arm, run, values, one_list, inverses=inverses)
                    for (name, slice), one in found.items():
                        self._results[name, run.name, slice] = one
                    bar.update()
        return self

    def evaluation(self, arm: str, run: str, slice: str | None = None) -> Evaluation:
        """Return what an arm reached for each user (by code) of a run; default: the first slice.

        ``arm`` may be a control's name, or ``"best id"`` (see `best_of`).
        """
        arm, slice = self._arm(arm), slice or next(iter(self.slices))
        if (arm, run, slice) not in self._results:
            known = [list(dict.fromkeys(part)) for part in zip(*self._results, strict=True)]
            said = f"arms, runs and slices are {known}" if known else "call run() first"
            raise ValueError(f"arm {arm!r} has no result in run {run!r}, slice {slice!r}: {said}")
        return self._results[arm, run, slice]

    def level(self, arm: str, slice: str | None = None, metric: str | None = None) -> Estimate:
        """Return an arm's mean: over units the mean of their means, with Student's interval.

        With one unit: the mean over users with its bootstrap interval, for other users only.
        """
        values = [one.per_user(metric or self.metric) for one in self._by_unit(arm, slice)]
        if len(values) == 1:
            return bootstrap(values[0], self.seed)
        means = np.array([one.mean() for one in values])
        n, mean = len(means), float(means.mean())
        half = float(stdtrit(n - 1, (1 + LEVEL) / 2) * means.std(ddof=1) / np.sqrt(n))
        return Estimate(mean, mean - half, mean + half, n)

    def contrast(
        self,
        a: str,
        b: str,
        slice: str | None = None,
        metric: str | None = None,
        *,
        name: str = "",
        margin: float | None = None,
        level: float = LEVEL,
    ) -> Contrast:
        """Return a minus b, paired over users and units (`compare_seeds`; `compare` with one)."""
        a, b, metric = self._arm(a), self._arm(b), metric or self.metric
        of_a, of_b = self._by_unit(a, slice), self._by_unit(b, slice)
        found: Paired
        if len(of_a) > 1:
            found = compare_seeds(of_a, of_b, metric)
        else:
            found = compare(of_a[0], of_b[0], metric, self.seed)
        names = {"name": name or f"{a} - {b}", "a": a, "b": b, "metric": metric}
        margin = self.margin if margin is None else margin
        return Contrast.of(found, margin, level, **names, slice=slice or next(iter(self.slices)))

    def contrasts(
        self,
        pairs: Mapping[str, tuple[str, ...]],
        family: str | None = None,
        margin: float | None = None,
    ) -> Contrasts:
        """Return contrasts by name, from ``(a, b)``, ``(a, b, slice)`` or ``(…, metric)``.

        With ``family``, its name, the m intervals hold at once (each at level ``1 - 0.05/m``):
        for claims of the form "at least one of these". A claim "all of these" needs none.
        """
        level = 1 - (1 - LEVEL) / len(pairs) if family else LEVEL
        rows = {
            name: self.contrast(*pair, name=name, margin=margin, level=level)
            for name, pair in pairs.items()
        }
        return Contrasts(rows, family)

    def table(self) -> pd.DataFrame:
        """Return one row an arm and slice: ``kind, slice, value, low, high, valid, values``."""
        rows = []
        for name, slice in product(self._names(), self.slices):
            arm, one = self.arms.get(name), self.level(name, slice)
            kind, chosen = (arm.kind, self.values[name]) if arm else ("control", None)
            valid = self.valid.get(name, np.nan)
            rows.append([name, kind, slice, one.value, one.low, one.high, valid, chosen])
        names = ["arm", "kind", "slice", "value", "low", "high", "valid", "values"]
        return pd.DataFrame(rows, columns=names).set_index("arm")

    def figure(self, slice: str | None = None, title: str = "", **options: Any) -> Figure:
        """Draw the levels of one slice; options go to `llmrec.plots.interval_plot`."""
        from llmrec.plots import interval_plot

        levels = {name: self.level(name, slice) for name in self._names()}
        kinds = {name: self.arms[name].kind for name in levels if name in self.arms}
        families = {name: FAMILIES.get(kinds.get(name, ""), "control") for name in levels}
        drawn = {"families": families, "title": title, "xlabel": self.metric} | options
        return interval_plot(levels, **drawn)[0]

    def record(self, prefix: str, record: Record, tolerance: float | None = None) -> Experiment:
        """Record levels as ``prefix.arm[.slice].metric`` and choices as ``prefix.arm.chosen``.

        A level's tolerance is a quarter of its interval, about half a standard error, or the one
        given, and never more than half the level.
        """
        for name, slice in product(self._names(), self.slices):
            one, key = self.level(name, slice), [prefix, as_key(name), as_key(slice)]
            wide = (one.high - one.low) / 4 if tolerance is None else tolerance
            key = [*(key if len(self.slices) > 1 else key[:2]), as_key(self.metric)]
            record(".".join(key), one.value, "metric", max(min(wide, one.value / 2), 1e-9))
        for name, arm in self.arms.items():
            if arm.space:
                chosen = ", ".join(f"{key} {value}" for key, value in self.values[name].items())
                record(f"{prefix}.{as_key(name)}.chosen", chosen, "choice")
        return self

    def _names(self) -> list[str]:
        return list(dict.fromkeys(arm for arm, _, _ in self._results))

    def _arm(self, name: str) -> str:
        """Return the arm that a name stands for: itself, a twin, or the best of a kind."""
        if name not in self.arms and name.startswith("best "):
            return self.best_of(name.removeprefix("best "))
        owner = name.removesuffix(": no text")
        if owner != name and owner in self.arms and (twin := self.arms[owner].twin):
            return twin
        if name in self.arms or name in self._names():
            return name
        known = ", ".join(dict.fromkeys([*self.arms, *self._names()]))
        raise ValueError(f"no arm is named {name!r}: there are {known}")

    def _by_unit(self, arm: str, slice: str | None) -> list[Evaluation]:
        """Return one evaluation a unit, by user ids; a user's runs in a unit are averaged."""
        if not self._units:
            raise ValueError("nothing is measured yet: call run() first")
        units: dict[str, list[Evaluation]] = {}
        for run, (unit, ids) in self._units.items():
            one = self.evaluation(arm, run, slice)
            units.setdefault(unit, []).append(replace(one, users=ids[one.users]))
        return [parts[0] if len(parts) == 1 else _averaged(parts) for parts in units.values()]

    def _rehearsed(self, arm: Arm, runs: Sequence[Run], values: Mapping[str, Any]) -> float:
        found = [self._measurer.measure(arm, run, values, part="valid") for run in runs]
        return float(np.mean([one[arm.name, ""].per_user(self.metric).mean() for one in found]))

    def _searched(
        self, arm: Arm, run: Run, budget: int | None
    ) -> tuple[list[dict[str, Any]], list[float]]:
        from llmrec.tuning import tune

        if budget is None or run.users is not None or self.judge is not evaluate:
            raise ValueError(
                f"arm {arm.name!r} has a search space: it needs a budget, all users and evaluate()"
            )
        found = tune(
            arm.make,  # type: ignore[arg-type]
            run.split,
            arm.features(run, arm.values, self.seed),
            budget,
            self.metric,
            self.seed,
            name=arm.name,
            space={**arm.options, **arm.values},
            items=run.items,
        )
        return [dict(one.values) for one in found.trials], [one.value for one in found.trials]


def _at_edge(options: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Name the arguments that ended at the smallest or largest number tried, 0 and inf aside."""
    at = []
    for name, tried in options.items():
        ends = tried if isinstance(tried, list) else []
        if isinstance(tried, Mapping):
            ends = [tried["low"], (tried["low"] + tried["high"]) / 2, tried["high"]]
        numbers = sorted({one for one in ends if isinstance(one, (int, float))})
        if len(numbers) > 2 and values[name] in (numbers[0], numbers[-1]):
            at += [name] if values[name] not in (0, np.inf) else []
    return ", ".join(at)


def _each(runs: Iterable[Run | Callable[[], Run]]) -> Iterator[Run]:
    return (run() if callable(run) else run for run in runs)


def _averaged(parts: Sequence[Evaluation]) -> Evaluation:
    """Return each user's mean over several evaluations."""
    users, place = np.unique(np.concatenate([one.users for one in parts]), return_inverse=True)
    values = {
        metric: np.bincount(place, np.concatenate([one.per_user(metric) for one in parts]))
        / np.bincount(place)
        for metric in parts[0].values
    }
    return replace(parts[0], users=users, values=values)

"""The study of somebody's tables, from reading them to the files of the answer."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from llmrec import __version__
from llmrec.cache import key_of
from llmrec.data import Dataset
from llmrec.repro.record import write_json, write_text
from llmrec.studies.answer import Answer, answer
from llmrec.studies.budget import Costs
from llmrec.studies.found import Found
from llmrec.studies.plan import Candidate, Plan, Splits, first_split, make_plan, make_splits
from llmrec.studies.profile import Profile, profile
from llmrec.studies.run import fit_on_everything, run
from llmrec.studies.served import Served, check_tables, kept_card, load_served
from llmrec.studies.shown import people, row_of, split_facts
from llmrec.studies.steps import Steps
from llmrec.studies.tables import Tables, prepare
from llmrec.studies.vectors import Vectors

RESULTS, REPORT, MODEL = "results.json", "report.html", "model"


@dataclass(frozen=True)
class Study:
    """A finished study: ``results`` is plain JSON, and everything else is read from it.

    Attributes
    ----------
    results:
        ``profile, plan, split, models, answer, users, audit, cost, versions``.
    served:
        The model to ship with its tables.
    """

    results: Mapping[str, Any]
    served: Served

    @cached_property
    def profile(self) -> Profile:
        """What the tables are like."""
        return Profile(**self.results["profile"])

    @cached_property
    def plan(self) -> Plan:
        """What was decided before a model was fitted."""
        said = dict(self.results["plan"])
        said["candidates"] = tuple(Candidate(**one) for one in said["candidates"])
        return Plan(**said)

    @cached_property
    def answer(self) -> Answer:
        """Whether text helps, for whom, and which model to ship."""
        return Answer(**self.results["answer"])

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a model: what it knows and reads, quality with its interval, and cost."""
        return pd.DataFrame(self.results["models"]).set_index("model")

    @property
    def model(self) -> Any:
        """The model to ship, fitted on everything."""
        return self.served.model

    def write(self, folder: str | Path, *, notebook: bool = True) -> Path:
        """Write ``results.json``, ``model/``, ``report.html`` and the executed ``study.ipynb``.

        Raises
        ------
        ModuleNotFoundError
            When the notebook is asked for and papermill is absent.
        """
        from llmrec.studies.notebook import execute
        from llmrec.studies.report import report_html

        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        if kept_card(path / MODEL) != self.served.card:
            self.served.save(path / MODEL)
        write_json(path / RESULTS, dict(self.results))
        write_text(path / REPORT, report_html(self))
        if notebook:
            execute(path)
        return path


def load_study(folder: str | Path) -> Study:
    """Return the study that `Study.write` wrote into a folder.

    Raises
    ------
    FileNotFoundError
        When the folder holds no finished study.
    ValueError
        When another version of llmrec wrote it.
    """
    path = Path(folder)
    if not (path / RESULTS).is_file():
        raise FileNotFoundError(f"{path} has no {RESULTS}: run llmrec study first")
    results = json.loads((path / RESULTS).read_text(encoding="utf-8"))
    found = Study(results, load_served(path / MODEL))
    try:
        _ = found.profile, found.plan, found.answer, found.table
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path / RESULTS} was written by another version of llmrec: run llmrec study again"
        ) from error
    return found


def study(
    data: Dataset | str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    output: str | Path | None = None,
    quick: bool = False,
    encoder: str = "minilm",
    seed: int = 0,
    least: float | None = None,
    template: str = "generic",
    force: bool = False,
    say: Callable[[str], None] | None = None,
) -> Study:
    """Ask of somebody's own tables: does text help, for whom, at what cost, and what to ship.

    Reads and checks the tables, splits them by time where every event has one, tunes models with
    and without text with the same budget on validation, tests them once, and fits the model to ship
    on everything.

    Parameters
    ----------
    data:
        A dataset, or a folder as `Dataset.from_folder` reads it.
    columns:
        Of a folder, the files' column names → ours.
    output:
        Where to keep finished steps (``state/``) and the model; an interrupted study goes on from
        there. None keeps nothing. `Study.write` makes the report.
    quick:
        Fewer trials and shorter texts: minutes instead of an hour.
    encoder:
        Language model that reads the items, as in `get_encoder`.
    seed:
        Of splits, samples, searches and intervals.
    least:
        Smallest weight that counts as interest; default: the middle of a rating scale, else
        anything above zero.
    template:
        Wording of an item's text, as in `item_text`; default: all columns that hold words.
    force:
        Run finished steps again.
    say:
        Told the plan before anything is fitted, then a line a step where there is no bar.

    Raises
    ------
    OSError
        When nothing can be written into ``output``: before anything is fitted.
    DataError, FileNotFoundError
        When the tables break the rules; file, column and row are named.
    StudyError
        When they are too small to learn from and to test on.
    """
    folder = None if output is None else Path(output)
    start = time.perf_counter()
    dataset = data if isinstance(data, Dataset) else Dataset.from_folder(data, columns)
    if folder is not None:
        _check_writable(folder)
    tables = prepare(dataset, least, template)
    check_tables(tables.dataset, tables.refused)
    about = profile(tables)
    final, why = first_split(tables.dataset, about, seed)
    plan = make_plan(about, final, why, encoder=encoder, quick=quick, seed=seed)
    splits = make_splits(tables.dataset, plan, final, tables.refused)
    vectors = Vectors(tables.texts, encoder, plan.words, quick, seed)
    different = len(set(tables.texts))
    costs = Costs(plan, len(final.train), about.n_users, about.n_items, different)
    read = time.perf_counter() - start
    if say is not None:
        say(f"Read {about.n_events:,} events and {about.n_items:,} items in {read:.1f} s.")
        for line in plan_lines(plan, costs):
            say(line)
    reads = vectors.fingerprint if any(one.reads for one in plan.candidates) else ""
    key = key_of([_digest(tables), asdict(plan), reads])
    state = None if folder is None else folder / "state"
    steps = Steps(state, key, costs.total(), force=force, say=say)
    try:
        found = run(plan, splits, vectors, steps, costs)
        verdict = answer(found, plan, splits.final)
        with steps.stage(f"fit {verdict.ship} to ship", steps.left):
            served = _served(found, verdict, tables, splits, vectors, folder, steps)
    finally:
        steps.close()
    results = {
        "profile": asdict(about),
        "plan": asdict(plan),
        "split": split_facts(splits),
        "models": [row_of(one, found) for one in found.candidates],
        "answer": asdict(verdict),
        "users": people(found, verdict.ship, tables, splits),
        "audit": found.audit,
        "failed": {n: t["error"] for n, t in found.tuned.items() if "error" in t},
        "cost": {
            "seconds": read + steps.seconds,
            "encode_seconds": found.encode_seconds,
            "peak_mb": _peak_mb(),
        },
        "versions": {"llmrec": __version__, "python": sys.version.split()[0]},
    }
    return Study(json.loads(json.dumps(results)), served)


def _served(
    found: Found,
    verdict: Answer,
    tables: Tables,
    splits: Splits,
    vectors: Vectors,
    folder: Path | None,
    steps: Steps,
) -> Served:
    """Return the model to ship, fitted on everything, or found where an earlier run left it."""
    chosen = next(one for one in found.candidates if one.name == verdict.ship)
    card = {
        "dataset": tables.dataset.name,
        "model": chosen.name,
        "reads": chosen.reads,
        "encoder": vectors.encoder if chosen.reads == "language" else "",
        "users": tables.dataset.n_users,
        "items": tables.dataset.n_items,
        "events": len(tables.dataset.interactions),
        "key": key_of([steps.key, verdict.ship, found.tuned[chosen.name]]),
    }
    if folder is not None and not steps.force:
        try:
            if kept_card(folder / MODEL) == card:
                return load_served(folder / MODEL)
        except (OSError, ValueError):
            pass  # one that was interrupted
    model = fit_on_everything(chosen, found, splits, vectors)
    served = Served.of(model, tables.dataset, tables.refused, card)
    if folder is not None:
        served.save(folder / MODEL)
    return served


def plan_lines(plan: Plan, costs: Costs) -> list[str]:
    """Return the plan in words: models, trials, the minutes that they may take."""
    names = ", ".join(one.name for one in plan.candidates)
    minutes = max(1, round(costs.total() / 60))
    return [
        f"Split {'by time' if plan.split == 'time' else 'at random'}: {plan.why_split}.",
        f"Models: {names}; {plan.trials} trials each; then controls and joined models.",
        *(f"{name} does not take part: {why}." for name, why in plan.left_out.items()),
        f"Expected: about {minutes} minute{'s' if minutes > 1 else ''}; finished steps are kept.",
    ]


def _check_writable(folder: Path) -> None:
    """Make the folder and write one file into it, or say which option names another."""
    probe = folder / ".writable"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written into ({error.strerror or error}): name another folder"
            " with --output"
        ) from error


def _digest(tables: Tables) -> str:
    """Hash events, items and texts: what the results depend on."""
    digest = hashlib.sha256()
    data = tables.dataset
    for frame in (data.interactions, data.items[["item", "title"]], tables.refused):
        plain = frame.astype({c: str for c in frame if frame[c].dtype == object})
        digest.update(pd.util.hash_pandas_object(plain, index=False).to_numpy().tobytes())
    digest.update("\x1f".join(tables.texts).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _peak_mb() -> float:
    """Return the most memory that this process held, in MB; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1e6 if sys.platform == "darwin" else 1e3)

"""The study of somebody's tables, from reading them to the files of the answer."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from llmrec import __version__
from llmrec.cache import key_of, write_atomic, write_json
from llmrec.data import Dataset
from llmrec.study.answer import Answer, answer, people, row_of, split_facts
from llmrec.study.plan import Candidate, Plan, Splits, first_split, make_plan, make_splits
from llmrec.study.report import report_html
from llmrec.study.run import Results, Steps, build, code, run, steps_of
from llmrec.study.served import (
    Served,
    card_of,
    check_replaceable,
    check_tables,
    everything,
    load_served,
    served_items,
)
from llmrec.study.tables import Profile, Tables, prepare, profile
from llmrec.study.vectors import Vectors

RESULTS, REPORT, MODEL, STATE = "results.json", "report.html", "model", "state.sqlite"


@dataclass(frozen=True)
class Study:
    """A finished study: ``results`` is plain JSON, and everything else is read from it.

    Attributes
    ----------
    results:
        ``profile, plan, split, models, answer, users, audit, failed, cost, versions``.
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
        candidates = tuple(Candidate(**one) for one in self.results["plan"]["candidates"])
        return Plan(**{**self.results["plan"], "candidates": candidates})

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

    def write(self, folder: str | Path) -> Path:
        """Write ``results.json``, ``report.html`` and ``model/``; return the folder.

        Raises
        ------
        OSError
            When one of them cannot be written, or would replace what is not a study's.
        """
        path = Path(folder)
        _check_writable(path)
        if _kept_card(path / MODEL) != self.served.card:
            self.served.save(path / MODEL)
        write_json(path / RESULTS, dict(self.results))
        items = self.served.items["item"].head(2).tolist()
        write_atomic(path / REPORT, report_html(self.results, items))
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
    study = Study(results, load_served(path / MODEL))
    try:
        _ = study.profile, study.plan, study.answer, study.table
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{path / RESULTS} was written by another version of llmrec: run llmrec study again"
        ) from error
    return study


def study(
    data: Dataset | str | Path,
    columns: Mapping[str, str] | None = None,
    *,
    output: str | Path | None = None,
    quick: bool = False,
    encoder: str = "minilm",
    seed: int = 0,
    min_weight: float | None = None,
    template: str = "generic",
    force: bool = False,
    log: Callable[[str], None] | None = None,
) -> Study:
    """Ask of somebody's own tables: does text help, for whom, at what cost, and what to ship.

    Reads and checks the tables, splits them by time where every event has one, tunes models with
    and without text with the same budget on validation, tests them once, and fits the model to ship
    on everything. The same tables and options give the same study on every machine.

    Parameters
    ----------
    data:
        A dataset, or a folder as `Dataset.from_folder` reads it.
    columns:
        Of a folder, the files' column names → ours.
    output:
        Where to keep finished steps and the model; an interrupted study goes on from there. None
        keeps nothing. `Study.write` makes the report.
    quick:
        Fewer trials and shorter texts: minutes instead of an hour.
    encoder:
        Language model that reads the items, as in `get_encoder`.
    seed:
        Of splits, samples, searches and intervals.
    min_weight:
        Smallest weight that counts as interest; default: the middle of a rating scale, else
        anything above zero.
    template:
        Wording of an item's text, as in `item_text`; default: all columns that hold words.
    force:
        Run finished steps again.
    log:
        Given the plan before anything is fitted, then a line a step where there is no bar.

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
    tables = prepare(dataset, min_weight, template)
    check_tables(tables.dataset, tables.refused)
    about = profile(tables)
    final, why = first_split(tables.dataset, about, seed)
    plan = make_plan(about, final, why, encoder=encoder, quick=quick, seed=seed)
    splits = make_splits(tables.dataset, plan, final, tables.refused)
    vectors = Vectors(tables.texts, encoder, plan.words, quick, seed)
    read = time.perf_counter() - start
    if log is not None:
        log(f"Read {about.n_events:,} events and {about.n_items:,} items in {read:.1f} s.")
        for line in plan_lines(plan):
            log(line)
    reads = vectors.fingerprint if any(one.reads for one in plan.candidates) else ""
    key = key_of([_digest(tables), asdict(plan), reads, code(plan)])
    state = None if folder is None else folder / STATE
    steps = Steps(state, key, steps_of(plan), force=force, log=log)
    try:
        results = run(plan, splits, vectors, steps)
        verdict = answer(results, plan, splits.final)

        def ship() -> Served:
            return _served(results, verdict, tables, splits, vectors, folder, steps)

        served = steps(f"fit {verdict.ship} to ship", ship, keep=False)
    finally:
        steps.close()
    content = {
        "profile": asdict(about),
        "plan": asdict(plan),
        "split": split_facts(splits),
        "models": [row_of(one, results) for one in results.candidates],
        "answer": asdict(verdict),
        "users": people(results, verdict.ship, tables, splits),
        "audit": results.audit,
        "failed": {n: chosen["error"] for n, chosen in results.tuned.items() if "error" in chosen},
        "cost": {
            "seconds": read + steps.seconds,
            "encode_seconds": results.encode_seconds,
            "peak_mb": _peak_mb(),
        },
        "versions": {"llmrec": __version__, "python": sys.version.split()[0]},
    }
    return Study(json.loads(json.dumps(content)), served)


def _served(
    results: Results,
    verdict: Answer,
    tables: Tables,
    splits: Splits,
    vectors: Vectors,
    folder: Path | None,
    steps: Steps,
) -> Served:
    """Return the model to ship, fitted on everything, or found where an earlier run left it."""
    chosen = results.named(verdict.ship)
    data = tables.dataset
    card = {
        "dataset": data.name,
        "model": chosen.name,
        "reads": chosen.reads,
        "encoder": vectors.encoder if chosen.reads == "language" else "",
        "users": data.n_users,
        "items": data.n_items,
        "events": len(data.interactions),
        "key": key_of([steps.key, verdict.ship, results.tuned[chosen.name]]),
    }
    if folder is not None and not steps.force and _kept_card(folder / MODEL) == card:
        return load_served(folder / MODEL)
    model = build(chosen, results).fit(everything(data), vectors.features(chosen.reads))
    served = Served.of(model, data, tables.refused, card)
    if folder is not None:
        served.save(folder / MODEL)
    return served


def _kept_card(folder: Path) -> Mapping[str, Any] | None:
    """Return the card of a model that was saved there and is whole, else None."""
    try:
        return card_of(folder)
    except (OSError, ValueError):
        return None


def plan_lines(plan: Plan) -> list[str]:
    """Return the plan in words: split, models, trials, steps."""
    names = ", ".join(one.name for one in plan.candidates)
    return [
        f"Split {'by time' if plan.split == 'time' else 'at random'}: {plan.why_split}.",
        f"Models: {names}; {plan.trials} trials each; then controls and joined models.",
        *(f"{name} does not take part: {why}." for name, why in plan.left_out.items()),
        f"About {steps_of(plan)} steps; finished ones are kept.",
    ]


def _check_writable(folder: Path) -> None:
    """Make the folder and write into it for a moment, or say which option names another.

    A link in the place of one of the study's files may have come with the tables: it is refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written into ({error.strerror or error}): name another folder"
            " with --output"
        ) from error
    for name in (RESULTS, REPORT, STATE):
        if (folder / name).is_symlink():
            raise OSError(f"{folder / name} is a link to another file: remove it")
    check_replaceable(folder / MODEL)


def _digest(tables: Tables) -> str:
    """Hash events, items and texts: what the results and the lists depend on."""
    digest = hashlib.sha256()
    data = tables.dataset
    for frame in (data.interactions, served_items(data), tables.refused):
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

"""Run the notebooks with papermill, one fresh kernel each, side by side, never over their
source.
"""

from __future__ import annotations

import ast
import json
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmrec import config
from llmrec.cache import write_json
from llmrec.fingerprint import Snapshot
from llmrec.repro.claims import load_claims
from llmrec.repro.environment import environment, kernel
from llmrec.repro.layout import Layout
from llmrec.repro.provenance import Provenance
from llmrec.repro.record import RECORDS_VARIABLE
from llmrec.repro.reference import Records, Reference, longest_first, read_json

PROFILES = ("book", "smoke", "full")
THREAD_VARIABLES = (
    config.THREADS_VARIABLE,
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
POLL_SECONDS = 0.25
INJECTED = "injected-parameters"  # papermill's tag of the cell it adds


@dataclass(frozen=True)
class ChapterRun:
    """The outcome of one notebook: finished when ``error`` is None."""

    notebook: str
    profile: str
    seed: int | None
    provenance: dict[str, Any]
    seconds: float
    peak_mb: float
    error: str | None = None

    def changes(self, notebook: Path, now: Snapshot) -> list[str]:
        """Return what it depends on that has changed since."""
        return Provenance.read(self.provenance).changes(Provenance.of(notebook, now))


def reproduce(
    layout: Layout,
    profile: str = "book",
    *,
    seed: int | None = None,
    only: Iterable[str] = (),
    force: bool = False,
    jobs: int = 1,
    log: Callable[[str], None] = print,
) -> dict[str, ChapterRun]:
    """Run notebooks into ``_run/<profile>/`` and return the outcome by chapter.

    A notebook whose finished run had the same code, definitions, data and parameters is not run
    again. A failing notebook is reported in one line and the others still run.

    Parameters
    ----------
    profile, seed:
        Values for the notebooks' parameters; ``seed`` None keeps each notebook's own.
    only:
        Chapter numbers, such as ``["04"]``; empty means all.
    force:
        Run even what is finished.
    jobs:
        How many notebooks may run at once. Each has its own process, so the numbers do not depend
        on it; the seconds do.
    log:
        Receives one line a chapter.

    Raises
    ------
    ValueError
        When a notebook does not declare these parameters, chapter or profile is unknown, or
        ``jobs`` is below 1.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: choose from {', '.join(PROFILES)}")
    if jobs < 1:
        raise ValueError(f"jobs={jobs} must be at least 1")
    given: dict[str, Any] = {"profile": profile} | ({} if seed is None else {"seed": seed})
    notebooks = layout.notebooks(only)
    if not notebooks:
        raise ValueError("there is no notebook to run in notebooks/")
    defaults = {chapter: check_parameters(path, given) for chapter, path in notebooks.items()}
    _forget_gone_chapters(layout, profile)
    now, done = layout.snapshot(), finished_runs(layout, profile)
    runs: dict[str, ChapterRun] = {}
    waiting: list[tuple[Any, ...]] = []
    order = longest_first(layout)
    for chapter, path in sorted(notebooks.items(), key=lambda item: order.index(item[1])):
        used = defaults[chapter].get("seed") if seed is None else seed
        run = done.get(chapter)
        records = layout.run(profile) / "records" / f"{chapter}.json"
        readable = read_json(records) or not records.exists()  # absent: it records nothing
        if (
            run
            and not (force or run.error or run.seed != used or run.changes(path, now))
            and readable
        ):
            log(f"{path.stem}: finished before, not run again ({_took(run)})")
            runs[chapter] = run
        else:
            # Taken now: an edit made while it runs must not pass for what it ran.
            provenance = Provenance.of(path, now)._asdict()
            waiting.append((layout, chapter, path, given, used, provenance, len(waiting)))
    for chapter, run in _run_chapters(waiting, jobs):
        log(f"{run.notebook}: {run.error or _took(run)}")
        runs[chapter] = run
    runs = dict(sorted(runs.items()))
    if not any(run.error for run in runs.values()):
        run_reference(layout, profile).save(layout.run(profile) / "results.json")
    return runs


def check_parameters(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook's parameters with their literal defaults (None where not literal).

    papermill only warns about a parameter that a notebook does not declare, and then runs it with
    the wrong settings: so this refuses it first.

    Raises
    ------
    ValueError
        When the cell tagged ``parameters`` is absent or does not declare a given name.
    """
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    tagged = [cell for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    if len(tagged) != 1:
        raise ValueError(
            f"{path.name} has {len(tagged)} cells tagged 'parameters': it needs exactly one"
        )
    declared: dict[str, Any] = {}
    for node in ast.parse("".join(tagged[0]["source"])).body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            declared[ast.unparse(target)] = None
            with suppress(ValueError):
                declared[ast.unparse(target)] = ast.literal_eval(node.value or "None")
    for name in given:
        if name not in declared:
            raise ValueError(
                f"{path.name} has no parameter {name!r}: "
                f"its parameters cell declares {', '.join(declared) or 'nothing'}"
            )
    return declared


def finished_runs(layout: Layout, profile: str) -> dict[str, ChapterRun]:
    """Return the outcomes that earlier runs left, by chapter; an unreadable one is none."""
    out = {}
    for path in sorted((layout.run(profile) / "state").glob("ch*.json")):
        with suppress(TypeError):
            out[path.stem] = ChapterRun(**read_json(path))
    return out


def run_reference(layout: Layout, profile: str) -> Reference:
    """Return a run's numbers in the form of ``results/reference.json``."""
    runs = {name: run for name, run in finished_runs(layout, profile).items() if not run.error}
    known = read_json(layout.reference).get("chapters", {})
    about = {}
    for chapter, run in runs.items():
        about[chapter] = {key: value for key, value in asdict(run).items() if key != "error"}
        about[chapter]["slowest"] = max(run.seconds, known.get(chapter, {}).get("slowest", 0.0))
    records = Records.read(layout.run(profile) / "records", runs)
    verdicts = {claim.id: claim.judged(records) for claim in load_claims(layout.claims)}
    return Reference(profile, records.entries, about, environment(), verdicts)


def _forget_gone_chapters(layout: Layout, profile: str) -> None:
    """Remove what notebooks left that exist no more, so that no check or publication counts it."""
    for part in ("state", "records"):
        for path in (layout.run(profile) / part).glob("ch*.json"):
            if path.stem not in layout.notebooks():
                path.unlink()


def _run_chapters(waiting: list[tuple[Any, ...]], jobs: int) -> Iterator[tuple[str, ChapterRun]]:
    """Yield each chapter's outcome as it ends; a process each, so that memory is counted apart."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(waiting)) or 1, spawn) as pool:
        futures = {pool.submit(_run_chapter, *arguments): arguments[1] for arguments in waiting}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _run_chapter(
    layout: Layout,
    chapter: str,
    source: Path,
    given: Mapping[str, Any],
    seed: int | None,
    provenance: dict[str, Any],
    position: int,
) -> ChapterRun:
    """Execute one notebook and leave its outcome in the state folder."""
    folder = layout.run(given["profile"])
    records = folder / "records"
    state = folder / "state" / f"{chapter}.json"
    for old in (state, records / f"{chapter}.json"):
        old.unlink(missing_ok=True)  # a run that dies leaves nothing that looks finished
    records.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    with kernel(_surroundings(records)), _PeakMemory() as memory:
        error = _execute(source, folder / source.name, given, position)
    run = ChapterRun(
        notebook=source.stem,
        profile=given["profile"],
        seed=seed,
        provenance=provenance,
        seconds=round(time.perf_counter() - start, 1),
        peak_mb=round(memory.peak / 1e6),
        error=error,
    )
    write_json(state, asdict(run))
    return run


def _execute(source: Path, target: Path, given: Mapping[str, Any], position: int) -> str | None:
    """Run one notebook with papermill; return None, or one line about the cell that failed."""
    import papermill
    from nbclient.exceptions import DeadKernelError
    from traitlets.config import Config

    bar: Any = False
    if sys.stderr.isatty():
        bar = {"desc": source.stem, "leave": False, "position": position}
    try:
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters=dict(given),
            kernel_name="python3",
            language="python",
            progress_bar=bar,
            cwd=str(source.parent),
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )
    except papermill.PapermillExecutionError as error:
        cell = error.cell_index + 1 - (error.cell_index > _parameters_index(source))
        message = " ".join(str(error.evalue).split())[:300]
        return f"{source.name}, cell {cell}: {error.ename}: {message}"
    except DeadKernelError:
        return f"{source.name}: the kernel died (out of memory?); see {target.name} in the run"
    except Exception as error:  # a kernel that does not start, a full disk: the others still run
        return f"{source.name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
    return None


def _parameters_index(source: Path) -> int:
    """Index of the parameters cell, behind which papermill puts a cell of its own."""
    cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
    return next(i for i, c in enumerate(cells) if "parameters" in c["metadata"].get("tags", []))


def _surroundings(records: Path) -> dict[str, str]:
    """Return what a kernel inherits: fixed hashing, fixed threads, where the records go."""
    return {
        "PYTHONHASHSEED": "0",
        "OMP_WAIT_POLICY": "PASSIVE",  # waiting threads must not hold the core of a busy one
        "TQDM_DISABLE": "1",  # a bar in an output would differ from run to run
        RECORDS_VARIABLE: str(records),
        **dict.fromkeys(THREAD_VARIABLES, str(config.threads())),
    }


class _PeakMemory(threading.Thread):
    """Watches the resident memory of this process's children while the ``with`` block runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._stop_now = threading.Event()

    def __enter__(self) -> _PeakMemory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()

    def run(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._stop_now.wait(POLL_SECONDS):
            total = 0
            for child in me.children(recursive=True):
                with suppress(psutil.NoSuchProcess):  # it ended between the two calls
                    total += child.memory_info().rss
            self.peak = max(self.peak, total)


def _took(run: ChapterRun) -> str:
    return f"{run.seconds:.0f} s, {run.peak_mb:.0f} MB at most"

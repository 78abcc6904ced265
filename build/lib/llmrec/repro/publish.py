"""Move a finished run into the repository: outputs, reference numbers, the README's table."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from llmrec.repro.headline import headline_rows, with_headline
from llmrec.repro.layout import Layout
from llmrec.repro.provenance import Snapshot
from llmrec.repro.record import write_text
from llmrec.repro.reference import Reference
from llmrec.repro.runner import (
    INJECTED,
    check_parameters,
    finished_runs,
    run_records,
    run_reference,
)

NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "file_extension": ".py", "mimetype": "text/x-python"},
}
VOLATILE = {"papermill", "execution", "ExecuteTime"}  # of a cell: paths, times, durations
WIDGET = re.compile(r"application/vnd\.jupyter\.widget-.*")


def publish(layout: Layout, profile: str = "book") -> list[Path]:
    """Write a finished run's outputs into ``notebooks/``, and its numbers, and return the files.

    Prose and comments stay as they are in the source; only outputs come from the run. Nothing is
    written unless everything can be.

    Raises
    ------
    ValueError
        When the run is not whole (a notebook failed, has not run, or has changed since), when it
        skipped keys that the reference has, when an output holds a path of this machine, or when
        the profile is ``smoke``.
    FileNotFoundError
        When there is no README to write the headline table into.
    """
    import nbformat

    if profile == "smoke":
        raise ValueError("a smoke run is for tests and cannot be published: run profile book")
    sources = layout.notebooks()
    _check_whole(layout, profile, sources)
    written: dict[Path, str] = {}
    for path in sources.values():
        source = nbformat.read(path, as_version=4)
        run = nbformat.read(layout.run(profile) / path.name, as_version=4)
        merged = merge(source, run, path.name)
        check_portable(merged, path.name, [layout.root, Path(sys.prefix), Path.home()])
        written[path] = nbformat.writes(merged) + "\n"
    reference = run_reference(layout, profile)
    if not layout.readme.is_file():
        raise FileNotFoundError("no README.md: it receives the table of headline results")
    rows = headline_rows(layout.headline, reference.entries)
    written[layout.readme] = with_headline(layout.readme.read_text(encoding="utf-8"), rows)
    for path, text in written.items():
        write_text(path, text)
    reference.save(layout.reference)
    return [*written, layout.reference]


def _check_whole(layout: Layout, profile: str, sources: dict[str, Path]) -> None:
    runs, snapshot = finished_runs(layout, profile), Snapshot.take(layout.package)
    problems = []
    for chapter, path in sources.items():
        run = runs.get(chapter)
        if run is None:
            problems.append(f"{path.stem} has not run")
        elif run.error:
            problems.append(f"{path.stem} failed")
        elif not run.current(snapshot, path):
            problems.append(f"{path.stem} has changed since it ran")
        elif run.seed != (own := check_parameters(path, {}).get("seed")):
            problems.append(f"{path.stem} ran with seed {run.seed}, not its own {own}")
    if problems or not sources:
        raise ValueError(
            f"the {profile} run is not whole ({'; '.join(problems) or 'no notebooks'}): "
            f"llmrec reproduce --profile {profile}"
        )
    if layout.reference.is_file():
        records = run_records(layout, profile)
        known = Reference.load(layout.reference).entries
        lost = [key for key in known if key not in records.entries and records.reason(key)]
        if lost:
            raise ValueError(
                f"the run skipped {len(lost)} keys of the reference, such as {lost[0]} "
                f"({records.reason(lost[0])}): publish from a machine that has the data"
            )


def merge(source: Any, run: Any, name: str) -> Any:
    """Return the source notebook with the run's outputs, free of what varies from run to run.

    Execution counts are renumbered, cell ids derive from the cells' text, and run times, paths,
    widget state and the injected parameters go.
    """
    ran = [
        c for c in run.cells if c.cell_type == "code" and INJECTED not in c.metadata.get("tags", [])
    ]
    code = [cell for cell in source.cells if cell.cell_type == "code"]
    if len(ran) != len(code):
        raise ValueError(f"{name} has {len(code)} code cells, its run has {len(ran)}: run it again")
    for number, (cell, done) in enumerate(zip(code, ran, strict=True), start=1):
        cell.outputs = [kept for output in done.outputs if (kept := _lasting(output, number))]
        cell.execution_count = number
    seen: Counter[str] = Counter()
    for cell in source.cells:
        for field in VOLATILE & cell.metadata.keys():
            del cell.metadata[field]
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    for field in ("papermill", "widgets"):
        source.metadata.pop(field, None)
    source.metadata.update(NOTEBOOK_METADATA)
    source.nbformat, source.nbformat_minor = 4, 5
    return source


def _lasting(output: Any, number: int) -> Any | None:
    """Return an output with its execution count renumbered; None when it is a widget."""
    if any(WIDGET.fullmatch(kind) for kind in output.get("data", {})):
        return None  # its text/plain twin is a progress bar's last words
    if output.get("execution_count") is not None:
        output.execution_count = number
    return output


def check_portable(notebook: Any, name: str, folders: list[Path]) -> None:
    """Refuse outputs that hold this machine's folders: they are often a stray warning's.

    Raises
    ------
    ValueError
        With the notebook, the cell and the path.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            text = " ".join(str(output.get(part, "")) for part in ("text", "data", "traceback"))
            for folder in folders:
                if f"{folder}/" in text and str(folder) != "/":
                    raise ValueError(
                        f"{name}, cell {number}: its output holds the path {folder}: "
                        "print something that is the same on every machine"
                    )

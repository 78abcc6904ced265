"""Move a finished run into the repository: outputs, reference numbers, the README's table."""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmrec.cache import write_atomic
from llmrec.repro.check import table
from llmrec.repro.layout import Layout
from llmrec.repro.reference import Records, Reference
from llmrec.repro.runner import (
    INJECTED,
    check_parameters,
    finished_runs,
    run_reference,
)

BEGIN, END = "<!-- headline:begin -->", "<!-- headline:end -->"
HEADER = ("result", "value")

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
        write_atomic(path, text)
    reference.save(layout.reference)
    return [*written, layout.reference]


def _check_whole(layout: Layout, profile: str, sources: dict[str, Path]) -> None:
    runs, now = finished_runs(layout, profile), layout.snapshot()
    problems = []
    for chapter, path in sources.items():
        run = runs.get(chapter)
        if run is None:
            problems.append(f"{path.stem} has not run")
        elif run.error:
            problems.append(f"{path.stem} failed")
        elif run.changes(path, now):
            problems.append(f"{path.stem} has changed since it ran")
        elif run.seed != (own := check_parameters(path, {}).get("seed")):
            problems.append(f"{path.stem} ran with seed {run.seed}, not its own {own}")
    if problems or not sources:
        raise ValueError(
            f"the {profile} run is not whole ({'; '.join(problems) or 'no notebooks'}): "
            f"llmrec reproduce --profile {profile}"
        )
    if layout.reference.is_file():
        records = Records.read(layout.run(profile) / "records")
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


def format_value(value: Any, spec: str = "") -> str:
    """Format one recorded value; without a spec floats get four significant digits.

    Raises
    ------
    ValueError
        When the spec does not fit the value.
    """
    if isinstance(value, list):
        return ", ".join(format_value(part, spec) for part in value)
    try:
        text = format(value, spec or (".4g" if isinstance(value, float) else ""))
    except ValueError as error:
        raise ValueError(f"format {spec!r} does not fit {value!r}") from error
    if isinstance(value, (int, float)):
        text = text.replace("-", "−", 1) if text.startswith("-") else text  # a minus, not a hyphen
    return text


def headline_rows(
    path: Path, entries: Mapping[str, Mapping[str, Any]], *, partial: bool = False
) -> list[tuple[str, str]]:
    """Return ``(label, value)`` rows; with an interval the value reads ``0.12 [0.10, 0.14]``.

    Parameters
    ----------
    path:
        ``results/headline.yml``: a list of label, key and, optionally, format and interval.
    partial:
        Leave out rows whose keys are not recorded, instead of refusing.

    Raises
    ------
    KeyError
        When a key is not recorded.
    ValueError
        When an entry has another field, or none that is needed.
    """
    rows = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        if not {"label", "key"} <= entry.keys() <= {"label", "key", "format", "interval"}:
            raise ValueError(f"{path.name}: {entry} needs label and key, may have format, interval")
        spec, interval = entry.get("format", ""), entry.get("interval", [])
        missing = [key for key in (entry["key"], *interval) if key not in entries]
        if missing and partial:
            continue
        if missing:
            raise KeyError(f"{path.name}: {missing[0]} is not recorded: correct the key")
        value, *bounds = (
            format_value(entries[key]["value"], spec) for key in (entry["key"], *interval)
        )
        rows.append((entry["label"], f"{value} [{', '.join(bounds)}]" if bounds else value))
    return rows


def with_headline(readme: str, rows: list[tuple[str, str]]) -> str:
    """Return the README's text with the table between its two markers replaced.

    Raises
    ------
    ValueError
        When the markers are not there exactly once, in order.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in tail:
        raise ValueError(f"README.md needs {BEGIN} and {END} once each, in this order")
    return f"{head}{BEGIN}\n\n{table(HEADER, rows)}\n\n{END}{tail}"

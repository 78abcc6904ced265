"""``llmrec study``: the study of a folder of tables, written as report, notebook and model."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml


def study(
    folder: str,
    columns: list[str],
    mapping: Path | None,
    output: Path | None,
    quick: bool,
    encoder: str,
    seed: int,
    least: float | None,
    template: str,
    force: bool,
) -> int:
    """Study the tables in a folder; an interrupted study goes on where it stopped."""
    if not sys.stderr.isatty():
        os.environ.setdefault("TQDM_DISABLE", "1")  # read by tqdm when it is imported
    from llmrec.studies import study as ask
    from llmrec.studies.served import OUTPUT
    from llmrec.studies.warn import failed_checks, warnings

    names = column_names(columns, mapping)
    target = output or Path(folder) / OUTPUT
    found = ask(
        folder,
        names,
        output=target,
        quick=quick,
        encoder=encoder,
        seed=seed,
        least=least,
        template=template,
        force=force,
        say=_say,
    )
    found.write(target, notebook=False)
    print(found.answer.sentence)
    print(f"Model to ship: {found.answer.ship}, because {found.answer.why}.")
    for line in [*warnings(found), *failed_checks(found)]:
        print(f"- {line}")
    print(f"The whole report is {target / 'report.html'}", flush=True)
    _execute(target)
    return 0


def _execute(target: Path) -> None:
    """Execute the notebook; the answer is written already, so that a failure is only a note."""
    if importlib.util.find_spec("papermill") is None:
        print("No notebook was executed: pip install 'llmrec[book]' brings papermill.")
        return
    from llmrec.studies.notebook import execute

    _say("executing the notebook")
    try:
        execute(target)
    except Exception as error:  # a kernel can fail in many ways
        said = " ".join(str(error).split()) or type(error).__name__
        print(f"No notebook was executed: {said[:300]}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def column_names(columns: list[str], mapping: Path | None) -> dict[str, str]:
    """Return the files' names → ours, from ``ours=theirs`` and from a YAML of ``ours: theirs``.

    One of ours may have several of theirs, a list in the YAML: tables may differ in their names.

    Raises
    ------
    ValueError
        When a part is not of that form, or one of theirs is given twice.
    """
    pairs: list[tuple[str, str]] = []
    if mapping is not None:
        try:
            content: Any = yaml.safe_load(mapping.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise ValueError(f"--mapping {mapping} cannot be read: {error}") from error
        if not isinstance(content, Mapping):
            raise ValueError(f"--mapping {mapping}: write one line a column, such as item: movieId")
        for ours, theirs in content.items():
            listed = theirs if isinstance(theirs, list) else [theirs]
            pairs += [(str(ours), str(one)) for one in listed]
    for text in columns:
        ours, equals, theirs = text.partition("=")
        if not (ours and equals and theirs):
            raise ValueError(f"--columns {text}: write ours=theirs, such as item=movieId")
        pairs.append((ours, theirs))
    names: dict[str, str] = {}
    for ours, theirs in pairs:
        if names.setdefault(theirs, ours) != ours:
            raise ValueError(f"column {theirs!r} is to be {names[theirs]!r} and {ours!r}: keep one")
    return names

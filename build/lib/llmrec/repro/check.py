"""Hold a run, a folder of records or just the sources against the reference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmrec.repro.claims import load_claims
from llmrec.repro.environment import environment
from llmrec.repro.layout import Layout
from llmrec.repro.reference import Records, Reference, Row, compare, read_records
from llmrec.repro.report import Report, verdicts
from llmrec.repro.runner import ChapterRun, run_records

NO_REFERENCE = "There is no reference yet: read this report, then `llmrec publish` makes it one."
OTHER_SETTINGS = (
    "The reference was made with another profile or seed, so keys are compared and values are not."
)


def check_run(
    layout: Layout, profile: str, runs: Mapping[str, ChapterRun], *, strict: bool = False
) -> Report:
    """Compare what these chapters recorded with the reference and write the run's report."""
    records = run_records(layout, profile, runs)
    reference = _reference(layout).only(runs)
    same = all(_same_settings(reference, chapter, run) for chapter, run in runs.items())
    stale = reference.stale(layout) if same else {}
    rows = compare(reference, records, strict=strict, values=same, stale=stale)
    note = NO_REFERENCE if not layout.reference.is_file() else "" if same else OTHER_SETTINGS
    about = {chapter: asdict(run) for chapter, run in runs.items()}
    report = _report(layout, f"Run of profile {profile}", rows, records, about, note)
    report.write(layout.run(profile))
    return report


def check_records(
    layout: Layout, folder: Path, *, only: Iterable[str] = (), strict: bool = False
) -> Report:
    """Compare a folder of records, such as one that nbval filled, with the reference.

    Every chapter counts, also one that recorded nothing, unless ``only`` names some.
    """
    chapters = layout.notebooks(only)
    records = read_records(folder)
    reference = Reference.load(layout.reference)
    if only:
        reference = reference.only(chapters)
        records = Records(
            {key: entry for key, entry in records.entries.items() if key[:4] in chapters},
            records.skipped,
            records.modules,
        )
    rows = compare(reference, records, strict=strict, stale=reference.stale(layout))
    return _report(layout, f"Check of {folder.name}", rows, records, {})


def check_static(layout: Layout) -> dict[str, list[str]]:
    """Return chapter → what changed since the reference run, without running anything.

    A notebook that the reference does not know is listed too.
    """
    reference = Reference.load(layout.reference)
    new = layout.notebooks().keys() - reference.chapters.keys()
    return reference.stale(layout) | {name: ["not in the reference yet"] for name in sorted(new)}


def _reference(layout: Layout) -> Reference:
    return Reference.load(layout.reference) if layout.reference.is_file() else Reference("", {})


def _same_settings(reference: Reference, chapter: str, run: ChapterRun) -> bool:
    known = reference.chapters.get(chapter)
    return known is None or (known["profile"], known["seed"]) == (run.profile, run.seed)


def _report(
    layout: Layout,
    title: str,
    rows: list[Row],
    records: Records,
    chapters: Mapping[str, Mapping[str, Any]],
    note: str = "",
) -> Report:
    found = verdicts(load_claims(layout.claims), records)
    return Report(title, rows, found, chapters, environment(), note)

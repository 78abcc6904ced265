"""What each command does, except ``recommend``; returns the exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path


def fetch(names: list[str], only_list: bool) -> int:
    """List the sources, or bring them here one after the other."""
    from llmrec.fetch import available, fetch_all
    from llmrec.fetch import status as sources
    from llmrec.fetch.sources import find

    for name in names:
        find(name)  # a wrong name is refused before the first download
    chosen = names or available(optional=only_list)
    wanted = [source for source in sources() if source.name in chosen]
    if only_list:
        _show_sources(wanted)
        return 0
    for number, source in enumerate(wanted, start=1):
        fetch_all([source.name])
        print(f"[{number}/{len(wanted)}] {source.name:<16} {source.size / 1e6:6.1f} MB  ready")
    return 0


def reproduce(
    profile: str, seed: int | None, only: list[str], force: bool, strict: bool, jobs: int
) -> int:
    """Run notebooks, compare, report; 1 when a notebook or a number failed."""
    from rich.console import Console

    from llmrec import config
    from llmrec.repro.check import check_run
    from llmrec.repro.layout import Layout
    from llmrec.repro.runner import reproduce as run

    os.environ.setdefault(config.THREADS_VARIABLE, "1")  # each: the notebooks run side by side
    layout = Layout.find()
    runs = run(layout, profile, seed=seed, only=only, force=force, jobs=jobs)
    report = check_run(layout, profile, runs, strict=strict)
    report.show(Console())
    where = layout.run(profile).relative_to(layout.root) / "report.md"
    print(f"{'failed' if report.failed else 'passed'}: the whole report is {where}")
    return int(report.failed)


def publish(profile: str) -> int:
    """Write a finished run into the repository."""
    from llmrec.repro.layout import Layout
    from llmrec.repro.publish import publish as move

    layout = Layout.find()
    for path in move(layout, profile):
        print(f"wrote {path.relative_to(layout.root)}")
    return 0


def check(folder: str | None, static: bool, only: list[str], strict: bool) -> int:
    """Compare records, or only look for stale chapters; 1 when something fails."""
    from rich.console import Console

    from llmrec.repro.check import check_records, check_static
    from llmrec.repro.layout import Layout

    if folder is None and not static:
        raise ValueError("give a RECORDS_DIR to compare, or --static to look for stale chapters")
    layout, failed = Layout.find(), False
    if static:
        stale = check_static(layout)
        for chapter, changes in sorted(stale.items()):
            print(f"{chapter}: stale, changed: {', '.join(changes)}")
        failed = bool(stale)
        if not stale:
            print("no chapter is stale")
    if folder is not None:
        report = check_records(layout, Path(folder), only=only, strict=strict)
        report.show(Console())
        failed = failed or report.failed
    print("failed" if failed else "passed")
    return int(failed)


def status() -> int:
    """Print the environment, the cache, the sources and the last runs."""
    from llmrec import config
    from llmrec.fetch import status as sources
    from llmrec.repro.environment import environment
    from llmrec.repro.layout import Layout

    for name, value in environment().items():
        print(f"{name:<14} {value}")
    print(f"{'cache':<14} {config.cache_dir()}")
    print(f"{'mirror':<14} {config.mirror_dir() or 'none'}\n")
    _show_sources(sources())
    try:
        layout = Layout.find()
    except FileNotFoundError:
        print("\nnot inside a clone of the book: no runs to show")
        return 0
    print()
    states = sorted((layout.root / "_run").glob("*/state/ch*.json"))
    for path in states:
        run = json.loads(path.read_text(encoding="utf-8"))
        cost = f"{run['seconds']:.0f} s, {run['peak_mb']:.0f} MB"
        print(f"run {run['profile']:<6} {run['notebook']:<24} {run['error'] or cost}")
    if not states:
        print("no runs yet: llmrec reproduce")
    return 0


def _show_sources(sources: list) -> None:
    for source in sources:
        here = "here" if source.present else "absent"
        print(f"{here:<7} {source.name:<17} {source.size / 1e6:6.1f} MB  {source.title}")

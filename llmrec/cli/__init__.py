"""The command ``llmrec``. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llmrec import __version__

if TYPE_CHECKING:
    from llmrec.fetch import Source

__all__ = ["main"]

DEBUG_VARIABLE = "LLMREC_DEBUG"
MODELS = ("ease", "als", "itemknn", "popularity", "text", "two-tower")
INTERRUPTED = 130  # what typer makes of Ctrl-C
MANY = ("--columns", "--items", "--models")  # options with several values: --items 17 4 99
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

app = typer.Typer(
    help="Language models for recognising user interest: fetch, reproduce, study.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Profile = Annotated[Literal["book", "smoke", "full"], typer.Option()]
Regime = Annotated[Literal["warm", "cold-items"], typer.Option()]
Only = Annotated[
    list[str] | None, typer.Option(metavar="NN", help="a chapter, such as 04; repeatable")
]
Strict = Annotated[bool, typer.Option("--strict", help="keys not run here fail")]
Exact = Annotated[
    bool, typer.Option("--exact", help="on the reference's machine: no tolerance but for time")
]
Force = Annotated[bool, typer.Option("--force", help="run what is finished, too")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a check failed, 2 an error.

    An error is one line; ``--debug`` or ``$LLMREC_DEBUG`` shows where it came from.
    """
    words = _repeated(list(sys.argv[1:] if argv is None else argv))
    debug = "--debug" in words or bool(os.environ.get(DEBUG_VARIABLE))
    words = [word for word in words if word != "--debug"]
    try:
        code = int(app(words, prog_name="llmrec", standalone_mode=False) or 0)
    except typer.TyperException as error:  # a wrong command line
        show(f"llmrec: error: {error.format_message()}", error=True)
        return 2
    except Exception as error:
        if debug:
            raise
        show(f"llmrec: error: {_one_line(error)}", error=True)
        return 2
    if code == INTERRUPTED:
        show("llmrec: stopped; what is finished is kept", error=True)
    return code


def show(line: str, *, error: bool = False) -> None:
    """Print a line without what could steer a terminal: names and ids come from anybody's files."""
    print(CONTROL.sub("", line), file=sys.stderr if error else sys.stdout, flush=True)


def _repeated(words: list[str]) -> list[str]:
    """Write ``--items 17 4`` as ``--items 17 --items 4``, which the parser understands."""
    out: list[str] = []
    option = None
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d+", word):
            option = word if word in MANY else None
        elif option and out[-1] != option:
            out.append(option)
        out.append(word)
    return out


def _one_line(error: Exception) -> str:
    # str() of a KeyError is the repr of its message
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = " ".join(text.split()) or "no message"
    if isinstance(error, (ValueError, OSError, KeyError, MemoryError)) or (
        type(error).__module__.startswith("llmrec.")
    ):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _version(asked: bool) -> None:
    if asked:
        print(f"llmrec {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="show a traceback on errors; goes anywhere")
    ] = False,
) -> None: ...


@app.command()
def fetch(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="default: what the book needs")
    ] = None,
    only_list: Annotated[bool, typer.Option("--list", help="list, fetch nothing")] = False,
) -> int:
    """Bring models and datasets into the cache."""
    from llmrec.fetch import available, fetch_all, find
    from llmrec.fetch import status as sources

    for name in names or ():
        find(name)  # a wrong name is refused before the first download
    chosen = names or available(optional=only_list)
    wanted = {source: here for source, here in sources().items() if source.name in chosen}
    if only_list:
        _show_sources(wanted)
        return 0
    for number, source in enumerate(wanted, start=1):
        fetch_all([source.name])
        print(f"[{number}/{len(wanted)}] {source.name:<16} {source.size / 1e6:6.1f} MB  ready")
    return 0


@app.command()
def reproduce(
    profile: Profile = "book",
    seed: Annotated[int | None, typer.Option(help="default: each notebook's own")] = None,
    only: Only = None,
    force: Force = False,
    jobs: Annotated[
        int, typer.Option(metavar="N", min=1, help="notebooks at once (default: cores, at most 4)")
    ] = min(4, os.cpu_count() or 1),
    strict: Strict = False,
    exact: Exact = False,
) -> int:
    """Run the notebooks and compare every number."""
    from rich.console import Console

    from llmrec import config
    from llmrec.repro.check import check_run
    from llmrec.repro.layout import Layout
    from llmrec.repro.runner import reproduce as run

    os.environ.setdefault(config.THREADS_VARIABLE, "1")  # each: the notebooks run side by side
    layout = Layout.find()
    runs = run(layout, profile, seed=seed, only=only or [], force=force, jobs=jobs)
    report = check_run(layout, profile, runs, strict=strict, exact=exact)
    report.show(Console(), *[len(report.rows)] * exact)
    where = layout.run(profile).relative_to(layout.root) / "report.md"
    print(f"{'failed' if report.failed else 'passed'}: the whole report is {where}")
    return int(report.failed)


@app.command()
def publish(profile: Profile = "book") -> int:
    """Move a finished run into the repository."""
    from llmrec.repro.layout import Layout
    from llmrec.repro.publish import publish as move

    layout = Layout.find()
    for path in move(layout, profile):
        print(f"wrote {path.relative_to(layout.root)}")
    return 0


@app.command()
def check(
    folder: Annotated[
        str | None, typer.Argument(metavar="RECORDS_DIR", help="what record() wrote")
    ] = None,
    static: Annotated[bool, typer.Option("--static", help="name stale chapters, run none")] = False,
    only: Only = None,
    strict: Strict = False,
    exact: Exact = False,
) -> int:
    """Compare recorded numbers with the reference."""
    from rich.console import Console

    from llmrec.repro.check import check_records, check_static
    from llmrec.repro.layout import Layout

    if folder is None and not static:
        raise ValueError("give a RECORDS_DIR to compare, or --static to look for stale chapters")
    layout, failed = Layout.find(), False
    if static:
        wrong = check_static(layout)
        for name, problems in wrong.items():
            print(f"{name}: {', '.join(problems)}")
        failed = bool(wrong)
        if not wrong:
            print("no chapter is stale")
    if folder is not None:
        report = check_records(layout, Path(folder), only=only or [], strict=strict, exact=exact)
        report.show(Console(), *[len(report.rows)] * exact)
        failed = failed or report.failed
    print("failed" if failed else "passed")
    return int(failed)


@app.command()
def ledger(
    only: Annotated[
        str, typer.Option(metavar="ID", help="rows whose id begins so, such as spectralcf")
    ] = "",
    force: Force = False,
) -> int:
    """Measure published numbers again."""
    from llmrec.ledger import load_published, load_recipes, run
    from llmrec.repro.layout import Layout

    layout = Layout.find()
    load_recipes(layout)
    protocols = load_published(layout.published)
    book = run(layout.ledger, protocols, only, force=force)
    failed = 0
    for protocol in protocols:
        entries = [entry for entry in book.entries(protocol) if entry.row.id.startswith(only)]
        if entries:
            print(f"\n{protocol.title}")
        for entry in entries:
            ours = f"{entry.ours.value:.4f}" if entry.ours else "-"
            mark = "  MUST BE EQUAL" if entry.failed else ""
            print(f"  {entry.row.id:<44} {entry.row.value:.4f} {ours:>7}  {entry.verdict}{mark}")
            failed += entry.failed
    return int(failed > 0)


@app.command()
def status() -> int:
    """Show environment, cache, sources and runs."""
    from llmrec import config
    from llmrec.fetch import status as sources
    from llmrec.repro.environment import environment
    from llmrec.repro.layout import Layout
    from llmrec.repro.runner import PROFILES, finished_runs

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
    runs = [run for p in PROFILES for run in finished_runs(layout, p).values()]
    for run in runs:
        cost = f"{run.seconds:.0f} s, {run.peak_mb:.0f} MB"
        print(f"run {run.profile:<6} {run.notebook:<24} {run.error or cost}")
    if not runs:
        print("no runs yet: llmrec reproduce")
    return 0


def _show_sources(sources: Mapping[Source, bool]) -> None:
    for source, present in sources.items():
        here = "here" if present else "absent"
        print(f"{here:<7} {source.name:<17} {source.size / 1e6:6.1f} MB  {source.title}")


@app.command()
def recommend(
    dataset: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="a name, or a folder of your own (default: ml-100k)"),
    ] = None,
    user: Annotated[str | None, typer.Option(help="the user's id")] = None,
    items: Annotated[
        list[str] | None,
        typer.Option(metavar="ITEM...", help="a new user's items by id, the latest last"),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="how many items")] = 10,
    model: Annotated[
        str, typer.Option(help=f"{', '.join(MODELS)}, or the folder that llmrec study wrote")
    ] = "ease",
) -> int:
    """Recommend to one user, with reasons."""
    from llmrec.cli.own import recommend as run

    if (user is None) == (items is None):
        raise typer.BadParameter("give either a --user or --items, not both")
    if k < 1:
        raise ValueError(f"-k {k}: ask for at least one item")
    for line in run(dataset, user, items or [], k, model):
        show(line)
    return 0


@app.command()
def study(
    folder: Annotated[Path, typer.Argument(help="with interactions and items, and users")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS...", help="names of your columns: item=movieId title=name"
        ),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="the same as YAML: ours: theirs")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="default: llmrec-study inside FOLDER")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="fewer trials, shorter texts")] = False,
    encoder: Annotated[
        str, typer.Option(help="what reads the texts: a name, folder or hub id")
    ] = "minilm",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    min_weight: Annotated[
        float | None,
        typer.Option("--min-weight", help="the smallest weight that counts as interest"),
    ] = None,
    least: Annotated[float | None, typer.Option("--least", hidden=True)] = None,
    template: Annotated[
        str, typer.Option(help="wording of an item, such as '{title}[ by {brand}]'")
    ] = "generic",
    force: Force = False,
) -> int:
    """Study your own tables: does text help, and for whom?"""
    from llmrec.cli.own import column_names
    from llmrec.cli.own import study as run

    names = column_names(columns or [], mapping)
    if min_weight is None:
        min_weight = least
    options = {"quick": quick, "encoder": encoder, "seed": seed, "min_weight": min_weight}
    options |= {"template": template, "force": force}
    for line in run(folder, names, output, lambda line: show(line, error=True), **options):
        show(line)
    return 0


@app.command()
def tune(
    dataset: Annotated[str, typer.Option(help="a name, or a folder of your own")] = "ml-100k",
    regime: Regime = "warm",
    models: Annotated[
        list[str] | None, typer.Option(metavar="NAME...", help="default: all")
    ] = None,
    budget: Annotated[int, typer.Option(help="trials a model")] = 20,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="default: the package's tuned.yml")
    ] = None,
) -> int:
    """Tune models with one budget, on validation only."""
    from llmrec.cli.own import tune as run

    for line in run(dataset, regime, models or [], budget, output):
        show(line)
    return 0

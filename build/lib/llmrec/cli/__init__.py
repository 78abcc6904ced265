"""The command ``llmrec``. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from llmrec import __version__

__all__ = ["main"]

DEBUG_VARIABLE = "LLMREC_DEBUG"
MODELS = ("ease", "als", "itemknn", "popularity", "text", "two-tower")
PROFILES = ("book", "smoke", "full")
REGIMES = ("warm", "cold-items")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 a check failed, 2 an error.

    An error is one line; ``--debug`` or ``$LLMREC_DEBUG`` shows where it came from.
    """
    args = vars(_parser().parse_args(argv))
    debug = args.pop("debug", False) or bool(os.environ.get(DEBUG_VARIABLE))
    module, function = args.pop("run").split(":")
    try:
        command = getattr(importlib.import_module(f"llmrec.cli.{module}"), function)
        return int(command(**args))
    except KeyboardInterrupt:
        print("llmrec: stopped; what is finished is kept", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            raise
        print(f"llmrec: error: {_one_line(error)}", file=sys.stderr)
        return 2


def _one_line(error: Exception) -> str:
    # str() of a KeyError is the repr of its message
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    text = " ".join(text.split()) or "no message"
    if isinstance(error, (ValueError, OSError, KeyError, MemoryError)) or (
        type(error).__module__.startswith("llmrec.")
    ):
        return text
    return f"{type(error).__name__}: {text} (--debug shows where)"


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show a traceback on errors"
    )
    parser = argparse.ArgumentParser(
        prog="llmrec",
        description="Language models for recognising user interest: fetch, reproduce, study.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"llmrec {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, parents=[common])
        command.set_defaults(run=run)
        return command

    fetch = add("fetch", "commands:fetch", "Bring models and datasets into the cache.")
    fetch.add_argument(
        "names", nargs="*", metavar="NAME", help="sources (default: what the book needs)"
    )
    fetch.add_argument("--list", action="store_true", dest="only_list", help="list, fetch nothing")

    reproduce = add(
        "reproduce", "commands:reproduce", "Run the notebooks and compare every number."
    )
    reproduce.add_argument("--profile", choices=PROFILES, default="book")
    reproduce.add_argument("--seed", type=int, help="default: each notebook's own")
    _add_only(reproduce)
    reproduce.add_argument("--force", action="store_true", help="run what is finished, too")
    reproduce.add_argument(
        "--jobs",
        type=int,
        default=min(4, os.cpu_count() or 1),
        metavar="N",
        help="notebooks at once (default: one a core, four at most)",
    )
    _add_strict(reproduce)

    publish = add("publish", "commands:publish", "Move a finished run into the repository.")
    publish.add_argument("--profile", choices=PROFILES, default="book")

    check = add("check", "commands:check", "Compare recorded numbers with the reference.")
    check.add_argument("folder", nargs="?", metavar="RECORDS_DIR", help="what record() wrote")
    check.add_argument("--static", action="store_true", help="tell stale chapters, run nothing")
    _add_only(check)
    _add_strict(check)

    ledger = add("ledger", "ledger:ledger", "Measure published numbers again.")
    ledger.add_argument(
        "--only", default="", metavar="ID", help="rows whose id begins so, such as spectralcf"
    )
    ledger.add_argument("--force", action="store_true", help="measure what is up to date, too")

    add("status", "commands:status", "Show environment, cache, sources and runs.")

    recommend = add("recommend", "recommend:recommend", "Recommend to one user, with reasons.")
    recommend.add_argument(
        "--dataset", metavar="DATA", help="a name, or a folder of your own (default: ml-100k)"
    )
    who = recommend.add_mutually_exclusive_group(required=True)
    who.add_argument("--user", help="the user's id")
    who.add_argument(
        "--items", nargs="+", metavar="ITEM", help="a new user's items by id, the latest last"
    )
    recommend.add_argument("-k", type=int, default=10, help="how many items (default: 10)")
    recommend.add_argument(
        "--model",
        default="ease",
        metavar="MODEL",
        help=f"{', '.join(MODELS)}, or the folder that llmrec study wrote (default: ease)",
    )

    study = add("study", "study:study", "Study your own tables: does text help, and for whom?")
    study.add_argument("folder", metavar="FOLDER", help="with interactions and items, and users")
    study.add_argument(
        "--columns",
        nargs="+",
        action="extend",
        default=[],
        metavar="OURS=THEIRS",
        help="names of your columns, such as item=movieId title=name",
    )
    study.add_argument(
        "--mapping", type=Path, metavar="FILE", help="the same as YAML: ours: theirs"
    )
    study.add_argument(
        "--output", type=Path, metavar="DIR", help="default: llmrec-study inside FOLDER"
    )
    study.add_argument("--quick", action="store_true", help="fewer trials, shorter texts")
    study.add_argument(
        "--encoder", default="minilm", help="what reads the texts: a name, folder or hub id"
    )
    study.add_argument("--seed", type=int, default=0)
    study.add_argument(
        "--least", type=float, metavar="WEIGHT", help="the smallest weight that counts as interest"
    )
    study.add_argument(
        "--template", default="generic", help="wording of an item, such as '{title}[ by {brand}]'"
    )
    study.add_argument("--force", action="store_true", help="run finished steps again")

    tune = add("tune", "tune:tune", "Tune models with one budget, on validation only.")
    tune.add_argument("--dataset", default="ml-100k", help="a name, or a folder of your own")
    tune.add_argument("--regime", choices=REGIMES, default="warm")
    tune.add_argument(
        "--models", nargs="+", default=[], dest="names", metavar="NAME", help="default: all"
    )
    tune.add_argument("--budget", type=int, default=20, help="trials a model (default: 20)")
    tune.add_argument(
        "--output", type=Path, metavar="FILE", help="default: the package's tuned.yml"
    )
    return parser


def _add_only(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NN",
        help="a chapter, such as 04; repeatable",
    )


def _add_strict(command: argparse.ArgumentParser) -> None:
    command.add_argument("--strict", action="store_true", help="keys not run here fail")

"""The steps of a study: each result is kept on disk, so that an interrupted study goes on."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

import llmrec
from llmrec.cache import key_of
from llmrec.repro.record import write_text


class Steps:
    """Runs steps and keeps what they return, as JSON under a key of all that they depend on.

    Parameters
    ----------
    folder:
        Where results are kept; None keeps nothing.
    key:
        Digest of tables and plan: another study finds nothing of this one.
    total:
        Seconds that all steps may take, for the bar and its time left; the bar shows on a terminal
        only.
    say:
        Told one line a step where there is no bar.
    force:
        Run finished steps again.

    Attributes
    ----------
    ran, found:
        Names of the steps that were run, and of those found finished.
    seconds:
        What all of them took, those of an earlier run included.
    """

    def __init__(
        self,
        folder: Path | None,
        key: str,
        total: float = 0.0,
        *,
        force: bool = False,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self.folder, self.key, self.force = folder, key_of([key, _code()]), force
        self.ran: list[str] = []
        self.found: list[str] = []
        self.seconds = 0.0
        self._total, self._done = max(total, 1e-9), 0.0
        self._say = say
        self._bar = tqdm(
            total=round(total, 1),
            desc="study",
            disable=None,
            dynamic_ncols=True,
            smoothing=0,  # a short step says little of the next
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}",
        )

    def __call__(
        self, name: str, make: Callable[[], Any], *depends: Any, units: float = 1.0
    ) -> Any:
        """Return what ``make()`` returns, or returned in an earlier run with equal ``depends``.

        ``units`` are the seconds that it may take.
        """
        path = None
        if self.folder is not None:
            slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            path = self.folder / f"{slug}-{key_of([self.key, name, *depends])[:12]}.json"
        self._bar.set_description(name)
        kept = None if path is None or self.force else _read(path)
        if kept is None:
            start = time.perf_counter()
            value = json.loads(json.dumps(make()))  # the same types as when it is read
            kept = {"value": value, "seconds": time.perf_counter() - start}
            if path is not None:
                write_text(path, json.dumps(kept, ensure_ascii=False))
            self.ran.append(name)
            self._advance(f"{name}, {kept['seconds']:.1f} s", units)
        else:
            self.found.append(name)
            self._advance(f"{name}, found finished", units, found=True)
        self.seconds += kept["seconds"]
        return kept["value"]

    @contextmanager
    def stage(self, name: str, units: float = 1.0) -> Iterator[None]:
        """Time what is done inside the block as a step whose result is not kept."""
        self._bar.set_description(name)
        start = time.perf_counter()
        yield
        seconds = time.perf_counter() - start
        self.seconds += seconds
        self._advance(f"{name}, {seconds:.1f} s", units)

    @property
    def left(self) -> float:
        """What is left of the total: the units of the last step, however the guesses were."""
        return self._total - self._done

    def _advance(self, line: str, units: float, *, found: bool = False) -> None:
        """Move the bar; what was found finished says nothing of the speed of this run."""
        units = min(units, self._total - self._done)
        self._done += units
        if found and not self._bar.disable:
            self._bar.initial += units
        self._bar.update(units)
        if self._say is not None and self._bar.disable:
            self._say(f"{self._done / self._total:4.0%}  {line}")

    def close(self) -> None:
        """End the bar; estimates that were too high leave none of it open."""
        self._bar.close()


def _read(path: Path) -> Any:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return kept if isinstance(kept, dict) and set(kept) == {"value", "seconds"} else None


def _code() -> str:
    """Hash the package's sources: a result of other code is not taken for one of this code."""
    digest = hashlib.sha256()
    for path in sorted(Path(llmrec.__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()

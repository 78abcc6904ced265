"""The steps of a study: each result is kept on disk, so that an interrupted study goes on.

Introduced in chapter 11.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

import llmrec
from llmrec.repro.record import write_text
from llmrec.shards import key_of


class Steps:
    """Runs steps and keeps what they return, as JSON under a key of all that they depend on.

    Parameters
    ----------
    folder:
        Where results are kept; None keeps nothing.
    key:
        Digest of tables and plan: another study finds nothing of this one.
    total:
        Units of work in all, for the bar and its time left; the bar shows on a terminal only.
    force:
        Run finished steps again.

    Attributes
    ----------
    ran, found:
        Names of the steps that were run, and of those found finished.
    seconds:
        What all of them took, those of an earlier run included.

    Notes
    -----
    Introduced in chapter 11.
    """

    def __init__(
        self, folder: Path | None, key: str, total: int = 0, *, force: bool = False
    ) -> None:
        self.folder, self.key, self.force = folder, key_of(key, _code()), force
        self.ran: list[str] = []
        self.found: list[str] = []
        self.seconds = 0.0
        self._bar = tqdm(total=total, desc="study", disable=None, unit="fit", dynamic_ncols=True)

    def __call__(self, name: str, make: Callable[[], Any], *depends: Any, units: int = 1) -> Any:
        """Return what ``make()`` returns, or returned in an earlier run with equal ``depends``."""
        path = None
        if self.folder is not None:
            slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            path = self.folder / f"{slug}-{key_of(self.key, name, *depends)[:12]}.json"
        self._bar.set_description(name)
        kept = None if path is None or self.force else _read(path)
        if kept is None:
            start = time.perf_counter()
            value = json.loads(json.dumps(make()))  # the same types as when it is read
            kept = {"value": value, "seconds": time.perf_counter() - start}
            if path is not None:
                write_text(path, json.dumps(kept, ensure_ascii=False))
            self.ran.append(name)
        else:
            self.found.append(name)
        self._bar.update(min(units, (self._bar.total or units) - self._bar.n))
        self.seconds += kept["seconds"]
        return kept["value"]

    def close(self) -> None:
        """End the bar."""
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

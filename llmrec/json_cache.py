"""Slow results kept on disk: append-only JSON shards that survive an interrupted run.

Introduced in chapter 14.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any


def key_of(*parts: Any) -> str:
    """Return 32 hex digits of the sha256 of the parts, written as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class JsonCache:
    """A mapping from keys to JSON values that several processes may fill at once.

    Each `add` writes one shard aside and renames it; its name is the sha256 of its bytes, so that
    a damaged shard is recognised, dropped with a warning, and its entries are computed again.

    Parameters
    ----------
    folder:
        Where the shards live; made when the first is written.

    Notes
    -----
    Introduced in chapter 14.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, Any] = {}
        self._shards: set[str] = set()

    def read(self) -> dict[str, Any]:
        """Return everything known, what other processes wrote since the last look included."""
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            if path.name in self._shards:
                continue
            try:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() != path.stem:
                    raise ValueError("its bytes do not match its name")
                self._known.update(json.loads(data))
                self._shards.add(path.name)
            except FileNotFoundError:
                continue  # another process dropped it just now
            except (OSError, ValueError) as error:
                warnings.warn(
                    f"{path}: damaged cache shard dropped, its entries are computed again"
                    f" ({error})",
                    RuntimeWarning,
                    stacklevel=2,
                )
                path.unlink(missing_ok=True)
        return self._known

    def add(self, entries: dict[str, Any]) -> None:
        """Keep the entries in one new shard; nothing is written when there are none."""
        if not entries:
            return
        data = json.dumps(entries, sort_keys=True).encode()
        name = f"{hashlib.sha256(data).hexdigest()}.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(aside, self.folder / name)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        self._known.update(entries)
        self._shards.add(name)

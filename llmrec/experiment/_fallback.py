"""Until llmrec.cache and llmrec.fingerprint are here: the same signatures."""

from __future__ import annotations

import hashlib
import inspect
import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any


def key_of(content: Any) -> str:
    """Return the sha256 of canonical JSON."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Cache:
    """Bytes by key in one SQLite file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def _open(self) -> Any:
        db = sqlite3.connect(self.path, 60)
        db.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB)")
        return closing(db)

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return what is there."""
        found = {}
        with self._open() as db:
            for key in keys:
                row = db.execute("SELECT value FROM entries WHERE key = ?", (key,)).fetchone()
                if row:
                    found[key] = row[0]
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keep the entries."""
        with self._open() as db, db:
            db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?)", entries.items())


def code_of(*objects: Any) -> str:
    """Return the sha256 of the sources of functions, and of classes with their bases."""
    digest = hashlib.sha256()
    for thing in objects:
        for one in inspect.getmro(thing) if inspect.isclass(thing) else (thing,):
            if one.__module__ not in ("builtins", "abc"):
                try:
                    digest.update(inspect.getsource(one).encode())
                except OSError as error:
                    raise TypeError(f"{one!r} has no source") from error
    return digest.hexdigest()

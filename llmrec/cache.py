"""Files that are whole or absent: keys, atomic writes, and one cache of slow results."""

import hashlib
import json
import os
import secrets
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

LOCK_SECONDS = 60.0  # how long one process waits for another's write
# SQLite's codes for wrong bytes. All else (permission, open files, disk, lock) may pass by itself.
_DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def key_of(content: object) -> str:
    """Return the sha256 of content written as canonical JSON: 64 hex digits."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file, creating its folder, so that a reader sees the old bytes or all the new ones.

    It is written beside the old file under a name that nobody can foresee, and so not link to
    another file, then renamed over it. The umask decides its mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
    try:
        with open(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(handle)  # else a power cut may leave the new name with no bytes
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: object) -> None:
    """Write sorted, indented JSON with `write_atomic`."""
    write_atomic(path, json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


class Cache:
    """Slow results by key in one SQLite file, which several processes may read and fill at once.

    The sha256 of key and value stands beside each value. A damaged entry reads as absent; a damaged
    file is renamed ``<name>.damaged``; each with a warning. The first `put` makes the file. `get`
    and `put` raise OSError when it can be neither read nor written just now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def get(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Return the values of those keys that are there."""
        found: dict[str, bytes] = {}
        select = "SELECT sha256, value FROM entries WHERE key = ?"

        def read(db: sqlite3.Connection) -> None:
            for key in keys:
                for stamp, value in db.execute(select, (key,)):
                    if isinstance(value, bytes) and stamp == _stamp(key, value):
                        found[key] = value
                    else:
                        _warn(f"{self.path}: a damaged cache entry is computed again")

        if self.path.exists():
            self._run("BEGIN", read)
        return found

    def put(self, entries: Mapping[str, bytes]) -> None:
        """Keep the entries, all or none; a key that is there gets its new value."""
        rows = [(key, _stamp(key, value), value) for key, value in entries.items()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        replace = "REPLACE INTO entries VALUES (?, ?, ?)"
        self._run("BEGIN IMMEDIATE", lambda db: db.executemany(replace, rows))

    def _run(self, begin: str, work: Callable[[sqlite3.Connection], object]) -> None:
        table = "CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, sha256 BLOB, value BLOB)"
        if not self.path.exists():
            self.path.touch()  # SQLite would make it 0644 whatever the umask allows
        try:  # one connection a call: a connection must not be carried into a forked process
            with closing(sqlite3.connect(self.path, LOCK_SECONDS, isolation_level=None)) as db:
                db.text_factory = bytes  # damaged text must not raise while it is read
                db.execute("PRAGMA page_size = 16384")  # vectors of 1.5 kB waste less of a page
                db.execute(table)
                db.execute(begin)
                work(db)
                db.execute("COMMIT")
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGE:
                raise OSError(f"cannot use the cache file {self.path}: {error}") from error
            _warn(f"{self.path}: damaged cache file set aside, computed again ({error})")
            for end in ("-journal", ""):  # a journal left there would undo the next file's pages
                with suppress(FileNotFoundError):
                    os.replace(f"{self.path}{end}", f"{self.path}.damaged{end}")
            self._run(begin, work)


def _stamp(key: str, value: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + value).digest()


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)

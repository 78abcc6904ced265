"""Slow results kept on disk: append-only shards that survive an interrupted run."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar


def key_of(*parts: Any) -> str:
    """Return 32 hex digits of the sha256 of the parts, written as JSON."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


class Shards(ABC):
    """A mapping kept in a folder, which several processes may fill at once.

    Each `add` writes one shard aside and renames it; its name is the sha256 of its bytes, so that
    a damaged shard is recognised, dropped with a warning, and its entries are computed again.

    Parameters
    ----------
    folder:
        Where the shards live; made when the first is written.
    """

    suffix: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[Any, Any] = {}
        self._names: set[str] = set()

    @abstractmethod
    def pack(self, entries: Mapping[Any, Any]) -> bytes:
        """Return the bytes of one shard."""

    @abstractmethod
    def unpack(self, data: bytes) -> Mapping[Any, Any]:
        """Return the entries of one shard; raises ValueError when they are not as expected."""

    def read(self) -> dict[Any, Any]:
        """Return everything known, what other processes wrote since the last look included."""
        for path in sorted(self.folder.glob(f"*{self.suffix}")) if self.folder.is_dir() else ():
            if path.name in self._names:
                continue
            try:
                data = path.read_bytes()
                if hashlib.sha256(data).hexdigest() != path.stem:
                    raise ValueError("its bytes do not match its name")
                self._entries.update(self.unpack(data))
                self._names.add(path.name)
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
        return self._entries

    def add(self, entries: Mapping[Any, Any]) -> None:
        """Keep the entries in one new shard; nothing is written when there are none."""
        if not entries:
            return
        data = self.pack(entries)
        name = f"{hashlib.sha256(data).hexdigest()}{self.suffix}"
        self.folder.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=self.folder, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(aside, self.folder / name)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        self._entries.update(entries)
        self._names.add(name)


class JsonShards(Shards):
    """Shards of JSON values under text keys."""

    suffix = ".json"

    def pack(self, entries: Mapping[str, Any]) -> bytes:
        return json.dumps(entries, sort_keys=True).encode()

    def unpack(self, data: bytes) -> dict[str, Any]:
        return dict(json.loads(data))

"""A cache, an index of one small wheel, a table of sources and a web server, for every test."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmrec import config, fetch
from llmrec.fetch import sources, store

FILES = {"a.txt": b"first member\n", "sub/b.bin": bytes(range(256)) * 8}
OTHER = {**FILES, "a.txt": b"other bytes!\n"}  # of the same size


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_zip(path: Path, folder: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{folder}/{name}", data)
    return path


def make_wheel(folder: Path) -> Path:
    """A wheel whose code must never run."""
    path = folder / "tiny_source-1.0-py3-none-any.whl"
    make_zip(path, "tiny_source", {**FILES, "__init__.py": b"raise SystemExit('imported')"})
    with zipfile.ZipFile(path, "a") as archive:
        info = "tiny_source-1.0.dist-info"
        archive.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: tiny-source\nVersion: 1.0\nRequires-Dist: nothing-here\n",
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return path


class Place:
    """A cache, an index of one wheel and a table of sources, all in one temporary folder."""

    files, other = FILES, OTHER

    def __init__(self, root: Path) -> None:
        self.root, self.index, self.cache = root, root / "index", root / "cache"
        self.table = root / "sources.yml"
        self.index.mkdir()
        self.wheel = make_wheel(self.index)
        self.folder = self.cache / "sources" / "tiny-1.0"
        self.staging = self.folder.with_name(".tiny-1.0")
        self.entry: dict[str, Any] = {
            "title": "Tiny",
            "licence": "CC0-1.0",
            "archive": {
                "package": "tiny-source",
                "version": "1.0",
                "sha256": digest(self.wheel.read_bytes()),
                "folder": "tiny_source",
            },
            "members": self.members(),
        }
        self.write()

    def write(self, **others: dict) -> None:
        """Write the table: `entry` as "tiny", and others."""
        self.table.write_text(yaml.safe_dump({"tiny": self.entry, **others}), encoding="utf-8")
        sources.read_table.cache_clear()

    def members(self, files: dict[str, bytes] = FILES, **more: str) -> dict[str, dict]:
        """Entries of the table for files."""
        return {
            name: {"size": len(data), "sha256": digest(data), **more}
            for name, data in files.items()
        }

    def by_address(self, web: str) -> None:
        """Let the table know no archive, only an address for each member."""
        del self.entry["archive"]
        self.entry["version"] = "1.0"
        for name, pinned in self.entry["members"].items():
            pinned["url"] = f"{web}/{name}"
        self.write()

    def zip_files(self, path: Path, files: dict[str, bytes] = FILES) -> Path:
        """Write a zip file that keeps the files under ``data/``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return make_zip(path, "data", files)

    def put(self, folder: Path, files: dict[str, bytes] = FILES) -> Path:
        """Write the files into a folder."""
        for name, data in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder

    def check(self, folder: Path) -> None:
        """Assert that a folder holds the members, whole, and nothing else."""
        found = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        assert found == FILES


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    place = Place(tmp_path)
    monkeypatch.setattr(sources, "TABLE", place.table)
    monkeypatch.setenv(config.CACHE_VARIABLE, str(place.cache))
    monkeypatch.delenv(config.MIRROR_VARIABLE, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place.index))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(store, "_verified", {})
    return place


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("pip was started")

    monkeypatch.setattr(store.subprocess, "run", refuse)


@pytest.fixture
def web(place: Place) -> Iterator[str]:
    """The folder ``web`` served over http; yields its address."""
    folder = place.root / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def failure() -> Callable[[str], str]:
    """Check that ``get`` fails in one line that matches, and return it."""

    def failure(match: str) -> str:
        with pytest.raises(fetch.FetchError, match=match) as caught:
            fetch.get("tiny")
        message = str(caught.value)
        assert "\n" not in message
        return message

    return failure

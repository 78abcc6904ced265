"""Addresses, on a real web server, and what pip says."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec import config, fetch
from llmrec.fetch import store

# Canonical addresses


def test_members_come_from_their_addresses(place: Any, web: str) -> None:
    place.put(place.root / "web")
    place.by_address(web)
    place.check(fetch.get("tiny"))


def test_an_address_stands_in_when_pip_finds_nothing(place: Any, web: str) -> None:
    place.wheel.unlink()
    place.put(place.root / "web")
    for name, pinned in place.entry["members"].items():
        pinned["url"] = f"{web}/{name}"
    place.write()
    place.check(fetch.get("tiny"))


def test_an_address_with_other_bytes_or_none(
    failure: Callable[[str], str], place: Any, web: str
) -> None:
    place.put(place.root / "web", place.other)
    place.by_address(web)
    failure(r"a\.txt has not the pinned sha256")
    assert [path.name for path in place.folder.rglob("*") if path.is_file()] == ["b.bin"]
    (place.root / "web/a.txt").unlink()
    failure(r"a\.txt cannot be reached \(HTTPError\).*or put a\.txt into")
    (place.root / "web/sub/b.bin").unlink()  # got already: the next run asks for the rest only
    (place.root / "web/a.txt").write_bytes(place.files["a.txt"])
    place.check(fetch.get("tiny"))


def test_an_address_nobody_answers(failure: Callable[[str], str], place: Any) -> None:
    place.by_address("http://127.0.0.1:9")
    failure(r"127\.0\.0\.1:9/a\.txt cannot be reached \(ConnectionError\)")


def test_a_zip_at_an_address_or_repacked_in_the_mirror(
    failure: Callable[[str], str], place: Any, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = place.zip_files(place.root / "web" / "all.zip")
    place.entry["archive"] = {"folder": "data", "url": f"{web}/all.zip"}
    place.entry["version"] = "1.0"
    place.write()
    place.check(fetch.get("tiny"))
    shutil.rmtree(place.folder)
    original.unlink()
    mirror = place.root / "mirror" / "tiny"
    place.zip_files(mirror / "all.zip", {"extra": b"", **place.files})
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    place.check(fetch.get("tiny"))
    shutil.rmtree(place.folder)
    (mirror / "all.zip").write_bytes(b"no zip")
    failure(r"all\.zip is not the expected archive")


# What pip says


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("ERROR: Exception:\nOSError: [Errno 28] full", r"1.0 \(OSError: \[Errno 28\] full\)"),
        ("ERROR: Exception:\nRuntimeError: odd", r"tiny-source==1.0 \(RuntimeError: odd\)"),
        ("ERROR: no such version\nWARNING: x", r"tiny-source==1.0 \(ERROR: no such version\)"),
        ("No module named pip", r"tiny-source==1.0 \(No module named pip\)"),
        ("", r"tiny-source==1.0 \(exit status 2, no message\)"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_pip_line_is_told_in_one_line(
    failure: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    match: str,
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{line}' >&2\nexit 2\n")
    script.chmod(0o755)
    monkeypatch.setattr(store.sys, "executable", str(script))
    failure(match)

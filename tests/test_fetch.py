"""`llmrec.fetch`: real pip, real processes and a real web server, on a wheel of a few bytes."""

from __future__ import annotations

import errno
import functools
import hashlib
import http.server
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmrec import config, fetch
from llmrec.fetch import sources, store, transfer

FILES = {"a.txt": b"first member\n", "sub/b.bin": bytes(range(256)) * 8}


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


def members(files: dict[str, bytes] | None = None, **more: str) -> dict[str, dict]:
    files = FILES if files is None else files
    return {
        name: {"size": len(data), "sha256": digest(data), **more} for name, data in files.items()
    }


class Place:
    """A cache, an index of one wheel and a table of sources, all in one temporary folder."""

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
                "size": self.wheel.stat().st_size,
                "folder": "tiny_source",
            },
            "members": members(),
        }
        self.write()

    def write(self, **others: dict) -> None:
        self.table.write_text(yaml.safe_dump({"tiny": self.entry, **others}), encoding="utf-8")
        sources.read_table.cache_clear()


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

    monkeypatch.setattr(transfer.subprocess, "Popen", refuse)


@pytest.fixture
def web(place: Place):
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


def assert_whole(folder: Path) -> None:
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert found == FILES


# From a wheel


def test_get_unzips_only_the_members_and_never_imports_the_wheel(place: Place) -> None:
    folder = fetch.get("tiny")
    assert folder == place.folder
    assert_whole(folder)
    assert importlib.util.find_spec("tiny_source") is None
    assert not place.staging.exists()


@pytest.mark.usefixtures("no_pip")
def test_a_second_get_needs_no_pip_and_no_writable_cache(place: Place) -> None:
    make_members(place.folder)
    stamps = {path: path.stat().st_mtime_ns for path in place.cache.rglob("*")}
    assert fetch.get("tiny") == place.folder
    assert {path: path.stat().st_mtime_ns for path in place.cache.rglob("*")} == stamps


def make_members(folder: Path, files: dict[str, bytes] | None = None) -> Path:
    for name, data in (FILES if files is None else files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("damage", ["same size", "same size and time", "half", "gone"])
def test_a_damaged_member_is_noticed_and_fetched_again(
    place: Place, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_members(place.folder)
    fetch.get("tiny")
    victim, other = place.folder / "sub/b.bin", place.folder / "a.txt"
    before, stat = other.stat(), victim.stat()
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(b"?" * (stat.st_size // (2 if damage == "half" else 1)))
    if damage == "same size and time":  # invisible inside the process that has checked it already
        os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        monkeypatch.setattr(store, "_verified", {})
    assert_whole(fetch.get("tiny"))
    assert other.stat().st_ino == before.st_ino  # what was whole is not written again


def test_each_file_is_hashed_once_a_process(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    make_members(place.folder)
    hashed: list[str] = []
    original = transfer.sha256

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return original(path)

    monkeypatch.setattr(transfer, "sha256", counted)
    for _ in range(3):
        fetch.get("tiny")
    assert sorted(hashed) == ["a.txt", "b.bin"]


# What goes wrong gives one line and leaves the cache usable


def failure(match: str) -> str:
    with pytest.raises(fetch.FetchError, match=match) as caught:
        fetch.get("tiny")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_no_index_says_what_to_put_where(place: Place) -> None:
    place.wheel.rename(place.root / "elsewhere.whl")
    message = failure("cannot fetch 'tiny': pip cannot download tiny-source==1.0")
    assert message.endswith("or put a.txt, sub/b.bin into $LLMREC_MIRROR/tiny")
    assert list(place.folder.iterdir()) == []
    (place.root / "elsewhere.whl").rename(place.wheel)
    assert_whole(fetch.get("tiny"))


def test_a_wheel_of_another_hash_is_refused(place: Place) -> None:
    good = place.entry["archive"]["sha256"]
    place.entry["archive"]["sha256"] = "0" * 64
    place.write()
    failure(f"wheel tiny-source==1.0 has sha256 {good}, not the pinned 0{{64}}")
    assert not list(place.staging.glob("*.whl"))
    place.entry["archive"]["sha256"] = good
    place.write()
    assert_whole(fetch.get("tiny"))


def test_a_member_of_another_hash_is_refused_and_not_left_behind(place: Place) -> None:
    good = place.entry["members"]["sub/b.bin"]["sha256"]
    place.entry["members"]["sub/b.bin"]["sha256"] = "f" * 64
    place.write()
    failure(f"member sub/b.bin has sha256 {good}, not the pinned f{{64}}")
    assert not (place.folder / "sub/b.bin").exists()
    place.entry["members"]["sub/b.bin"]["sha256"] = good
    place.write()
    assert_whole(fetch.get("tiny"))


def test_a_member_that_the_wheel_lacks(place: Place) -> None:
    place.entry["members"]["c.txt"] = {"size": 1, "sha256": "0" * 64}
    place.write()
    failure("is not the expected archive .*tiny_source/c.txt")


def test_a_full_disk_is_told_and_the_downloaded_wheel_is_used_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(read: object, write: object, *_: object) -> None:
        write.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "copyfileobj", full)
        failure("cannot store 'tiny' in .*No space left on device; up to 0 MB are needed")
    assert list(place.folder.iterdir()) == []
    place.wheel.unlink()  # the index is gone: only the kept wheel can serve
    assert_whole(fetch.get("tiny"))


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ("ERROR: Exception:\nOSError: [Errno 28] full", "cannot store 'tiny' in .*No space left"),
        ("ERROR: Exception:\nRuntimeError: odd", r"tiny-source==1.0 \(RuntimeError: odd\)"),
        ("ERROR: no such version\nWARNING: x", r"tiny-source==1.0 \(ERROR: no such version\)"),
        ("No module named pip", r"tiny-source==1.0 \(No module named pip\)"),
        ("", r"tiny-source==1.0 \(exit status 2, no message\)"),
    ],
)
@pytest.mark.usefixtures("place")
def test_what_pip_said_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, match: str
) -> None:
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\nprintf '%s' '{said}' >&2\nexit 2\n")
    script.chmod(0o755)
    monkeypatch.setattr(transfer.sys, "executable", str(script))
    failure(match)


def test_what_a_killed_run_left_half_written_is_replaced(place: Place) -> None:
    place.staging.mkdir(parents=True)
    (place.staging / place.wheel.name).write_bytes(place.wheel.read_bytes()[:50])
    (place.staging / "part").write_bytes(b"hal")
    (place.staging / "pip").mkdir()
    (place.staging / "pip" / "rest").write_bytes(b"x")
    assert_whole(fetch.get("tiny"))
    assert not place.staging.exists()


def test_a_file_where_the_cache_folder_should_be(place: Place) -> None:
    place.folder.parent.mkdir(parents=True)
    place.folder.write_text("in the way")
    failure("cannot store 'tiny' in .*File exists")


# Several processes

WORKER = """
import sys
from pathlib import Path
from llmrec import fetch
from llmrec.fetch import sources, transfer
sources.TABLE = Path(sys.argv[1])
bring = transfer.bring_archive
def counted(*args, **kwargs):
    with open(sys.argv[2], "a") as log:
        log.write("x")
    return bring(*args, **kwargs)
transfer.bring_archive = counted
print(fetch.get("tiny"))
"""


def test_processes_at_once_download_once_and_all_get_it(place: Place) -> None:
    log = place.root / "downloads"
    command = [sys.executable, "-c", WORKER, str(place.table), str(log)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [worker.communicate()[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert set(answers) == {str(place.folder)}
    assert_whole(place.folder)
    assert log.read_text() == "x"


def test_a_process_that_died_with_the_lock_blocks_nobody(place: Place) -> None:
    place.folder.parent.mkdir(parents=True)
    script = (
        "import os, sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "os._exit(1)"
    )
    lock = place.folder.with_name(".tiny-1.0.lock")
    subprocess.run([sys.executable, "-c", script, str(lock)], check=False)
    assert lock.exists()
    assert_whole(fetch.get("tiny"))


# The mirror


@pytest.mark.usefixtures("no_pip")
def test_the_mirror_comes_first_and_is_used_in_place(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = make_members(place.root / "mirror" / "tiny")
    make_members(place.folder)
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    assert fetch.get("tiny") == mirror


@pytest.mark.usefixtures("no_pip")
def test_the_table_may_name_another_mirror_folder(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = make_members(place.root / "mirror" / "else" / "where")
    place.entry["mirror"] = "else/where"
    place.write()
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(place.root / "mirror"))
    assert fetch.get("tiny") == mirror


@pytest.mark.parametrize(
    "files", [{"a.txt": FILES["a.txt"]}, {**FILES, "a.txt": b"other bytes!\n"}]
)
def test_a_mirror_with_gaps_or_other_bytes_is_passed_over(
    place: Place, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]
) -> None:
    mirror = make_members(place.root / "mirror" / "tiny", files)
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    assert fetch.get("tiny") == place.folder
    assert_whole(place.folder)


def test_a_mirror_that_is_no_folder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(place.table / "none"))
    with pytest.raises(NotADirectoryError, match=r"LLMREC_MIRROR=.* is not a folder"):
        fetch.get("tiny")


# Canonical addresses


def test_members_come_from_their_addresses(place: Place, web: str) -> None:
    make_members(place.root / "web")
    place.entry["members"] = {
        name: {**pinned, "url": f"{web}/{name}"} for name, pinned in members().items()
    }
    del place.entry["archive"]
    place.entry["version"] = "1.0"
    place.write()
    assert_whole(fetch.get("tiny"))


def test_an_address_stands_in_when_pip_finds_nothing(place: Place, web: str) -> None:
    place.wheel.unlink()
    make_members(place.root / "web")
    for name, pinned in place.entry["members"].items():
        pinned["url"] = f"{web}/{name}"
    place.write()
    assert_whole(fetch.get("tiny"))


def test_an_address_with_other_bytes_or_none(place: Place, web: str) -> None:
    make_members(place.root / "web", {**FILES, "a.txt": b"other bytes!\n"})
    place.entry["members"] = {
        name: {**pinned, "url": f"{web}/{name}"} for name, pinned in members().items()
    }
    del place.entry["archive"]
    place.entry["version"] = "1.0"
    place.write()
    failure(r"a\.txt has not the pinned sha256")
    assert [path.name for path in place.folder.rglob("*") if path.is_file()] == ["b.bin"]
    (place.root / "web/a.txt").unlink()
    failure(r"a\.txt cannot be reached \(HTTPError\).*or put a\.txt into")
    (place.root / "web/sub/b.bin").unlink()  # got already: the next run asks for the rest only
    make_members(place.root / "web", {"a.txt": FILES["a.txt"]})
    assert_whole(fetch.get("tiny"))


def test_an_address_nobody_answers(place: Place) -> None:
    place.entry["members"] = members(url="http://127.0.0.1:9/nothing")
    del place.entry["archive"]
    place.write()
    failure(r"127\.0\.0\.1:9/nothing cannot be reached \(ConnectionError\)")


def test_a_zip_at_an_address_or_repacked_in_the_mirror(
    place: Place, web: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_zip(place.root / "web" / "all.zip", "data", FILES)
    place.entry["archive"] = {"folder": "data", "url": f"{web}/all.zip"}
    place.entry["version"] = "1.0"
    place.write()
    assert_whole(fetch.get("tiny"))
    shutil.rmtree(place.folder)
    original.unlink()
    mirror = place.root / "mirror" / "tiny"
    mirror.mkdir(parents=True)
    make_zip(mirror / "all.zip", "data", {"extra": b"", **FILES})
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    assert_whole(fetch.get("tiny"))
    shutil.rmtree(place.folder)
    (mirror / "all.zip").write_bytes(b"no zip")
    failure(r"all\.zip is not the expected archive")


# Several sources, and the table


def test_status_and_fetch_all(place: Place) -> None:
    place.write(second={**place.entry, "members": members({"a.txt": FILES["a.txt"]})})
    size = sum(map(len, FILES.values()))
    assert fetch.available() == ("second", "tiny")
    assert [row.present for row in fetch.status()] == [False, False]
    assert fetch.fetch_all(["tiny"]) == {"tiny": place.folder}
    assert fetch.status()[1] == fetch.Status("tiny", "Tiny", "CC0-1.0", size, present=True)
    assert list(fetch.fetch_all(progress=False)) == ["second", "tiny"]
    assert all(row.present for row in fetch.status())
    (place.folder / "a.txt").write_bytes(b"")
    assert not fetch.status()[1].present


@pytest.mark.usefixtures("no_pip")
def test_an_unknown_name_is_refused_before_anything_is_fetched(place: Place) -> None:
    with pytest.raises(ValueError, match="no source is named 'tinny': choose from tiny"):
        fetch.get("tinny")
    with pytest.raises(ValueError, match="no source is named 'tinny'"):
        fetch.fetch_all(["tiny", "tinny"])


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"members": {"../x": {"size": 1, "sha256": "0" * 64}}}, "'../x' leaves its folder"),
        ({"members": {"/etc/x": {"size": 1, "sha256": "0" * 64}}}, "'/etc/x' leaves its folder"),
        ({"members": {"x": {"size": 1, "sha256": "abc"}}}, "x: sha256 'abc' is not 64"),
        ({"members": {"x": {"size": 1, "sha": "0" * 64}}}, "unexpected keyword argument 'sha'"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"archive": {"folder": "f"}}, "give package and version, or url"),
        ({"archive": {"folder": "f", "package": "p", "version": "1"}}, "p==1: a wheel needs its"),
    ],
)
def test_a_faulty_table_names_the_source(place: Place, change: dict, match: str) -> None:
    place.entry |= change
    place.write()
    with pytest.raises(ValueError, match=rf"sources\.yml: source 'tiny': .*{match}"):
        fetch.available()


def test_a_source_without_archive_needs_addresses(place: Place) -> None:
    del place.entry["archive"]
    place.write()
    with pytest.raises(ValueError, match="without an archive every member needs a url"):
        fetch.status()


def test_the_shipped_table() -> None:
    table = sources.read_table(Path(sources.__file__).parents[1] / "sources.yml")
    assert list(table) == ["minilm", "smollm2", "movielens-100k", "films", "complete-journey"]
    minilm = {member.path: member.sha256 for member in table["minilm"].members}
    assert minilm["model.safetensors"] == (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
    assert "1_Pooling/config.json" in minilm
    paths = [member.path for source in table.values() for member in source.members]
    assert "promotions.parquet" not in paths
    assert all(source.archive and source.archive.package for source in table.values())
    assert all(member.size > 0 for source in table.values() for member in source.members)


@pytest.mark.component
@pytest.mark.parametrize("name", ["movielens-100k", "films"])
def test_real_sources(name: str) -> None:
    folder = fetch.get(name)
    for member in sources.find(name).members:
        assert transfer.sha256(folder / member.path) == member.sha256

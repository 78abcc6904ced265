import numpy as np
import pytest

from llmrec.encoders import HashEncoder, RandomEncoder, ShuffledEncoder

TEXTS = [f"word{i}" for i in range(40)]


class TestRandom:
    def test_depends_on_text_and_seed_only(self):
        got = RandomEncoder().encode(TEXTS)
        np.testing.assert_array_equal(RandomEncoder().encode(TEXTS[::-1])[::-1], got)
        np.testing.assert_array_equal(RandomEncoder().encode(TEXTS[7:8])[0], got[7])
        assert not np.allclose(RandomEncoder(seed=1).encode(TEXTS), got)
        assert RandomEncoder(seed=1).fingerprint != RandomEncoder().fingerprint

    def test_nearly_orthogonal(self):
        got = RandomEncoder(dim=2000).encode(TEXTS)
        assert np.abs(got @ got.T - np.eye(len(TEXTS))).max() < 0.12

    def test_bad_dim(self):
        with pytest.raises(ValueError, match="dim 0"):
            RandomEncoder(dim=0)


class TestShuffled:
    def test_same_vectors_none_in_its_place(self):
        base = HashEncoder(dim=4096)
        plain, moved = base.encode(TEXTS), ShuffledEncoder(base).encode(TEXTS)
        assert sorted(map(tuple, plain)) == sorted(map(tuple, moved))
        assert not (plain == moved).all(axis=1).any()

    def test_depends_on_the_set_of_texts_and_the_seed(self):
        base = HashEncoder()
        got = ShuffledEncoder(base).encode(TEXTS)
        np.testing.assert_array_equal(ShuffledEncoder(base).encode(TEXTS[::-1])[::-1], got)
        repeated = ShuffledEncoder(base).encode([*TEXTS, TEXTS[0]])
        np.testing.assert_array_equal(repeated, [*got, got[0]])
        assert not np.array_equal(ShuffledEncoder(base, seed=1).encode(TEXTS), got)

    def test_two_texts_swap(self):
        base = HashEncoder(dim=4096)
        swapped = ShuffledEncoder(base).encode(["apple", "whale"])
        np.testing.assert_array_equal(swapped, base.encode(["whale", "apple"]))

    def test_identity(self):
        base = HashEncoder()
        shuffled = ShuffledEncoder(base, seed=3)
        assert shuffled.name == "shuffled hash"
        assert shuffled.dim == 1024
        assert shuffled.count_tokens("two words") == 2
        assert shuffled.fingerprint not in (base.fingerprint, ShuffledEncoder(base).fingerprint)

    def test_needs_a_base(self):
        with pytest.raises(ValueError, match="pass base=encoder"):
            ShuffledEncoder()
        with pytest.raises(ValueError, match="not 'minilm'"):
            ShuffledEncoder("minilm")

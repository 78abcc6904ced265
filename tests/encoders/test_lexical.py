import math

import numpy as np
import pytest

from llmrec.encoders import Bm25Encoder, HashEncoder, TfidfEncoder, get_encoder

CORPUS = ["red apple", "green apple", "red red car"]


def unit(values):
    return np.array(values) / np.linalg.norm(values)


def test_tfidf_by_hand():
    encoder = TfidfEncoder(CORPUS)
    rare, common = 1 + math.log(4 / 2), 1 + math.log(4 / 3)  # words: apple car green red
    got = encoder.encode(["red apple", "car car red", "unknown"])
    np.testing.assert_allclose(got[0], unit([common, 0, 0, common]), rtol=1e-6)
    np.testing.assert_allclose(got[1], unit([0, 2 * rare, 0, common]), rtol=1e-6)
    assert not got[2].any()


def test_bm25_by_hand():
    encoder = Bm25Encoder(CORPUS)
    idf_red, idf_car = math.log(1 + 1.5 / 2.5), math.log(1 + 2.5 / 1.5)
    norm = 1.2 * (0.25 + 0.75 * 3 / (7 / 3))
    want = unit([0, idf_car * 2.2 / (1 + norm), 0, idf_red * 2 * 2.2 / (2 + norm)])
    np.testing.assert_allclose(encoder.encode(["red red car"])[0], want, rtol=1e-6)


def test_bm25_saturates():
    encoder = Bm25Encoder(CORPUS, b=0.0)
    once, many = encoder.encode(["red car", "red red red red red red red red car"])
    assert 1 < (many[3] / many[1]) / (once[3] / once[1]) < 2.2


def test_hash_needs_no_corpus():
    encoder = get_encoder("hash")
    a, b, c = encoder.encode(["red apple", "apple red", "blue whale"])
    assert encoder.dim == 1024
    np.testing.assert_array_equal(a, b)
    assert abs(a @ c) < 1e-6


@pytest.mark.parametrize("name", ["tfidf", "bm25", "hash"])
def test_dense_unit_float32_and_batch_equals_single(name):
    encoder = get_encoder(name, corpus=CORPUS)
    got = encoder.encode([*CORPUS, ""])
    assert got.dtype == np.float32
    assert got.shape == (4, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(got, axis=1), [1, 1, 1, 0], rtol=1e-6)
    for text, row in zip(CORPUS, got, strict=False):
        np.testing.assert_array_equal(encoder.encode([text])[0], row)
    assert encoder.count_tokens("Red, apple!") == 2


@pytest.mark.parametrize("make", [TfidfEncoder, Bm25Encoder])
def test_fitted_encoders(make):
    assert make(CORPUS, max_features=2).dim == 2
    assert make(CORPUS).fingerprint == make(list(CORPUS)).fingerprint
    assert make(CORPUS).fingerprint != make([*CORPUS, "red"]).fingerprint
    with pytest.raises(ValueError, match="pass corpus=texts"):
        make()
    with pytest.raises(ValueError, match="pass corpus=texts"):
        make(["", " "])
    with pytest.raises(ValueError, match="pass corpus=texts"):
        make("one text")
    with pytest.raises(ValueError, match="max_features 0"):
        make(CORPUS, max_features=0)


def test_bad_constants():
    with pytest.raises(ValueError, match="bm25 needs k1 ≥ 0"):
        Bm25Encoder(CORPUS, k1=-1)
    with pytest.raises(ValueError, match="0 ≤ b ≤ 1"):
        Bm25Encoder(CORPUS, b=2)
    with pytest.raises(ValueError, match="dim 0"):
        HashEncoder(dim=0)

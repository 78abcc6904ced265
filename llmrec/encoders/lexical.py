"""Words without a language model: TF-IDF, BM25 and hashed words, the baselines of every
text gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

from llmrec.cache import key_of
from llmrec.encoders.base import Batch, Encoder

_ROWS = 4096  # dense rows made at once


class _WordEncoder(Encoder):
    """An encoder made of a scikit-learn vectoriser, with dense output."""

    _vectorizer: Any

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        return counts

    def count_tokens(self, text: str) -> int:
        return len(self._vectorizer.build_analyzer()(text))

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        for start in range(0, len(texts), _ROWS):
            part = texts[start : start + _ROWS]
            rows = self._weigh(self._vectorizer.transform(part))
            yield np.arange(start, start + len(part)), rows.toarray().astype(np.float32)


class _FittedEncoder(_WordEncoder):
    """Learns its words from a corpus; `max_features` keeps the most frequent ones."""

    def __init__(self, vectorizer: Any, corpus: Sequence[str] | None, max_features: int):
        if corpus is None or isinstance(corpus, str) or not any(text.strip() for text in corpus):
            raise ValueError(
                f"encoder {self.name!r} learns its words from a corpus: pass corpus=texts, a list "
                "with at least one text that is not empty"
            )
        if max_features < 1:
            raise ValueError(f"max_features {max_features} is not a positive number of words")
        self._vectorizer = vectorizer
        self._counts = self._vectorizer.fit_transform(corpus)

    @property
    def dim(self) -> int:
        return len(self._vectorizer.vocabulary_)

    def _statistics(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def fingerprint(self) -> str:
        words = self._vectorizer.get_feature_names_out().tolist()
        return key_of([self.name, words, self._statistics().tolist()])


class TfidfEncoder(_FittedEncoder):
    """TF-IDF: tf · (1 + ln((1 + N) / (1 + df))), unit rows, ``(n, ≤ max_features)``.

    Parameters
    ----------
    corpus:
        The N texts to learn words and document frequencies from.
    max_features:
        Keep this many of the most frequent words.
    """

    name = "tfidf"

    def __init__(self, corpus: Sequence[str] | None = None, max_features: int = 4096):
        super().__init__(TfidfVectorizer(max_features=max_features), corpus, max_features)

    def _statistics(self) -> np.ndarray:
        return np.asarray(self._vectorizer.idf_, np.float64)


class Bm25Encoder(_FittedEncoder):
    """BM25's document weighting as a vector: words saturate, long texts are discounted.

    w(t, d) = idf(t) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · |d| / avgdl)),
    idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)); |d| counts the kept words of d and avgdl is its
    mean over the corpus. Unit rows, ``(n, ≤ max_features)``.

    Parameters
    ----------
    corpus:
        The N texts to learn words, document frequencies and the mean length from.
    max_features:
        Keep this many of the most frequent words.
    k1, b:
        Saturation of repeated words (≥ 0), discount of length (0 … 1).

    References
    ----------
    Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
    """

    name = "bm25"

    def __init__(
        self,
        corpus: Sequence[str] | None = None,
        max_features: int = 4096,
        k1: float = 1.2,
        b: float = 0.75,
    ):
        if k1 < 0 or not 0 <= b <= 1:
            raise ValueError(f"bm25 needs k1 ≥ 0 and 0 ≤ b ≤ 1, not k1={k1}, b={b}")
        super().__init__(CountVectorizer(max_features=max_features), corpus, max_features)
        self.k1, self.b = k1, b
        n, df = self._counts.shape[0], np.bincount(self._counts.indices, minlength=self.dim)
        self._idf = np.log1p((n - df + 0.5) / (df + 0.5))
        self._mean_length = max(float(self._counts.sum()) / n, 1.0)

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        rows = counts.astype(np.float64)
        length = np.repeat(np.asarray(rows.sum(axis=1)).ravel(), np.diff(rows.indptr))
        norm = self.k1 * (1 - self.b + self.b * length / self._mean_length)
        rows.data = self._idf[rows.indices] * rows.data * (self.k1 + 1) / (rows.data + norm)
        return rows

    def _statistics(self) -> np.ndarray:
        return np.array([*self._idf, self._mean_length, self.k1, self.b])


class HashEncoder(_WordEncoder):
    """Hashed words: word counts in ``dim`` buckets, no vocabulary to learn, unit rows.

    ``corpus`` is accepted, like that of the other lexical encoders, and not needed.
    """

    name = "hash"

    def __init__(self, corpus: Sequence[str] | None = None, dim: int = 1024):
        if dim < 1:
            raise ValueError(f"dim {dim} is not a positive number of buckets")
        self._dim = dim
        self._vectorizer = HashingVectorizer(n_features=dim)

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return key_of([self.name, self.dim])

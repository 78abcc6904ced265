"""What an encoder is, and a disk cache for any of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm import tqdm

from llmrec import config
from llmrec.cache import Cache, key_of
from llmrec.vectors import unit_rows

Batch = tuple[np.ndarray, np.ndarray]  # positions (b,), vectors (b, d)


class Encoder(ABC):
    """Texts in, unit vectors out.

    Attributes
    ----------
    name:
        Short name, for tables and progress bars.
    dim:
        Length ``d`` of a vector.
    fingerprint:
        Hex digits that change whenever the vectors might: weights, pooling, precision, length.
    """

    name: str

    @property
    @abstractmethod
    def dim(self) -> int: ...

    @property
    @abstractmethod
    def fingerprint(self) -> str: ...

    @abstractmethod
    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Yield ``(positions, vectors)`` of distinct, non-empty texts until every one is done."""

    def count_tokens(self, text: str) -> int:
        """Count the tokens the encoder would read: the measure of a behaviour text's budget."""
        return len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return float32 ``(len(texts), dim)`` with unit rows; an empty text gives a zero row.

        Each distinct text is encoded once. A progress bar appears when it takes over three seconds.

        Raises
        ------
        ValueError
            When ``texts`` is one string, or holds something that is not a string.
        """
        if isinstance(texts, str):
            raise ValueError("encode() takes a list of texts, not one string: pass [text]")
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"text {row} is {type(text).__name__}, not a string: {text!r:.60}")
        distinct = list(dict.fromkeys(text for text in texts if text.strip()))
        vectors = np.zeros((len(distinct), self.dim), np.float32)
        with tqdm(total=len(distinct), desc=self.name, unit="text", delay=3, leave=False) as bar:
            for positions, batch in self.batches(distinct) if distinct else ():
                vectors[positions] = unit_rows(batch)
                bar.update(len(positions))
        of_text = dict(zip(distinct, vectors, strict=True))
        out = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            out[row] = of_text.get(text, 0)
        return out


class CachedEncoder(Encoder):
    """An encoder whose vectors are kept on disk, one entry a distinct text.

    Each batch is kept as soon as it is computed, so that an interrupted run goes on from there.

    Parameters
    ----------
    encoder:
        The encoder to keep the vectors of.
    path:
        File of the `Cache`; by default ``<cache>/vectors/<fingerprint>.sqlite``.
    """

    def __init__(self, encoder: Encoder, path: Path | None = None):
        self.encoder, self.name, self._path = encoder, encoder.name, path

    @property
    def dim(self) -> int:
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        return self.encoder.fingerprint

    @cached_property
    def cache(self) -> Cache:
        return Cache(self._path or config.cache_dir() / "vectors" / f"{self.fingerprint}.sqlite")

    def count_tokens(self, text: str) -> int:
        return self.encoder.count_tokens(text)

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        keys = [key_of(text) for text in texts]
        known = self.cache.get(keys)
        hits = np.array([i for i, key in enumerate(keys) if key in known], np.int64)
        misses = np.array([i for i, key in enumerate(keys) if key not in known], np.int64)
        if len(hits):
            yield hits, np.stack([np.frombuffer(known[keys[i]], np.float32) for i in hits])
        if len(misses):
            for positions, vectors in self.encoder.batches([texts[i] for i in misses]):
                new, rows = misses[positions], unit_rows(vectors)
                self.cache.put({keys[i]: row.tobytes() for i, row in zip(new, rows, strict=True)})
                yield new, rows

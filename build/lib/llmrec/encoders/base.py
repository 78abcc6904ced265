"""What an encoder is, and a disk cache for any of them."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save
from tqdm import tqdm

from llmrec import config
from llmrec.shards import Shards
from llmrec.vectors import unit_rows

Batch = tuple[np.ndarray, np.ndarray]  # positions (b,), vectors (b, d)


def fingerprint_of(**facts: object) -> str:
    """Return 32 hex digits of the sha256 of the facts, written as sorted JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


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
        places = _distinct(texts)
        distinct = list(places)
        vectors = np.zeros((len(distinct), self.dim), np.float32)
        with tqdm(total=len(distinct), desc=self.name, unit="text", delay=3, leave=False) as bar:
            for positions, batch in self.batches(distinct) if distinct else ():
                vectors[positions] = unit_rows(batch)
                bar.update(len(positions))
        out = np.zeros((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            if text.strip():
                out[row] = vectors[places[text]]
        return out


def _distinct(texts: Sequence[str]) -> dict[str, int]:
    """Map each distinct non-blank text to its position among them."""
    if isinstance(texts, str):
        raise ValueError("encode() takes a list of texts, not one string: pass [text]")
    places: dict[str, int] = {}
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"text {row} is {type(text).__name__}, not a string: {text!r:.60}")
        if text.strip():
            places.setdefault(text, len(places))
    return places


class VectorShards(Shards):
    """Shards of vectors under the sha256 of their texts: safetensors files.

    Each holds ``keys (n, 32)`` and ``vectors (n, dim)``, float32.

    Parameters
    ----------
    folder:
        Where the shards live.
    dim:
        Length of a vector.
    """

    suffix = ".safetensors"

    def __init__(self, folder: Path, dim: int) -> None:
        super().__init__(folder)
        self.dim = dim

    def pack(self, entries: Mapping[bytes, np.ndarray]) -> bytes:
        keys = np.frombuffer(b"".join(entries), np.uint8).reshape(-1, 32)
        vectors = np.stack(list(entries.values())).astype(np.float32)
        return save({"keys": keys, "vectors": vectors})

    def unpack(self, data: bytes) -> dict[bytes, np.ndarray]:
        try:
            tensors = load(data)
            keys, vectors = tensors["keys"], tensors["vectors"]
        except (SafetensorError, KeyError) as error:
            raise ValueError(str(error)) from error
        if keys.shape != (len(vectors), 32) or vectors.shape[1:] != (self.dim,):
            raise ValueError(f"keys {keys.shape} and vectors {vectors.shape} are not as expected")
        return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


class CachedEncoder(Encoder):
    """An encoder whose vectors are kept on disk, one entry a distinct text.

    Parameters
    ----------
    encoder:
        The encoder to keep the vectors of.
    folder:
        Where the `VectorShards` live; by default ``<cache>/embeddings/<fingerprint>``.
    """

    SHARD_TEXTS = 4096  # a run that is cut off loses at most this many

    def __init__(self, encoder: Encoder, folder: Path | None = None):
        self.encoder = encoder
        self.name = encoder.name
        self._folder = folder

    @property
    def dim(self) -> int:
        return self.encoder.dim

    @property
    def fingerprint(self) -> str:
        return self.encoder.fingerprint

    @cached_property
    def _shards(self) -> VectorShards:
        default = config.cache_dir() / "embeddings" / self.fingerprint
        return VectorShards(self._folder or default, self.dim)

    @property
    def folder(self) -> Path:
        return self._shards.folder

    def count_tokens(self, text: str) -> int:
        return self.encoder.count_tokens(text)

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        known = self._shards.read()
        keys = [hashlib.sha256(text.encode()).digest() for text in texts]
        hits = [i for i, key in enumerate(keys) if key in known]
        misses = [i for i, key in enumerate(keys) if key not in known]
        if hits:
            yield np.array(hits), np.stack([known[keys[i]] for i in hits])
        if not misses:
            return
        waiting: dict[bytes, np.ndarray] = {}
        try:
            for positions, vectors in self.encoder.batches([texts[i] for i in misses]):
                where = np.array(misses)[positions]
                rows = unit_rows(vectors)
                waiting.update(zip((keys[i] for i in where), rows, strict=True))
                if len(waiting) >= self.SHARD_TEXTS:
                    self._shards.add(waiting)
                    waiting = {}
                yield where, rows
        finally:  # also when the reader is interrupted: what is computed is kept
            self._shards.add(waiting)

"""Encoders that know nothing: a gain of text must beat them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from llmrec.cache import key_of
from llmrec.encoders.base import Batch, Encoder


class RandomEncoder(Encoder):
    """A random unit vector a text, drawn from the text's hash and the seed.

    The same text gets the same vector in every call; different texts get independent ones. It
    controls for "any distinct vector would do": identity without meaning.
    """

    name = "random"

    def __init__(self, dim: int = 384, seed: int = 0):
        if dim < 1:
            raise ValueError(f"dim {dim} is not a positive number")
        self._dim, self.seed = dim, seed

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def fingerprint(self) -> str:
        return key_of([self.name, self.dim, self.seed])

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        out = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            digest = hashlib.sha256(f"{self.seed}\0{text}".encode()).digest()
            rng = np.random.default_rng(int.from_bytes(digest, "little"))
            out[row] = rng.standard_normal(self.dim)
        yield np.arange(len(texts)), out


class ShuffledEncoder(Encoder):
    """The base encoder's vectors, handed to other texts of the same call.

    The distinct texts of one call are sorted and permuted in one random cycle, so that (for two
    or more) no text keeps its own vector. It controls for "the cloud of vectors has the right
    shape": geometry without meaning. Because it permutes within a call, batch ≠ single.
    """

    def __init__(self, base: Encoder | None = None, seed: int = 0):
        if not isinstance(base, Encoder):
            raise ValueError(
                "encoder 'shuffled' permutes another encoder's vectors: pass base=encoder, not "
                f"{base!r:.60}"
            )
        self.base, self.seed = base, seed
        self.name = f"shuffled {base.name}"

    @property
    def dim(self) -> int:
        return self.base.dim

    @property
    def fingerprint(self) -> str:
        return key_of(["shuffled", self.base.fingerprint, self.seed])

    def count_tokens(self, text: str) -> int:
        return self.base.count_tokens(text)

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        vectors = self.base.encode(texts)
        ranked = np.array(sorted(range(len(texts)), key=texts.__getitem__))
        cycle = ranked[np.random.default_rng(self.seed).permutation(len(texts))]
        yield np.roll(cycle, -1), vectors[cycle]  # each text's vector goes to the next one

"""The vectors that a study compares: the language model's, TF-IDF, and either one shuffled."""

from __future__ import annotations

from functools import cached_property

from llmrec.encoders import Encoder, ShuffledEncoder, get_encoder
from llmrec.models import Features
from llmrec.study.plan import Reads
from llmrec.study.tables import countable

LEXICAL = ("tfidf", "bm25", "hash")
TOKENS = {True: 48, False: 256}  # read of each text, quick or not
KEPT_ITEMS = 20_000  # with more, one kind of vectors is held at a time


class Vectors:
    """Item vectors by what they read, each made once and when it is first asked for.

    Parameters
    ----------
    texts:
        One an item.
    encoder:
        Name, folder or hub id of the language model, as in `get_encoder`.
    words:
        Most words that TF-IDF counts.
    quick:
        Cut texts earlier.
    seed:
        Of the shuffling.
    """

    def __init__(self, texts: list[str], encoder: str, words: int, quick: bool, seed: int) -> None:
        self.texts, self.encoder, self.words = texts, encoder, words
        self.quick, self.seed = quick, seed
        self._made: dict[str, Features] = {}

    @property
    def lexical(self) -> bool:
        """Whether the "language model" only counts words, so that TF-IDF is no control of it."""
        return self.encoder in LEXICAL

    @property
    def fingerprint(self) -> str:
        """What pins the language model's vectors: weights, pooling, precision, length."""
        return self.language_model.fingerprint

    def features(self, reads: Reads) -> Features | None:
        """Return the vectors that a candidate reads, None for ``""``."""
        if not reads:
            return None
        if reads not in self._made:
            if self._made and len(self.texts) > KEPT_ITEMS:
                self._made.clear()  # they can be made again
            counts = self.lexical or "words" in reads
            texts = countable(self.texts) if counts else self.texts
            encoder = self.language_model
            if "words" in reads:
                encoder = get_encoder("tfidf", corpus=texts, max_features=self.words)
            if "shuffled" in reads:
                encoder = ShuffledEncoder(encoder, self.seed)
            self._made[reads] = Features(items=encoder.encode(texts))
        return self._made[reads]

    @cached_property
    def language_model(self) -> Encoder:
        """What reads the texts."""
        if self.lexical:
            return get_encoder(self.encoder, corpus=countable(self.texts))
        if self.encoder == "random":
            return get_encoder(self.encoder)
        return get_encoder(self.encoder, max_length=TOKENS[self.quick])

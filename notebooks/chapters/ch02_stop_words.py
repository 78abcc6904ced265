"""What stop words cost or save: texts with and without them, bits of the words that are left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from chapters.ch02_tiny_language_model import (
    Words,
    clean_words,
    is_stop_word,
)
from llmrec.evaluation import Evaluation

Texts = list[list[str]]


def without_stop_words(words: Words) -> list[str]:
    """Return the words that are not on the stop list."""
    return [word for word in words if not is_stop_word(word)]


def share_of_stop_words(texts: Iterable[Words]) -> float:
    """Return the share of stop words among the words of cleaned texts, marks left out."""
    words = [word for text in texts for word in text if word[0].isalnum()]
    return float(np.mean([is_stop_word(word) for word in words]))


def drawn_corpus(
    films: Iterable[str], products: Iterable[str], n_films: int, n_products: int, seed: int
) -> Texts:
    """Return a random part of the different film texts, then one of the product texts, cleaned."""
    rng = np.random.default_rng(seed)
    lines = []
    for texts, n in ((films, n_films), (products, n_products)):
        different = sorted(set(texts))
        lines += [different[i] for i in rng.permutation(len(different))[:n]]
    return [clean_words(line) for line in lines]


def in_parts(corpus: Texts, seed: int) -> dict[str, dict[str, Texts]]:
    """Split texts into a tenth for test, one for valid, the rest for train.

    The parts stand under ``"with"`` as they are and under ``"without"`` without stop words.
    """
    place = np.random.default_rng(seed).permutation(len(corpus))
    tenth = len(corpus) // 10
    rows = {"test": place[:tenth], "valid": place[tenth : 2 * tenth], "train": place[2 * tenth :]}
    parts = {part: [corpus[i] for i in codes] for part, codes in rows.items()}
    bare = {part: [without_stop_words(text) for text in texts] for part, texts in parts.items()}
    return {"with": parts, "without": bare}


def per_text(
    runs: Sequence[Sequence[np.ndarray]],
    characters: Sequence[np.ndarray],
    where: Sequence[np.ndarray],
) -> list[Evaluation]:
    """Return one Evaluation a run: bits per character of the chosen words of each text.

    A run holds the bits of each content word of each text; ``characters`` and the bool arrays
    ``where`` have its shape. Texts stand in for users; one in which no word is chosen drops out.
    """
    chosen = [text for text, words in enumerate(where) if words.any()]
    spent = [
        [run[t][where[t]].sum() / characters[t][where[t]].sum() for t in chosen] for run in runs
    ]
    return [
        Evaluation("bits", (1,), np.arange(len(chosen)), {"bits": np.array(bits)}) for bits in spent
    ]

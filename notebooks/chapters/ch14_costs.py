"""Chapter 14's arithmetic: operations of a decoder, of its fine-tuning, and of EASE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmrec.data import Split
from llmrec.language_model import LanguageModel
from llmrec.prompts import Prompt


def mean_tokens(lm: LanguageModel, prompts: Sequence[Prompt]) -> float:
    """Return how many tokens a prompt has on average."""
    return float(np.mean([len(lm.prompt_ids(prompt)) for prompt in prompts]))


def reading(weights: int, tokens: float) -> float:
    """Return ``2 N t``: a decoder of N weights spends about two operations a weight and token."""
    return float(2 * weights * tokens)


def ease_use(split: Split) -> float:
    """Return EASE's operations for one user: the mean history's length times the catalogue's."""
    return float(np.diff(split.matrix("history").indptr).mean() * split.n_items)


def ease_fit(n_items: int) -> float:
    """Return ``4/3 n³``, what inverting EASE's ``(n, n)`` matrix takes."""
    return float(4 / 3 * n_items**3)


def lora_fit(
    lm: LanguageModel, weights: int, prompts: Sequence[Prompt], answers: Sequence[str]
) -> float:
    """Return ``4 N t`` over all tokens t learned from: forward, and back to the adapter only."""
    pairs = zip(prompts, answers, strict=True)
    tokens = sum(len(lm.prompt_ids(prompt)) + len(lm.token_ids(answer)) for prompt, answer in pairs)
    return float(4 * weights * tokens)

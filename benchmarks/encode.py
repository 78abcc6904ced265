"""Encode product texts with llmrec and with sentence-transformers, and compare speed and vectors.

Same model folder, texts, threads and process; the two take turns, and medians are compared.

    python benchmarks/encode.py --texts 20000 --rounds 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from llmrec import config, fetch
from llmrec.data import load
from llmrec.encoders import TransformerEncoder
from llmrec.text import item_text


def seconds(encode: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    vectors = encode()
    return time.perf_counter() - start, vectors


def compare(title: str, texts: list[str], rounds: int) -> float:
    """Print and return the ratio of medians, theirs over ours."""
    ours = TransformerEncoder(fetch.get("minilm"), name="minilm")  # without the disk cache
    theirs = SentenceTransformer(str(fetch.get("minilm")), device="cpu")
    ours.encode(texts[:64]), theirs.encode(texts[:64])  # loading and warming up are not timed
    torch.set_num_threads(config.threads())
    took: dict[str, list[float]] = {"llmrec": [], "sentence-transformers": []}
    for turn in range(rounds):
        spent, mine = seconds(lambda: ours.encode(texts))
        took["llmrec"].append(spent)
        spent, reference = seconds(lambda: theirs.encode(texts, show_progress_bar=False))
        took["sentence-transformers"].append(spent)
        print(
            f"  round {turn + 1}: llmrec {took['llmrec'][-1]:.1f} s, "
            f"sentence-transformers {spent:.1f} s",
            flush=True,
        )
    reference = reference / np.linalg.norm(reference, axis=1, keepdims=True)
    cosine = (mine * reference).sum(axis=1)
    medians = {name: statistics.median(times) for name, times in took.items()}
    ratio = medians["sentence-transformers"] / medians["llmrec"]
    print(
        f"{title}: {len(texts):,} texts ({len(set(texts)):,} distinct), "
        f"{config.threads()} threads, {ours.precision}\n"
        f"  medians: llmrec {medians['llmrec']:.2f} s, "
        f"sentence-transformers {medians['sentence-transformers']:.2f} s, ratio {ratio:.2f}x\n"
        f"  cosine to sentence-transformers: min {cosine.min():.5f}, mean {cosine.mean():.6f}",
        flush=True,
    )
    return ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20_000, help="number of products")
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each, alternating")
    parser.add_argument("--seed", type=int, default=0, help="which products")
    options = parser.parse_args()
    if options.texts < 1 or options.rounds < 1:
        parser.error("--texts and --rounds must be positive")
    torch.set_num_threads(config.threads())
    products = load("complete-journey").items
    sample = products.sample(min(options.texts, len(products)), random_state=options.seed)
    texts = [text for text in item_text(sample, "complete-journey") if text]
    compare("product texts", texts, options.rounds)
    compare("distinct texts only", list(dict.fromkeys(texts)), options.rounds)


if __name__ == "__main__":
    main()

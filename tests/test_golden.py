"""Golden numbers: what every model, encoder and metric gives on small inputs, to the last bit.

``golden.json`` holds for each array its sha256, its shape, and mean and standard deviation with
four decimals. Bits are compared on the machine that wrote the file (`machine`), statistics on all.
A change that means to move numbers writes the file again, and its diff shows which ones moved:

    WRITE_GOLDEN=1 pytest tests/test_golden.py
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import planted as world
import pytest
import threadpoolctl
import torch
from models.test_contract import FACTORIES

from llmrec.data import (
    Dataset,
    Split,
    cold_item_split,
    cold_user_split,
    load,
    random_split,
    time_split,
)
from llmrec.encoders import column_vectors, get_encoder
from llmrec.evaluation import METRICS, evaluate
from llmrec.models import EASE, Features
from llmrec.repro.environment import environment
from llmrec.text import item_text

GOLDEN = Path(__file__).with_name("golden.json")
DECIMALS, TOLERANCE = 4, 1e-3  # of mean and standard deviation, relative where they exceed 1
Arrays = dict[str, np.ndarray]


def machine() -> str:
    """What decides the bits: processor, instruction set that BLAS chose, versions."""
    about = environment()
    blas = {
        f"{p['version']} {p['architecture']}"
        for p in threadpoolctl.threadpool_info()
        if p["user_api"] == "blas"
    }
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "torch", "implicit")]
    return "; ".join([str(about["processor"]), *versions, *sorted(blas)])


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in another order give other bits: one thread wherever this runs."""
    before, threads = os.environ.get("LLMREC_THREADS"), torch.get_num_threads()
    os.environ["LLMREC_THREADS"] = "1"
    torch.set_num_threads(1)
    try:
        with threadpoolctl.threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)
        if before is None:
            del os.environ["LLMREC_THREADS"]
        else:
            os.environ["LLMREC_THREADS"] = before


@cache
def films() -> Dataset:
    """MovieLens cut to 80 users and the 150 films that most of them rated."""
    whole = load("ml-100k")
    events = whole.interactions[whole.interactions["user"] <= 80]
    often = events["item"].value_counts(sort=False).sort_index()
    kept = often.sort_values(ascending=False, kind="stable").index[:150]
    events = events[events["item"].isin(kept)].reset_index(drop=True)
    items = whole.items[whole.items["item"].isin(kept)].reset_index(drop=True)
    return Dataset("films", events, items)


def scores(split: Split, features: Features) -> Arrays:
    """Return float32 scores of every model for every user."""
    users = np.arange(split.n_users)
    return {name: make().fit(split, features).score(users) for name, make in FACTORIES.items()}


def planted_scores() -> Arrays:
    return scores(world.make_planted(), world.make_features())


def film_scores() -> Arrays:
    texts = item_text(films().items)
    vectors = get_encoder("tfidf", corpus=texts, max_features=64).encode(texts)
    return scores(random_split(films(), test=0.2, valid=0.1, seed=0), Features(items=vectors))


def texts(n: int) -> list[str]:
    return item_text(load("ml-100k").items)[:n]


def vectors() -> Arrays:
    """Return the vectors of every encoder that needs no language model."""
    corpus, items = texts(200), load("ml-100k").items[:200]
    base = get_encoder("hash", dim=128)
    made = {name: get_encoder(name, corpus=corpus, max_features=500) for name in ("tfidf", "bm25")}
    made |= {"hash": base, "random": get_encoder("random", dim=64, seed=1)}
    made |= {"shuffled": get_encoder("shuffled", base=base, seed=1)}
    columns = column_vectors(items, ["genres", "country"], ["year", "runtime"])
    return {name: encoder.encode(corpus) for name, encoder in made.items()} | {"columns": columns}


def language_vectors() -> Arrays:
    """Return the language models' vectors, computed and not read from a cache."""
    sizes = {"minilm": 24, "smollm2": 12}
    return {name: get_encoder(name, cache=False).encode(texts(n)) for name, n in sizes.items()}


def metrics() -> Arrays:
    """Return every metric's value for each user, on three splits."""
    splits = (time_split(films()), cold_item_split(films()), cold_user_split(films()))
    out = {}
    for split in splits:
        result = evaluate(EASE(l2=50.0).fit(split), split, ks=(5, 10), metrics=tuple(METRICS))
        out |= {f"{split.name} {metric}": values for metric, values in result.values.items()}
    return out


GROUPS = {
    "planted scores": planted_scores,
    "film scores": film_scores,
    "vectors": vectors,
    "language vectors": language_vectors,
    "metrics": metrics,
}


def described(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    out = {}
    for name, array in arrays.items():
        plain = np.ascontiguousarray(array)
        out[name] = {
            "sha256": hashlib.sha256(plain.tobytes()).hexdigest(),
            "type": f"{plain.dtype} {list(plain.shape)}",
            "mean": round(float(plain.mean(dtype=np.float64)), DECIMALS),
            "std": round(float(plain.std(dtype=np.float64)), DECIMALS),
        }
    return out


def compared(golden: Mapping[str, Any], now: Mapping[str, Any], bits: bool) -> list[str]:
    """Return one line for each array that is not what it was."""
    lines = [f"{name}: not on both sides" for name in sorted(golden.keys() ^ now.keys())]
    for name in sorted(golden.keys() & now.keys()):
        old, new = golden[name], now[name]
        near = all(
            abs(old[what] - new[what]) <= TOLERANCE * max(1.0, abs(old[what]))
            for what in ("mean", "std")
        )
        if old["type"] != new["type"] or not near or (bits and old["sha256"] != new["sha256"]):
            lines.append(f"{name}: was {old}, is {new}")
    return lines


def check(group: str) -> None:
    """Compare a group's arrays with the golden file, or write them into it when asked to."""
    with one_thread():
        now = {"machine": machine(), "arrays": described(GROUPS[group]())}
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.is_file() else {}
    if os.environ.get("WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(golden | {group: now}, indent=1) + "\n", encoding="utf-8")
    else:
        bits = golden[group]["machine"] == now["machine"]
        assert compared(golden[group]["arrays"], now["arrays"], bits) == []


def test_scores_on_a_planted_world():
    check("planted scores")


@pytest.mark.component
@pytest.mark.parametrize("group", list(GROUPS)[1:])
def test_arrays_from_real_data(group):
    check(group)


def test_a_bit_counts_on_the_same_machine_and_a_thousandth_on_all():
    before = described({"a": np.array([1.0, 2.0], np.float32)})
    bit = described({"a": np.nextafter(np.array([1.0, 2.0], np.float32), np.float32(9))})
    assert compared(before, bit, bits=False) == []
    assert compared(before, bit, bits=True)[0].startswith("a: was")
    far = described({"a": np.array([1.0, 2.02], np.float32)})
    assert len(compared(before, far, bits=False)) == 1
    assert compared(before, {}, bits=False) == ["a: not on both sides"]

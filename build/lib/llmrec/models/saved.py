"""Fitted models on disk: arrays as safetensors, everything else as JSON, nothing that can run."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensors
from scipy import sparse
from threadpoolctl import threadpool_limits

import llmrec
from llmrec import config
from llmrec.models.base import Recommender
from llmrec.models.bridge import Bridge
from llmrec.models.ease import EASE
from llmrec.models.ensemble import Ensemble, ReciprocalRankFusion
from llmrec.models.factorisation import ALS, BPR
from llmrec.models.feature_als import FeatureALS, _Side
from llmrec.models.neighbour_bridge import NeighbourBridge
from llmrec.models.neighbours import ItemKNN
from llmrec.models.popularity import Popularity
from llmrec.models.pure_svd import PureSVD
from llmrec.models.text_ease import TextEASE
from llmrec.models.text_neighbours import TextKNN
from llmrec.models.text_similarity import TextSimilarity
from llmrec.models.transition import TransitionKNN

FORMAT = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"
KEYS = {"format", "class", "params", "state", "sha256", "versions"}
ATTRIBUTE = re.compile(r"[a-z][a-z_]*_")

KNOWN: Mapping[str, type[Recommender]] = {
    kind.__name__: kind
    for kind in (
        *(ALS, BPR, EASE, Bridge, Ensemble, FeatureALS, ItemKNN, NeighbourBridge, Popularity),
        *(PureSVD, ReciprocalRankFusion, TextEASE, TextKNN, TextSimilarity, TransitionKNN),
    )
}


class SavedModelError(ValueError):
    """A folder does not hold a model that `load` can trust: the message says what is wrong."""


def save(model: Recommender, folder: str | Path) -> Path:
    """Write a fitted model as ``model.safetensors`` and ``config.json``, and return the folder.

    The arrays of the attributes that end in ``_``, dense and sparse, those of an ensemble's members
    too, go into the first file; class, arguments, scalars and the first file's sha256 into the
    second, which is written last: an interrupted write is recognised. `load` gives the same scores,
    to the bit. Text vectors that an ensemble was given for single members are not kept: they serve
    to fit it, not to use it.

    Raises
    ------
    ValueError
        When the model is not fitted, or of a class whose state is more than arrays: one with a
        neural network or a language model inside.
    """
    arrays: dict[str, np.ndarray] = {}
    content = _packed(model, "", arrays)
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    data = tensors.save(arrays)
    content |= {
        "format": FORMAT,
        "sha256": hashlib.sha256(data).hexdigest(),
        "versions": {"llmrec": llmrec.__version__, "numpy": np.__version__},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"  # an ensemble's order stays
    _replace(path / WEIGHTS, data)
    _replace(path / CONFIG, text.encode())
    return path


def load(folder: str | Path) -> Recommender:
    """Return the model that `save` wrote into a folder.

    Raises
    ------
    FileNotFoundError
        When one of the two files is absent.
    SavedModelError
        When they are damaged, do not belong together, or say what this version does not know.
    """
    path = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (path / name).is_file():
            raise FileNotFoundError(
                f"{path} has no {name}: give a folder that llmrec.models.save finished writing"
            )
    try:
        content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        data = (path / WEIGHTS).read_bytes()
        if not isinstance(content, dict) or set(content) != KEYS:
            raise ValueError(f"its keys are not {', '.join(sorted(KEYS))}")
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, this llmrec reads {FORMAT}")
        if hashlib.sha256(data).hexdigest() != content["sha256"]:
            raise ValueError(f"{WEIGHTS} is not the file it was written with: write both again")
        arrays = tensors.load(data)
        model = _unpacked({key: content[key] for key in ("class", "params", "state")}, "", arrays)
        if arrays:
            raise ValueError(f"{WEIGHTS} holds {min(arrays)!r}, which nothing asks for")
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        said = error.args[0] if isinstance(error, KeyError) and error.args else error
        raise SavedModelError(f"{path / CONFIG}: {said}") from error
    return model


def size(model: Recommender) -> int:
    """Return the bytes of a fitted model's arrays: what `save` writes and `load` holds in
    memory.
    """
    arrays: dict[str, np.ndarray] = {}
    _packed(model, "", arrays)
    return sum(array.nbytes for array in arrays.values())


def _replace(path: Path, data: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(data)
    aside.replace(path)


# --- from a model to arrays and JSON --------------------------------------------------------------


def _packed(model: Recommender, where: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return class, params and state of a model as JSON; its arrays go into ``arrays``."""
    name = type(model).__name__
    if KNOWN.get(name) is not type(model):
        raise ValueError(
            f"{name} cannot be saved: only arrays are written, and its state is more than that;"
            f" choose one of {', '.join(sorted(KNOWN))}"
        )
    if not hasattr(model, "seen_"):
        raise ValueError(f"{name} is not fitted: there is nothing to save")
    params = dict(model.params)
    learned = {key: value for key, value in vars(model).items() if key not in params}
    if name in _OWN:
        learned = _OWN[name][0](model, learned)
    if isinstance(model, Ensemble | ReciprocalRankFusion):
        params = {**params, "features": None, "members": {}}
    state = {}
    for key in sorted(learned):
        if not ATTRIBUTE.fullmatch(key):
            raise ValueError(f"{name} cannot be saved: {key!r} is no learned attribute")
        state[key] = _described(learned[key], f"{where}{key}", arrays, name)
    return {"class": name, "params": _plain(params, name), "state": state}


def _described(value: Any, key: str, arrays: dict[str, np.ndarray], model: str) -> Any:
    """Return what JSON says of one learned attribute: a plain value, or where its arrays are."""
    if isinstance(value, np.ndarray):
        # Rows or columns first: another order in memory would add up in another order
        turned = value.flags.f_contiguous and not value.flags.c_contiguous
        arrays[key] = np.ascontiguousarray(value.T if turned else value)
        return {"kind": "dense", "turned": turned}
    if sparse.issparse(value):
        if value.format != "csr":
            raise ValueError(f"{model} cannot be saved: {key} is sparse, but not by rows")
        for part in ("data", "indices", "indptr"):
            arrays[f"{key}.{part}"] = np.ascontiguousarray(getattr(value, part))
        return {"kind": "sparse", "shape": list(value.shape)}
    if isinstance(value, dict) and all(isinstance(one, Recommender) for one in value.values()):
        members = [
            [name, _packed(member, f"{key}/{number}/", arrays)]
            for number, (name, member) in enumerate(value.items())
        ]
        return {"kind": "members", "members": members}
    return {"kind": "plain", "value": _plain(value, model)}


def _plain(value: Any, model: str) -> Any:
    """Return a number, a text, or a list or mapping of them, as JSON holds them."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one, model) for one in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(one, model) for key, one in value.items()}
    raise ValueError(f"{model} cannot be saved: it keeps a {type(value).__name__} as a plain value")


# --- and back -------------------------------------------------------------------------------------


def _unpacked(content: Any, where: str, arrays: dict[str, np.ndarray]) -> Recommender:
    """Return the model that `_packed` described, taking its arrays out of ``arrays``."""
    if not isinstance(content, dict) or set(content) != {"class", "params", "state"}:
        raise ValueError("a model is not described by class, params and state")
    name, params, state = content["class"], content["params"], content["state"]
    if name not in KNOWN:
        raise ValueError(f"no class {name!r}: known are {', '.join(sorted(KNOWN))}")
    kind = KNOWN[name]
    if unknown := sorted(set(params) - set(inspect.signature(kind).parameters)):
        raise ValueError(f"{name} has no argument {unknown[0]!r}")
    learned = {}
    for key, said in state.items():
        if not ATTRIBUTE.fullmatch(key):
            raise ValueError(f"{name}: {key!r} is no learned attribute")
        learned[key] = _rebuilt(said, f"{where}{key}", arrays)
    if not isinstance(learned.get("seen_"), sparse.csr_matrix):
        raise ValueError(f"{name}: seen_, what every user took, is not there")
    if isinstance(learned.get("members_"), dict):
        params = {**params, "members": {n: _unfitted(m) for n, m in learned["members_"].items()}}
    model = kind(**params)
    if name in _OWN:
        learned = _OWN[name][1](model, learned)
    vars(model).update(learned)
    return model


def _rebuilt(said: Mapping[str, Any], key: str, arrays: dict[str, np.ndarray]) -> Any:
    kind = said["kind"]
    if kind == "plain":
        return said["value"]
    if kind == "members":
        return {
            name: _unpacked(member, f"{key}/{number}/", arrays)
            for number, (name, member) in enumerate(said["members"])
        }
    if kind == "sparse":
        parts = tuple(_array(f"{key}.{part}", arrays) for part in ("data", "indices", "indptr"))
        matrix = sparse.csr_matrix(parts, shape=tuple(said["shape"]))
        matrix.check_format(full_check=True)  # an index out of range would read foreign memory
        return matrix
    if kind == "dense":
        array = _array(key, arrays)
        return array.T if said["turned"] else array
    raise ValueError(f"{key} is of kind {kind!r}, which is none")


def _array(key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if key not in arrays:
        raise ValueError(f"{WEIGHTS} lacks {key!r}")
    array = arrays.pop(key)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{key} holds NaN or infinity")
    return array


def _unfitted(member: Recommender) -> Recommender:
    return type(member)(**member.params)


# --- the classes that keep more than arrays -------------------------------------------------------


def _pack_als(model: ALS, learned: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in learned.items() if key != "model_"}


def _unpack_als(model: ALS, learned: dict[str, Any]) -> dict[str, Any]:
    """Put the factors back into the library's object, which `ALS.fold_in` solves with."""
    from implicit.cpu.als import AlternatingLeastSquares

    with threadpool_limits(1, "blas"):  # implicit warns of other threads under its own
        inner = AlternatingLeastSquares(
            factors=model.factors,
            regularization=model.regularization,
            alpha=model.alpha,
            num_threads=config.threads(),
        )
    inner.user_factors, inner.item_factors = learned["user_factors_"], learned["item_factors_"]
    return {**learned, "model_": inner}


def _pack_feature_als(model: FeatureALS, learned: dict[str, Any]) -> dict[str, Any]:
    side = learned["_newcomer"].__self__
    kept = {key: value for key, value in learned.items() if not key.startswith("_")}
    mean = side.mean[side.warm].mean(axis=0)
    newcomer = {"newcomer_mean_": mean, "newcomer_tau_": side.tau}
    return {**kept, **newcomer, "warm_items_": learned["_warm_items"]}


def _unpack_feature_als(model: FeatureALS, learned: dict[str, Any]) -> dict[str, Any]:
    """Rebuild the side that `FeatureALS.fold_in` asks: of it, only the mean user is needed."""
    mean, tau, warm = (
        learned.pop(key) for key in ("newcomer_mean_", "newcomer_tau_", "warm_items_")
    )
    side = _Side(sparse.csr_matrix(np.ones((1, 1))), None, tau, model.ridge, model.factors)
    side.mean = mean[None]
    return {**learned, "_warm_items": warm, "_newcomer": side.newcomer}


_OWN: Mapping[str, tuple[Any, Any]] = {
    "ALS": (_pack_als, _unpack_als),
    "FeatureALS": (_pack_feature_als, _unpack_feature_als),
}

"""Fitted models on disk: arrays as safetensors, everything else as JSON, nothing that can run."""

from __future__ import annotations

import hashlib
import inspect
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as tensors
from scipy import sparse

import llmrec
from llmrec.cache import write_atomic, write_json
from llmrec.models.base import Recommender
from llmrec.models.bridge import Bridge, NeighbourBridge, TextEASE
from llmrec.models.ease import EASE
from llmrec.models.ensemble import Ensemble, ReciprocalRankFusion
from llmrec.models.factorisation import ALS, BPR, PureSVD
from llmrec.models.feature_als import FeatureALS
from llmrec.models.neighbours import ItemKNN, TextKNN, TransitionKNN
from llmrec.models.popularity import Popularity
from llmrec.models.text_similarity import TextSimilarity

FORMAT = 2
WEIGHTS, CONFIG, MANIFEST = "model.safetensors", "config.json", "manifest.json"
LEARNED = re.compile(r"[a-z][a-z_]*_")

_KINDS: list[type[Recommender]] = [ALS, BPR, EASE, Bridge, Ensemble, FeatureALS, ItemKNN, PureSVD]
_KINDS += [NeighbourBridge, Popularity, ReciprocalRankFusion, TextEASE, TextKNN, TextSimilarity]
_KINDS += [TransitionKNN]
KNOWN: Mapping[str, type[Recommender]] = {kind.__name__: kind for kind in _KINDS}


class SavedModelError(ValueError):
    """A folder does not hold a model that `load` can trust: the message says what is wrong."""


def save(model: Recommender, folder: str | Path) -> Path:
    """Write a fitted model into a folder, and return the folder; `load` gives the same bits.

    ``model.safetensors`` holds the arrays, those of an ensemble's members too, ``config.json``
    class, arguments and plain values, and ``manifest.json``, written last, the sha256 of both: an
    interrupted write is recognised. What is kept is `Recommender.state`.

    Raises
    ------
    ValueError
        When the model is not fitted, or of a class whose state is more than arrays: one with a
        neural network or a language model inside.
    """
    arrays: dict[str, np.ndarray] = {}
    content = _packed(model, "", arrays)
    path = Path(folder)
    write_atomic(path / WEIGHTS, tensors.save(arrays))
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"  # an ensemble's order stays
    write_atomic(path / CONFIG, text)
    seal(path, (WEIGHTS, CONFIG))
    return path


def load(folder: str | Path) -> Recommender:
    """Return the model that `save` wrote into a folder.

    Raises
    ------
    FileNotFoundError
        When the folder has no manifest or not all files that it names.
    SavedModelError
        When a file is not the one that was written, or says what this version does not know.
    """
    path = Path(folder)
    check_seal(path)
    try:
        content = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        arrays = tensors.load_file(path / WEIGHTS)
        model = _unpacked(content, "", arrays)
        if arrays:
            raise ValueError(f"{WEIGHTS} holds {min(arrays)!r}, which nothing asks for")
    except (ValueError, KeyError, TypeError, AttributeError, OSError, SafetensorError) as error:
        raise SavedModelError(f"{path / CONFIG}: {' '.join(str(error).split())}") from error
    return model


def seal(folder: Path, names: Iterable[str]) -> None:
    """Write the folder's manifest: its format, and the sha256 of each named file."""
    hashes = {name: _sha256(folder / name) for name in sorted(names)}
    manifest = {"format": FORMAT, "llmrec": llmrec.__version__, "sha256": hashes}
    write_json(folder / MANIFEST, manifest)


def check_seal(folder: Path) -> None:
    """Raise, as `load` does, unless every file that the manifest names is the one written."""
    path = folder / MANIFEST
    if not path.is_file():
        older = " or by an older version" if (folder / CONFIG).is_file() else ""
        raise FileNotFoundError(
            f"{folder} has no {MANIFEST}, so it was not written by llmrec.models.save, not to its"
            f" end{older}: save the model again"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found, hashes = manifest["format"], dict(manifest["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise SavedModelError(f"{path} is damaged: save the model again") from error
    if found != FORMAT:
        raise SavedModelError(f"{path}: its format is {found!r}, this llmrec reads {FORMAT}")
    for name in (WEIGHTS, CONFIG, *hashes):
        if name not in hashes or name != Path(name).name:
            raise SavedModelError(f"{path} does not name {WEIGHTS} and {CONFIG} alone in {folder}")
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} has no {name}: save the model again")
        if _sha256(folder / name) != hashes[name]:
            raise SavedModelError(f"{folder / name} is not the file that was written: save again")


def size(model: Recommender) -> int:
    """Return the bytes of a fitted model's arrays, on disk and in memory."""
    arrays: dict[str, np.ndarray] = {}
    _packed(model, "", arrays)
    return sum(array.nbytes for array in arrays.values())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packed(model: Recommender, where: str, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return class, arguments and state of a model as JSON; its arrays go into ``arrays``."""
    name = type(model).__name__
    if KNOWN.get(name) is not type(model):
        raise ValueError(
            f"{name} cannot be saved: only arrays are written, and its state is more than that;"
            f" choose one of {', '.join(sorted(KNOWN))}"
        )
    if not hasattr(model, "seen_"):
        raise ValueError(f"{name} is not fitted: there is nothing to save")
    params, learned = model.state()
    state = {key: _described(learned[key], f"{where}{key}", arrays) for key in sorted(learned)}
    return {"class": name, "params": _plain(params), "state": state}


def _described(value: Any, key: str, arrays: dict[str, np.ndarray]) -> Any:
    """Return what JSON says of one learned value: itself, or where its arrays are."""
    if isinstance(value, np.ndarray):
        # Rows or columns first: another order in memory would add up in another order
        turned = value.flags.f_contiguous and not value.flags.c_contiguous
        arrays[key] = np.ascontiguousarray(value.T if turned else value)
        return {"kind": "dense", "turned": turned}
    if sparse.issparse(value):
        for part in ("data", "indices", "indptr"):
            arrays[f"{key}.{part}"] = np.ascontiguousarray(getattr(value, part))
        return {"kind": "sparse", "shape": list(value.shape)}
    if isinstance(value, dict) and all(isinstance(one, Recommender) for one in value.values()):
        members = enumerate(value.items())
        packed = [[name, _packed(one, f"{key}/{i}/", arrays)] for i, (name, one) in members]
        return {"kind": "members", "members": packed}
    return {"kind": "plain", "value": _plain(value)}


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold: NumPy's numbers as Python's, mappings as dicts."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _unpacked(content: Any, where: str, arrays: dict[str, np.ndarray]) -> Recommender:
    """Return the model that `_packed` described, taking its arrays out of ``arrays``."""
    if not isinstance(content, dict) or set(content) != {"class", "params", "state"}:
        raise ValueError("a model is not described by class, params and state alone")
    name, params = content["class"], content["params"]
    if name not in KNOWN:
        raise ValueError(f"no class {name!r}: known are {', '.join(sorted(KNOWN))}")
    unknown = sorted(set(params) - set(inspect.signature(KNOWN[name]).parameters))
    unknown += [key for key in content["state"] if not LEARNED.fullmatch(key)]
    if unknown:
        raise ValueError(f"{name} has no {unknown[0]!r}")
    learned = {key: _rebuilt(one, f"{where}{key}", arrays) for key, one in content["state"].items()}
    if not isinstance(learned.get("seen_"), sparse.csr_matrix):
        raise ValueError(f"{name}: seen_, what every user took, is not there")
    return KNOWN[name].from_state(params, learned)


def _rebuilt(one: Mapping[str, Any], key: str, arrays: dict[str, np.ndarray]) -> Any:
    if one["kind"] == "plain":
        return one["value"]
    if one["kind"] == "members":
        members = enumerate(one["members"])
        return {name: _unpacked(m, f"{key}/{i}/", arrays) for i, (name, m) in members}
    if one["kind"] == "sparse":
        parts = tuple(_array(f"{key}.{part}", arrays) for part in ("data", "indices", "indptr"))
        matrix = sparse.csr_matrix(parts, shape=tuple(one["shape"]))
        matrix.check_format(full_check=True)  # an index out of range would read foreign memory
        return matrix
    if one["kind"] == "dense":
        return _array(key, arrays).T if one["turned"] else _array(key, arrays)
    raise ValueError(f"{key} is of kind {one['kind']!r}, which is none")


def _array(key: str, arrays: dict[str, np.ndarray]) -> np.ndarray:
    if key not in arrays:
        raise ValueError(f"{WEIGHTS} lacks {key!r}")
    array = arrays.pop(key)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{key} holds NaN or infinity")
    return array

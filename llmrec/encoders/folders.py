"""Model folders: found, downloaded or converted once, checked by sha256, loaded without a word."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

with warnings.catch_warnings():
    # The hub's own bars stay hidden, so a notebook without their widgets is not worth a warning.
    warnings.filterwarnings("ignore", "IProgress not found")
    import tqdm.auto  # noqa: F401

from llmrec import config, fetch
from llmrec.cache import write_atomic, write_json

Precision = Literal["float32", "bfloat16"]
# What a model is read from: never a pickle, never code.
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


def model_folder(model: str | Path) -> Path:
    """Return the folder of a model: a bundled one's, itself, or the download of a hub id."""
    if str(model) == "minilm":
        return fetch.get("minilm")
    if str(model) == "smollm2":
        source = next(fetch.get("smollm2").glob("*.gguf"))
        target = config.cache_dir() / "models" / f"smollm2-{_file_hash(source)[:16]}"
        return made_once(target, lambda folder: _convert_gguf(source, folder))
    path = Path(model).expanduser()
    if not path.is_dir():
        from huggingface_hub import snapshot_download

        try:
            with quiet():
                path = Path(snapshot_download(str(model), allow_patterns=list(MODEL_FILES)))
        except Exception as error:  # the hub raises a dozen types, all with the same fix
            raise FileNotFoundError(
                f"model {str(model)!r} is neither a folder here nor reachable on the model hub "
                f"({type(error).__name__}): give a folder with config.json, a tokenizer and "
                "*.safetensors, or connect to the hub once"
            ) from None
    for pattern in ("config.json", "*.safetensors"):
        if not any(path.glob(pattern)):
            raise FileNotFoundError(f"model folder {path} has no {pattern}: only safetensors load")
    return path


def checked_precision(asked: str | None) -> Precision:
    """Return the precision asked for, else ``$LLMREC_PRECISION``, else ``"float32"``."""
    precision = asked or os.environ.get("LLMREC_PRECISION") or "float32"
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r} is not 'float32' or 'bfloat16'")
    return precision  # type: ignore[return-value]


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a model folder."""
    from transformers import AutoTokenizer

    with quiet(), one_line_errors(folder):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def load_model(kind: str, folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """Return the network of a model folder, as the class of transformers that ``kind`` names."""
    import transformers

    with quiet(), one_line_errors(folder):
        return getattr(transformers, kind).from_pretrained(
            folder, dtype=dtype, use_safetensors=True, trust_remote_code=False
        )


def read_json(path: Path) -> Any:
    """Return what a JSON file holds, nothing when there is none."""
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


@cache
def _hash_of(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_hash(path: Path) -> str:
    """Return the sha256 of a file; the same size and time of change are read once a process."""
    status = path.stat()
    return _hash_of(path, status.st_size, status.st_mtime_ns)


def folder_sums(folder: Path) -> str:
    """Return the sha256 and name, a line each, of the files that decide a model's output."""
    paths = sorted({path for pattern in MODEL_FILES for path in folder.glob(pattern)})
    return "".join(f"{_file_hash(path)}  {path.name}\n" for path in paths)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return a model folder in the cache, filled by ``make(folder)`` when it is absent or damaged.

    It is made aside and renamed under a lock, so that it is whole whenever it exists. Its
    ``SHA256SUMS`` lie inside and are checked here.
    """
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    aside, kept = folder.with_name(f"{folder.name}.part"), folder / "SHA256SUMS"
    with FileLock(f"{folder}.lock"):
        if folder.is_dir():
            if kept.is_file() and kept.read_bytes() == folder_sums(folder).encode():
                return folder
            warnings.warn(f"{folder}: damaged, made again", RuntimeWarning, stacklevel=2)
            shutil.rmtree(folder)
        shutil.rmtree(aside, ignore_errors=True)  # what a killed run left
        aside.mkdir()
        try:
            make(aside)
            write_atomic(aside / kept.name, folder_sums(aside))
            os.replace(aside, folder)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
    return folder


def _convert_gguf(source: Path, folder: Path) -> None:
    """Write a GGUF file as safetensors, its quantised weights expanded to float32 exactly."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": source.name, "trust_remote_code": False}
    # transformers draws a bar of its own here that no setting turns off.
    with quiet(), one_line_errors(source), contextlib.redirect_stderr(io.StringIO()):
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **where)
        model = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **where)
    # save_pretrained refuses a model that came from GGUF, so the parts are written one by one.
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)  # the same tensor as the embedding
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads(json.dumps(model.config.to_dict(), default=str))
    settings.pop("quantization_config", None)
    settings.update(dtype="float32", architectures=[type(model).__name__])
    write_json(folder / "config.json", settings)
    tokenizer.save_pretrained(folder)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and log lines of transformers and the hub, then restore them."""
    from huggingface_hub import utils as hub
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    hub_bars = not hub.are_progress_bars_disabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    hub.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
        if hub_bars:
            hub.enable_progress_bars()


@contextlib.contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn the many errors of a loader into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"cannot load the model in {path}: {reason[0]:.200}") from error

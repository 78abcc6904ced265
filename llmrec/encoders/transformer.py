"""Language models as encoders: BERT-family and GPT-family, pooled to one vector a text."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

with warnings.catch_warnings():
    # The hub's own bars stay hidden, so a notebook without their widgets is not worth a warning.
    warnings.filterwarnings("ignore", "IProgress not found")
    import tqdm.auto  # noqa: F401

from llmrec import config, fetch
from llmrec.cache import key_of, write_atomic, write_json
from llmrec.encoders.base import Batch, Encoder

Pooling = Literal["mean", "last", "cls"]
Precision = Literal["float32", "bfloat16"]
BATCH_TOKENS = 4096  # fewer: more overhead; more: activations leave the processor cache
# Names in sentence-transformers' files; the longer ones are older.
_POOLING: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_POOLING |= {"mean_tokens": "mean", "cls_token": "cls"}
# What a model is read from: never a pickle, never code.
MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model")


class TransformerEncoder(Encoder):
    """Pooling over the last hidden layer of a Hugging Face model.

    ``mean`` averages the token vectors; ``last`` takes the last token's, the only one that has
    read the whole text in a decoder; ``cls`` the first one's. Texts are cut at ``max_length``
    tokens.

    The vectors of a decoder (GPT family) that was never trained to compare texts are anisotropic:
    they share one large common direction, so that all cosines are high and only their order, or
    vectors with the mean removed, tells texts apart. Sentence encoders such as MiniLM are not.

    Parameters
    ----------
    model:
        ``"minilm"`` (all-MiniLM-L6-v2: BERT family, 22 M weights, 384-d), ``"smollm2"``
        (SmolLM2-135M-Instruct: GPT family, 576-d, 4-bit file), a folder with safetensors weights
        and a tokenizer, or a Hugging Face id (downloaded when a hub is reachable). Pickled weights
        and remote code are never loaded.
    pooling:
        ``"mean"``, ``"last"`` or ``"cls"``; by default what the folder's ``1_Pooling`` says, else
        ``"mean"``.
    max_length:
        Largest number of tokens read from a text.
    precision:
        ``"float32"`` (the default) or ``"bfloat16"``; ``LLMREC_PRECISION`` sets it, too.
    prefix:
        Written before each text, such as ``"query: "``; by default the prompt that the folder's
        ``config_sentence_transformers.json`` names as its default, else nothing.
    name:
        For tables; by default the folder's or the id's last part.

    Raises
    ------
    FileNotFoundError
        When the model is not here and cannot be downloaded, or has no safetensors weights.
    ValueError
        When an option has an unknown value, or the folder asks for a pooling that is not here.

    Notes
    -----
    Vectors depend on how texts are batched by rounding only: ≤ 1e-3 in bfloat16.
    """

    def __init__(
        self,
        model: str | Path,
        pooling: Pooling | None = None,
        max_length: int = 256,
        precision: Precision | None = None,
        prefix: str | None = None,
        name: str | None = None,
    ):
        if pooling and pooling not in get_args(Pooling):
            raise ValueError(f"pooling {pooling!r} is not 'mean', 'last' or 'cls'")
        if max_length < 1:
            raise ValueError(f"max_length {max_length} is not a positive number of tokens")
        self.precision = checked_precision(precision)
        self.path = model_folder(model)
        self.prefix = _default_prompt(self.path) if prefix is None else prefix
        self.pooling: Pooling = pooling or _own_pooling(self.path, bool(self.prefix))
        self.max_length = max_length
        self.name = name or Path(model).name

    @cached_property
    def tokenizer(self) -> Any:
        return load_tokenizer(self.path)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The network, in `precision`, on `config.device`."""
        model = load_model("AutoModel", self.path, getattr(torch, self.precision))
        return model.eval().to(config.device())

    @cached_property
    def dim(self) -> int:
        return int(_read_json(self.path / "config.json")["hidden_size"])

    @cached_property
    def fingerprint(self) -> str:
        how = (self.pooling, self.precision, self.max_length, self.prefix)
        return key_of([folder_sums(self.path), *how])

    def count_tokens(self, text: str) -> int:
        """Count tokens as the model reads them, special tokens included, before any cut."""
        return len(self._token_ids([text], cut=False)[0])

    def _token_ids(self, texts: Sequence[str], cut: bool = True) -> list[list[int]]:
        length = self.max_length if cut else None
        with quiet():  # a long text is not worth a warning: it is cut, or only counted
            return self.tokenizer(
                [self.prefix + text for text in texts],
                truncation=cut,
                max_length=length,
                return_attention_mask=False,
            )["input_ids"]

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        """Sort by length, so that batches hold little padding, and fill each up to a token budget.

        Ties are sorted by text: the batches, and so the bits, depend on the set of texts only.
        """
        torch.set_num_threads(config.threads())
        ids = self._token_ids(texts)
        order = sorted(range(len(ids)), key=lambda i: (-len(ids[i]), texts[i]))  # longest first
        start = 0
        while start < len(order):
            width = max(1, len(ids[order[start]]))
            batch = order[start : start + max(1, BATCH_TOKENS // width)]
            start += len(batch)
            yield np.array(batch), self._forward([ids[i] for i in batch])

    @torch.inference_mode()
    def _forward(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        device = next(self.model.parameters()).device
        tokens, mask = padded(ids)
        # Without padding no mask is needed, and attention takes its faster path.
        given = None if bool(mask.all()) else mask.long().to(device)
        options = {"use_cache": False} if hasattr(self.model.config, "use_cache") else {}
        hidden = self.model(input_ids=tokens.to(device), attention_mask=given, **options)[0]
        return pooled(hidden, mask.to(device), self.pooling).cpu().numpy()


def padded(ids: Sequence[Sequence[int]], side: str = "right") -> tuple[Tensor, Tensor]:
    """Return tokens ``(b, t)``, zeros on one side of the shorter rows, and their boolean mask."""
    rows = [torch.tensor([*row] or [0]) for row in ids]
    lengths = torch.tensor([len(row) for row in ids])
    tokens = pad_sequence(rows, batch_first=True, padding_side=side)
    mask = torch.arange(tokens.shape[1]) < lengths[:, None]
    return tokens, mask.flip(1) if side == "left" else mask


def pooled(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return float32 ``(b, d)``: one vector a row of ``hidden (b, t, d)``, padded on the right."""
    if pooling == "cls":
        return hidden[:, 0].float()
    if pooling == "last":
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        return hidden[torch.arange(len(hidden)), last].float()
    weight = mask[:, :, None].float()
    return (hidden.float() * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


# --- folders of models --------------------------------------------------------------------------


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


def checked_precision(asked: str | None) -> str:
    """Return the precision asked for, else ``$LLMREC_PRECISION``, else ``"float32"``."""
    precision = asked or os.environ.get("LLMREC_PRECISION") or "float32"
    if precision not in get_args(Precision):
        raise ValueError(f"precision {precision!r} is not 'float32' or 'bfloat16'")
    return precision


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


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _default_prompt(folder: Path) -> str:
    settings = _read_json(folder / "config_sentence_transformers.json")
    return (settings.get("prompts") or {}).get(settings.get("default_prompt_name")) or ""


def _own_pooling(folder: Path, prefixed: bool) -> Pooling:
    """Return what the folder's sentence-transformers files say; mean where there are none."""
    settings = _read_json(folder / "1_Pooling" / "config.json")
    modes = (
        settings.get("pooling_mode")
        or [  # one name or several; older files have switches
            name[13:] for name, on in settings.items() if name.startswith("pooling_mode_") and on
        ]
    )
    modes = [modes] if isinstance(modes, str) else modes or ["mean"]
    kinds = {module["type"].split(".")[-1] for module in _read_json(folder / "modules.json")}
    unknown = [*modes, *sorted(kinds - {"Transformer", "Pooling", "Normalize"})]
    if prefixed and settings.get("include_prompt") is False:
        unknown.append("without its prompt")
    if len(unknown) > 1 or modes[0] not in _POOLING:
        raise ValueError(
            f"{folder} pools by {', '.join(unknown)}, which is not computed here: pass "
            "pooling='mean', 'last' or 'cls' to take that instead"
        )
    return _POOLING[modes[0]]


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


# --- what loading says --------------------------------------------------------------------------


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

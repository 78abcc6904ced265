"""Language models as encoders: BERT-family and GPT-family, pooled to one vector a text."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

with warnings.catch_warnings():
    # The hub's own bars stay hidden, so a notebook without their widgets is not worth a warning.
    warnings.filterwarnings("ignore", "IProgress not found")
    import tqdm.auto  # noqa: F401

from llmrec import config, fetch
from llmrec.encoders.base import Batch, Encoder, fingerprint_of
from llmrec.vectors import unit_rows

Pooling = Literal["mean", "last"]
Precision = Literal["auto", "bfloat16", "float32"]
PRECISION_VARIABLE = "LLMREC_PRECISION"
BATCH_TOKENS = 4096  # fewer: more overhead; more: activations leave the processor cache
_FIDELITY = 0.999
_PROBES = (
    "The Godfather (1972). Genres: Crime, Drama.",
    "Frozen pizza",
    "The user rated Alien (1979) 5 out of 5, then rated Heat (1995) 2 out of 5.",
    "A children's film about a lost dog who finds the way home.",
)


class TransformerEncoder(Encoder):
    """Mean or last-token pooling over the last hidden layer of a Hugging Face model.

    ``mean`` averages the token vectors; ``last`` takes the last token's, the only one that has
    read the whole text in a decoder. Texts are cut at ``max_length`` tokens.

    The vectors of a decoder (GPT family) that was never trained to compare texts are anisotropic:
    they share one large common direction, so that all cosines are high and only their order, or
    vectors with the mean removed, tells texts apart. Sentence encoders such as MiniLM are not.

    Parameters
    ----------
    model:
        A folder with safetensors weights and a tokenizer, or a Hugging Face id (downloaded when a
        hub is reachable). Pickled weights and remote code are never loaded.
    pooling:
        ``"mean"`` or ``"last"``.
    max_length:
        Largest number of tokens read from a text.
    precision:
        ``"auto"``: bfloat16 where the processor has it and a check on a few texts finds cosine
        ≥ 0.999 to float32, else float32; or one of the two (``LLMREC_PRECISION`` sets it too).
    name:
        For tables; by default the folder's or the id's last part.

    Raises
    ------
    FileNotFoundError
        When the model is not here and cannot be downloaded, or has no safetensors weights.
    ValueError
        When an option has an unknown value.

    Notes
    -----
    Vectors depend on how texts are batched by rounding only: ≤ 1e-3 in bfloat16.
    """

    def __init__(
        self,
        model: str | Path,
        pooling: Pooling = "mean",
        max_length: int = 256,
        precision: Precision | None = None,
        name: str | None = None,
    ):
        asked = precision or os.environ.get(PRECISION_VARIABLE) or "auto"
        if pooling not in get_args(Pooling):
            raise ValueError(f"pooling {pooling!r} is not 'mean' or 'last'")
        if asked not in get_args(Precision):
            raise ValueError(f"precision {asked!r} is not 'auto', 'bfloat16' or 'float32'")
        if max_length < 1:
            raise ValueError(f"max_length {max_length} is not a positive number of tokens")
        self.path = model_folder(model)
        self.pooling = pooling
        self.max_length = max_length
        self.name = name or Path(model).name
        self._asked_precision = asked

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        with quiet(), one_line_errors(self.path):
            return AutoTokenizer.from_pretrained(self.path, trust_remote_code=False)

    @cached_property
    def model(self) -> torch.nn.Module:
        """The network, in `precision`, on `config.device`."""
        if self.precision == "bfloat16":
            return self._load(torch.bfloat16)
        return self._load(torch.float32)

    @cached_property
    def precision(self) -> str:
        """``"bfloat16"`` or ``"float32"``, as asked or as the built-in check decides."""
        if self._asked_precision != "auto":
            return self._asked_precision
        if not _has_bfloat16():
            return "float32"
        # The check loads the network twice, so its verdict is kept for this machine and release.
        key = fingerprint_of(
            weights=self._weights_hash,
            pooling=self.pooling,
            torch=torch.__version__,
            machine=str(torch.cpu.get_capabilities()) + config.device(),
        )
        verdict = config.cache_dir() / "precision" / key
        if verdict.is_file() and (kept := verdict.read_text("utf-8")) in get_args(Precision):
            return kept
        decided = self._decide_precision()
        verdict.parent.mkdir(exist_ok=True)
        aside = verdict.with_name(f"{key}.{os.getpid()}.part")
        aside.write_text(decided, "utf-8")
        os.replace(aside, verdict)
        return decided

    def _decide_precision(self) -> str:
        fast, exact = (
            unit_rows(np.concatenate([v for _, v in self._run(_PROBES, self._load(dtype))]))
            for dtype in (torch.bfloat16, torch.float32)
        )
        return "bfloat16" if (fast * exact).sum(axis=1).min() >= _FIDELITY else "float32"

    @cached_property
    def dim(self) -> int:
        return int(json.loads((self.path / "config.json").read_text("utf-8"))["hidden_size"])

    @cached_property
    def _weights_hash(self) -> str:
        return weights_hash(self.path)

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(
            weights=self._weights_hash,
            pooling=self.pooling,
            precision=self.precision,
            max_length=self.max_length,
        )

    def count_tokens(self, text: str) -> int:
        """Count tokens as the model reads them, special tokens included, before any cut."""
        return len(self._token_ids([text], cut=False)[0])

    def batches(self, texts: Sequence[str]) -> Iterator[Batch]:
        yield from self._run(texts, self.model)

    def _load(self, dtype: torch.dtype) -> torch.nn.Module:
        from transformers import AutoModel

        with quiet(), one_line_errors(self.path):
            model = AutoModel.from_pretrained(
                self.path, dtype=dtype, use_safetensors=True, trust_remote_code=False
            )
        return model.eval().to(config.device())

    def _token_ids(self, texts: Sequence[str], cut: bool = True) -> list[list[int]]:
        length = self.max_length if cut else None
        with quiet():  # a long text is not worth a warning: it is cut, or only counted
            return self.tokenizer(
                list(texts), truncation=cut, max_length=length, return_attention_mask=False
            )["input_ids"]

    def _run(self, texts: Sequence[str], model: torch.nn.Module) -> Iterator[Batch]:
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
            yield np.array(batch), self._forward([ids[i] for i in batch], model)

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]], model: torch.nn.Module) -> np.ndarray:
        device = next(model.parameters()).device
        lengths = torch.tensor([len(row) for row in ids])  # (b,)
        tokens = torch.zeros(len(ids), max(1, int(lengths.max())), dtype=torch.long)  # (b, t)
        for row, values in enumerate(ids):
            tokens[row, : len(values)] = torch.tensor(values, dtype=torch.long)
        mask = torch.arange(tokens.shape[1]) < lengths[:, None]  # (b, t)
        # Without padding no mask is needed, and attention takes its faster path.
        given = None if bool(mask.all()) else mask.long().to(device)
        options = {} if self._is_encoder_only(model) else {"use_cache": False}
        hidden = model(input_ids=tokens.to(device), attention_mask=given, **options)[0]  # (b, t, d)
        if self.pooling == "last":
            pooled = hidden[torch.arange(len(ids)), (lengths - 1).clamp(min=0)].float()
        else:
            weight = mask.to(device)[:, :, None].float()
            pooled = (hidden.float() * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)
        return pooled.cpu().numpy()  # (b, d)

    @staticmethod
    def _is_encoder_only(model: torch.nn.Module) -> bool:
        return not hasattr(model.config, "use_cache")


def _has_bfloat16() -> bool:
    """Say whether bfloat16 is computed in hardware; elsewhere it is emulated, and slower."""
    if config.device() != "cpu":
        return bool(torch.cuda.is_available() and torch.cuda.is_bf16_supported())
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16") or has.get("bf16"))


def model_folder(model: str | Path) -> Path:
    """Return the folder of a model: itself, or a download of the safetensors files of a hub id."""
    path = Path(model).expanduser()
    if not path.is_dir():
        from huggingface_hub import snapshot_download

        wanted = ["*.json", "*.safetensors", "*.txt", "*.model"]  # never a pickle, never code
        try:
            with quiet():
                path = Path(snapshot_download(str(model), allow_patterns=wanted))
        except Exception as error:  # the hub raises a dozen types, all with the same mend
            raise FileNotFoundError(
                f"model {str(model)!r} is neither a folder here nor reachable on the model hub "
                f"({type(error).__name__}): give a folder with config.json, a tokenizer and "
                "*.safetensors, or connect to the hub once"
            ) from None
    for pattern in ("config.json", "*.safetensors"):
        if not any(path.glob(pattern)):
            raise FileNotFoundError(f"model folder {path} has no {pattern}: only safetensors load")
    return path


def weights_hash(folder: Path) -> str:
    """Return the sha256 of what decides a model's output: weights, tokenizer and settings."""
    digest = hashlib.sha256()
    for pattern in ("*.safetensors", "tokenizer.json", "config.json"):
        for path in sorted(folder.glob(pattern)):
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def convert_gguf(source: Path, target: Path) -> Path:
    """Convert a GGUF file to a safetensors folder once, and return the folder.

    The quantised weights are expanded to float32 exactly as transformers reads them. The folder is
    written aside and renamed under a lock, so that it is whole whenever it exists.
    """
    from filelock import FileLock

    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):
        if not target.is_dir():
            aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=target.name, suffix=".part"))
            try:
                _write_converted(source, aside)
                os.replace(aside, target)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
    return target


def _write_converted(source: Path, folder: Path) -> None:
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
    settings = model.config.to_dict()
    settings.pop("quantization_config", None)
    settings.update(dtype="float32", architectures=[type(model).__name__])
    (folder / "config.json").write_text(json.dumps(settings, indent=1, default=str), "utf-8")
    tokenizer.save_pretrained(folder)


def minilm(**options: Any) -> TransformerEncoder:
    """all-MiniLM-L6-v2: BERT family, 22 M weights, 384-d."""
    return TransformerEncoder(fetch.get("minilm"), name="minilm", **options)


def smollm2(**options: Any) -> TransformerEncoder:
    """SmolLM2-135M-Instruct: GPT family, 576-d, 4-bit file."""
    source = next(fetch.get("smollm2").glob("*.gguf"))
    with source.open("rb") as file:  # the name pins the bytes: another file is another folder
        digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    folder = convert_gguf(source, config.cache_dir() / "converted" / f"smollm2-{digest}")
    return TransformerEncoder(folder, name="smollm2", **options)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars and log lines of transformers and the hub, then restore them."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging

    level, bars, hub_silent = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        are_progress_bars_disabled(),
    )
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
        if not hub_silent:
            enable_progress_bars()


@contextlib.contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turn the many errors of a loader into one line."""
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"cannot load the model in {path}: {reason[0]:.200}") from error

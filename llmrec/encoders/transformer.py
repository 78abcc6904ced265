"""Language models as encoders: BERT-family and GPT-family, pooled to one vector a text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from llmrec import config
from llmrec.cache import key_of
from llmrec.encoders.base import Batch, Encoder
from llmrec.encoders.folders import (
    Precision,
    checked_precision,
    folder_sums,
    load_model,
    load_tokenizer,
    model_folder,
    quiet,
    read_json,
)

Pooling = Literal["mean", "last", "cls"]
BATCH_TOKENS = 4096  # fewer: more overhead; more: activations leave the processor cache
# Names in sentence-transformers' files; the longer ones are older.
_POOLING: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_POOLING |= {"mean_tokens": "mean", "cls_token": "cls"}


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
        return int(read_json(self.path / "config.json")["hidden_size"])

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


def _default_prompt(folder: Path) -> str:
    settings = read_json(folder / "config_sentence_transformers.json")
    return (settings.get("prompts") or {}).get(settings.get("default_prompt_name")) or ""


def _own_pooling(folder: Path, prefixed: bool) -> Pooling:
    """Return what the folder's sentence-transformers files say; mean where there are none."""
    settings = read_json(folder / "1_Pooling" / "config.json")
    modes = (
        settings.get("pooling_mode")
        or [  # one name or several; older files have switches
            name[13:] for name, on in settings.items() if name.startswith("pooling_mode_") and on
        ]
    )
    modes = [modes] if isinstance(modes, str) else modes or ["mean"]
    kinds = {module["type"].split(".")[-1] for module in read_json(folder / "modules.json")}
    unknown = [*modes, *sorted(kinds - {"Transformer", "Pooling", "Normalize"})]
    if prefixed and settings.get("include_prompt") is False:
        unknown.append("without its prompt")
    if len(unknown) > 1 or modes[0] not in _POOLING:
        raise ValueError(
            f"{folder} pools by {', '.join(unknown)}, which is not computed here: pass "
            "pooling='mean', 'last' or 'cls' to take that instead"
        )
    return _POOLING[modes[0]]

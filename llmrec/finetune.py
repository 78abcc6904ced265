"""LoRA: teach a language model the behaviour in ``split.train`` through a few small matrices.

``W x`` becomes ``W x + (α/r) B A x`` with ``A (r, d_in)`` random and ``B (d_out, r)`` zero at the
start, so that training begins at the pretrained model; only A and B learn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from llmrec import config
from llmrec.cache import key_of, write_json
from llmrec.data import Split, sequences
from llmrec.encoders import TransformerEncoder
from llmrec.encoders.folders import folder_sums, load_model, made_once, quiet
from llmrec.encoders.transformer import Pooling, padded, pooled
from llmrec.language_model import Ids, LanguageModel
from llmrec.prompts import Prompt, inside_quotes, prompt_template
from llmrec.training import minibatches, seeded, train


@dataclass(frozen=True)
class LoRA:
    """How to fine-tune.

    Attributes
    ----------
    rank, alpha:
        r and α of ``(α/r) B A``.
    layers:
        Names of the linear layers that learn, or ``"all-linear"``.
    lr, weight_decay, epochs, batch_size:
        AdamW's; a batch holds examples of the decoder, or pairs of the encoder.
    seed:
        Of A and of the order.

    Notes
    -----
    Hu et al., LoRA: low-rank adaptation of large language models, ICLR 2022.
    """

    rank: int = 8
    alpha: int = 16
    layers: str | tuple[str, ...] = "all-linear"
    lr: float = 5e-4
    weight_decay: float = 0.0
    epochs: int = 1
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.rank, self.alpha) < 1:
            raise ValueError(f"LoRA: rank={self.rank} and alpha={self.alpha} must be at least 1")

    def adapt(self, model: torch.nn.Module) -> Any:
        """Return the model with frozen weights and fresh adapters in its layers."""
        from peft import LoraConfig, get_peft_model

        layers = self.layers if isinstance(self.layers, str) else list(self.layers)
        settings = LoraConfig(r=self.rank, lora_alpha=self.alpha, target_modules=layers)
        with quiet():
            return get_peft_model(model, settings)


# --- the decoder --------------------------------------------------------------------------------


def finetune_decoder(
    model: LanguageModel,
    prompts: Sequence[Prompt],
    continuations: Sequence[str],
    lora: LoRA = LoRA(),
    progress: bool | None = None,
) -> LanguageModel:
    """Train adapters to raise the likelihood of each continuation after its prompt.

    The loss is the mean of ``−log p(w_t | prompt, w_<t)`` over the continuation's tokens only: the
    model is taught to answer, not to write prompts.

    Parameters
    ----------
    model:
        Without an adapter.
    prompts, continuations:
        Of one length, such as from `next_item_examples`.

    Returns
    -------
    LanguageModel
        The same model with the trained adapter, which lies in the cache in a folder named by the
        hash of weights, examples and settings: a second call only reads it.

    Raises
    ------
    ValueError
        When there is no example, or the model has an adapter already.

    Notes
    -----
    Training is in float32.
    """
    if model.adapter:
        raise ValueError(f"{model!r} is fine-tuned already: start from the model without adapter")
    if not len(prompts) or len(prompts) != len(continuations):
        raise ValueError(f"{len(prompts)} prompts and {len(continuations)} continuations to learn")
    pairs = [
        (model.prompt_ids(prompt), model.token_ids(continuation))
        for prompt, continuation in zip(prompts, continuations, strict=True)
    ]
    key = key_of([folder_sums(model.path), pairs, asdict(lora)])

    def learn(folder: Path) -> None:
        with seeded(lora.seed) as generator:
            torch.set_num_threads(config.threads())  # large matrices: a second thread pays
            adapted = lora.adapt(model.load().to(config.device()))

            def batches() -> Iterator[list[tuple[Ids, Ids]]]:
                for chosen in minibatches(len(pairs), lora.batch_size, generator):
                    yield [pairs[i] for i in chosen]

            train(
                adapted,
                batches,
                lambda batch: continuation_loss(adapted, batch),
                epochs=lora.epochs,
                lr=lora.lr,
                weight_decay=lora.weight_decay,
                progress=progress,
            )
        adapted.peft_config["default"].base_model_name_or_path = model.name  # no path of a machine
        with quiet():
            # "auto" would look the base model up on the hub
            adapted.save_pretrained(folder, save_embedding_layers=False)

    adapter = made_once(config.cache_dir() / "models" / f"decoder-{key}", learn)
    return LanguageModel(model.path, adapter, model.precision, model.cache)


def continuation_loss(model: Any, pairs: Sequence[tuple[Ids, Ids]]) -> Tensor:
    """Return the mean cross-entropy over the continuations' tokens of ``(prompt,
    continuation)``.
    """
    device = next(model.parameters()).device
    tokens, mask = padded([prompt + answer for prompt, answer in pairs])  # (b, t)
    targets = torch.full_like(tokens, -100)  # -100: not asked
    for row, (prompt, answer) in enumerate(pairs):
        targets[row, len(prompt) : len(prompt) + len(answer)] = torch.tensor(answer)
    asked = (targets[:, 1:] != -100).to(device)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = inner.base_model(
        input_ids=tokens.to(device), attention_mask=mask.long().to(device), use_cache=False
    )[0]  # (b, t, d)
    logits = inner.get_output_embeddings()(hidden[:, :-1][asked])  # scored where asked only
    return F.cross_entropy(logits.float(), targets[:, 1:].to(device)[asked])


def next_item_examples(
    split: Split,
    titles: Sequence[str],
    n: int,
    seed: int = 0,
    history: int = 10,
    kind: str = "film",
    prompt: str = "next",
) -> tuple[list[Prompt], list[str]]:
    """Return ``n`` prompts that tell a user's items up to a moment, and the item that came next.

    Parameters
    ----------
    split:
        Only ``split.train`` is read.
    titles:
        Item texts by code.
    n:
        Number of examples: distinct users while there are enough, each at a random moment.
    seed, history, kind, prompt:
        As in `PromptRanker`, whose wording for ``"likelihood"`` this is.

    Raises
    ------
    ValueError
        When no user has two train items.
    """
    taken = sequences(split.train, split.n_users, keep="first")
    taken = [items for items in taken if len(items) > 1]
    if not taken:
        raise ValueError("next_item_examples: no user has two train items")
    generator = np.random.default_rng(seed)
    wording = prompt_template(prompt)
    prompts: list[Prompt] = []
    continuations: list[str] = []
    order: np.ndarray = np.array([], np.int64)
    while len(prompts) < n:
        if not len(order):
            order = generator.permutation(len(taken))
        items, order = taken[order[0]], order[1:]
        at = int(generator.integers(1, len(items)))
        told = [titles[i] for i in items[max(0, at - history) : at]]
        prompts.append(wording.fill(told, kind))
        continuations.append(inside_quotes(titles[items[at]]) + '"')
    return prompts, continuations


# --- the encoder --------------------------------------------------------------------------------


def finetune_encoder(
    encoder: TransformerEncoder,
    split: Split,
    texts: Sequence[str],
    steps: int = 60,
    lora: LoRA = LoRA(batch_size=32),
    temperature: float = 0.05,
    max_length: int = 48,
    progress: bool | None = None,
) -> Path:
    """Train adapters so that items taken by one user get similar vectors; return a model folder.

    In-batch InfoNCE, both ways: for pairs ``(a_n, b_n)`` of items of user ``u_n``,
    ``−log exp(⟨a_n, b_n⟩/τ) / Σ_m exp(⟨a_n, b_m⟩/τ)``, where an item that ``u_n`` also took is no
    negative.

    Parameters
    ----------
    encoder:
        A mean- or last-pooled transformer, such as ``get_encoder("minilm", cache=False)``.
    split:
        Pairs come from ``split.train`` only: a random user, two of the user's items.
    texts:
        Item texts by code.
    steps:
        Batches; each epoch of `LoRA` has as many.
    temperature:
        τ > 0.
    max_length:
        Tokens read of a text in training.

    Returns
    -------
    Path
        A folder for ``get_encoder(folder)``: merged weights, with a fingerprint of their own, and
        the encoder's pooling. It lies in the cache, named by the hash of weights, data and
        settings.

    Raises
    ------
    ValueError
        When no user has two train items, or a text is empty.

    Notes
    -----
    Training is in float32.
    """
    sampler = _PairSampler(split)
    read = [encoder.prefix + text for text in texts]
    ids = encoder.tokenizer(read, truncation=True, max_length=max_length)["input_ids"]
    how = [encoder.pooling, encoder.prefix, steps, temperature, max_length, asdict(lora)]
    key = key_of([folder_sums(encoder.path), split.hash, list(texts), *how])

    def learn(folder: Path) -> None:
        with seeded(lora.seed) as generator:
            torch.set_num_threads(config.threads())
            adapted = lora.adapt(load_model("AutoModel", encoder.path).to(config.device()))

            def loss(batch: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Tensor:
                users, a, b = batch
                left, right = (
                    _embed(adapted, [ids[i] for i in x], encoder.pooling) for x in (a, b)
                )
                return info_nce(left, right, sampler.also_took(users, a, b), temperature)

            train(
                adapted,
                lambda: (sampler(lora.batch_size, generator) for _ in range(steps)),
                loss,
                epochs=lora.epochs,
                lr=lora.lr,
                weight_decay=lora.weight_decay,
                progress=progress,
            )
        with quiet():
            adapted.merge_and_unload().save_pretrained(folder)
            encoder.tokenizer.save_pretrained(folder)
        mode = "lasttoken" if encoder.pooling == "last" else encoder.pooling
        write_json(folder / "1_Pooling" / "config.json", {"pooling_mode": mode})

    return made_once(config.cache_dir() / "models" / f"encoder-{key}", learn)


def info_nce(left: Tensor, right: Tensor, excluded: Tensor, temperature: float) -> Tensor:
    """Return the symmetric in-batch contrastive loss of unit rows ``(B, d)``.

    ``excluded (B, B)`` marks pairs ``(n, m)`` that are no negatives; the diagonal never is.
    """
    scores = left @ right.T / temperature  # (B, B)
    own = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    scores = scores.masked_fill(excluded.to(scores.device) & ~own, -torch.inf)
    target = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


class _PairSampler:
    """Draws users with two train items, and two different items of each."""

    def __init__(self, split: Split) -> None:
        self.taken = split.matrix("train")
        self.users = np.flatnonzero(self.taken.getnnz(axis=1) > 1)
        if not len(self.users):
            raise ValueError("finetune_encoder: no user has two train items")

    def __call__(
        self, n: int, generator: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        users = generator.choice(self.users, n)
        pairs = [generator.choice(self.taken[user].indices, 2, replace=False) for user in users]
        a, b = np.array(pairs).T
        return users, a, b

    def also_took(self, users: np.ndarray, a: np.ndarray, b: np.ndarray) -> Tensor:
        """Mark ``(n, m)`` where user n took ``b_m``, or user m took ``a_n``."""
        right = self.taken[users][:, b].toarray() > 0
        left = self.taken[users][:, a].toarray().T > 0
        return torch.from_numpy(right | left)


def _embed(model: Any, ids: Sequence[Sequence[int]], pooling: Pooling) -> Tensor:
    """Pool as `TransformerEncoder` does, with gradients; unit rows ``(b, d)``."""
    device = next(model.parameters()).device
    tokens, mask = padded(ids)
    hidden = model(input_ids=tokens.to(device), attention_mask=mask.long().to(device))[0]
    return F.normalize(pooled(hidden, mask.to(device), pooling), dim=1)

"""A causal language model: likelihood of a continuation, next words, greedy text."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from llmrec import config
from llmrec.encoders.base import fingerprint_of
from llmrec.encoders.transformer import (
    PRECISION_VARIABLE,
    Precision,
    model_folder,
    one_line_errors,
    quiet,
    smollm2,
    weights_hash,
)
from llmrec.prompts import Chat, Prompt
from llmrec.shards import JsonShards, key_of
from llmrec.token_tree import Ids, Pair, TokenTree, trees

TREE_TOKENS = 512  # of likelihood: fewer, more overhead; more, attention grows with the square
HEAD_ROWS = 256  # positions whose probabilities over the vocabulary are held at once
BATCH_PROMPTS = 16  # of generation
KEEP_EVERY = 16  # batches between two writes of the cache: what an interruption may lose
_MARK = "\ue000{}\ue001"  # stands for a message in the chat's frame; private use, so in no wording

Compute = Callable[[Sequence[Any]], Iterator[dict[Any, Any]]]  # questions → answers, in batches


@dataclass(frozen=True)
class Likelihood:
    """Log-likelihoods of ``n`` continuations.

    Attributes
    ----------
    total:
        float64 ``(n,)``, ``Σ_t log p(w_t | prompt, w_<t)``, in nats.
    tokens:
        int64 ``(n,)``, how many tokens each continuation has.
    """

    total: np.ndarray
    tokens: np.ndarray

    @property
    def mean(self) -> np.ndarray:
        """``total / tokens``: what compares continuations of different lengths."""
        return self.total / self.tokens


class LanguageModel:
    """A decoder that predicts the next token, with its answers kept on disk.

    Text is read as text: no string in a prompt, a chat message or a continuation ever becomes a
    special token, so that ``<|im_end|>`` inside an item's title is ten harmless characters. Special
    tokens come from the model's own chat frame only.

    Parameters
    ----------
    model:
        ``"smollm2"`` (bundled: SmolLM2-135M-Instruct), a folder with safetensors weights, or a
        Hugging Face id. Pickled weights and remote code are never loaded.
    adapter:
        Folder of a LoRA adapter, merged into the weights when they are loaded.
    precision:
        ``"float32"`` or ``"bfloat16"`` (``LLMREC_PRECISION`` sets it too). ``"auto"`` is float32:
        a vector survives bfloat16's rounding, but an order of likelihoods or a choice of words may
        not, and another machine would tell another story.
    cache:
        Keep results on disk, so that a second run is quick and an interrupted one goes on.

    Raises
    ------
    FileNotFoundError
        When the model is not here and cannot be downloaded.
    ValueError
        When the precision is unknown, or the weights cannot be loaded.

    Notes
    -----
    Results depend on how texts are batched by float rounding only.
    """

    def __init__(
        self,
        model: str | Path = "smollm2",
        adapter: Path | None = None,
        precision: Precision | None = None,
        cache: bool = True,
    ) -> None:
        asked = precision or os.environ.get(PRECISION_VARIABLE) or "auto"
        if asked not in get_args(Precision):
            raise ValueError(f"precision {asked!r} is not 'auto', 'bfloat16' or 'float32'")
        self.name = Path(model).name
        self.path = smollm2().path if model == "smollm2" else model_folder(model)
        self.adapter = adapter
        self.precision = "float32" if asked == "auto" else asked
        self.cache = cache

    def __repr__(self) -> str:
        tuned = f", adapter={self.adapter.name!r}" if self.adapter else ""
        return f"LanguageModel({self.name!r}{tuned})"

    @cached_property
    def fingerprint(self) -> str:
        """Hex digits that change whenever the answers might: weights, adapter, precision."""
        adapter = ""
        if self.adapter:
            settings = json.loads((self.adapter / "adapter_config.json").read_text("utf-8"))
            adapter = weights_hash(self.adapter) + key_of(settings)
        return fingerprint_of(
            weights=weights_hash(self.path), adapter=adapter, precision=self.precision
        )

    @cached_property
    def tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        with quiet(), one_line_errors(self.path):
            return AutoTokenizer.from_pretrained(self.path, trust_remote_code=False)

    @cached_property
    def model(self) -> Any:
        """The network on `config.device`, adapter merged; its head computes in float32."""
        model = self.load()
        if self.adapter:
            from peft import PeftModel

            with quiet(), one_line_errors(self.adapter):
                model = PeftModel.from_pretrained(model, self.adapter).merge_and_unload()
        model = model.to(getattr(torch, self.precision))
        if self.precision != "float32":
            _widen_head(model)  # bfloat16 logits come in steps of an eighth: words would tie
        return model.eval().to(config.device())

    def load(self) -> Any:
        """Return a fresh copy of the network in float32 on the CPU, without the adapter."""
        from transformers import AutoModelForCausalLM

        with quiet(), one_line_errors(self.path):
            return AutoModelForCausalLM.from_pretrained(
                self.path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
            )

    # --- text to tokens ---------------------------------------------------------------------------

    def token_ids(self, text: str) -> Ids:
        """Return the tokens of a text, none of them special, whatever the text holds."""
        return self._plain([text])[0]

    def prompt_ids(self, prompt: Prompt) -> Ids:
        """Return the tokens of a prompt: plain text, or a chat turn inside the model's own frame.

        Raises
        ------
        ValueError
            When the prompt is empty, or is a chat turn and the model has no chat template.
        """
        ids = self.token_ids(prompt) if isinstance(prompt, str) else self._chat_ids(prompt)
        if not ids:
            raise ValueError("a prompt is empty: the model needs at least one token to go on from")
        return ids

    def _plain(self, texts: Sequence[str]) -> list[Ids]:
        if not texts:
            return []
        with quiet():
            found = self.tokenizer(
                list(texts), add_special_tokens=False, split_special_tokens=True
            )["input_ids"]
        return [tuple(ids) for ids in found]

    def _chat_ids(self, chat: Chat) -> Ids:
        """Fill the frame token by token: its special tokens are real, a message's never are."""
        contents = [chat.system.strip()] if chat.system else []
        contents.append(chat.user.strip())
        ids: list[int] = []
        for piece, content in zip(
            self._frame(len(contents)), [*contents, chat.answer], strict=True
        ):
            ids += piece
            ids += self.token_ids(content) if content else ()
        return tuple(ids)

    def _frame(self, n: int) -> list[Ids]:
        """Tokens of the chat template before, between and after ``n`` messages."""
        roles = ("system", "user")[-n:]
        turns = [{"role": r, "content": _MARK.format(i)} for i, r in enumerate(roles)]
        if not self.tokenizer.chat_template:
            raise ValueError(f"{self.path} has no chat template: ask it with plain text")
        rest = self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        pieces = []
        for place in range(n):
            before, _, rest = rest.partition(_MARK.format(place))
            pieces.append(before)
        encode = self.tokenizer
        return [tuple(encode(p, add_special_tokens=False)["input_ids"]) for p in (*pieces, rest)]

    # --- likelihood -------------------------------------------------------------------------------

    def log_likelihood(self, prompts: Sequence[Prompt], continuations: Sequence[str]) -> Likelihood:
        """Return the log-likelihood of each continuation after its prompt.

        Parameters
        ----------
        prompts, continuations:
            Of one length ``n``. What prompts and continuations have in common at their beginning
            is read once. The boundary between prompt and continuation is a boundary of tokens.

        Raises
        ------
        ValueError
            When the lengths differ, or a prompt or a continuation is empty or too long.
        """
        if len(prompts) != len(continuations):
            raise ValueError(f"{len(prompts)} prompts but {len(continuations)} continuations")
        heads = {prompt: self.prompt_ids(prompt) for prompt in dict.fromkeys(prompts)}
        distinct = list(dict.fromkeys(continuations))
        tails = dict(zip(distinct, self._plain(distinct), strict=True))
        if not all(tails.values()):
            raise ValueError("a continuation is empty: its likelihood would be 1 whatever it means")
        pairs = [(heads[p], tails[c]) for p, c in zip(prompts, continuations, strict=True)]
        found = self._answers("likelihood", pairs, self._score_pairs)
        return Likelihood(
            np.array([found[pair] for pair in pairs], np.float64),
            np.array([len(tail) for _, tail in pairs], np.int64),
        )

    def next_words(self, prompt: Prompt, k: int = 10) -> list[tuple[str, float]]:
        """Return the ``k`` most probable next tokens, as text, with their probabilities."""
        tree = TokenTree()
        tree.add(self.prompt_ids(prompt), (0,))
        state = self._states(tree)[:, -1]
        with torch.inference_mode():
            best = self.model.get_output_embeddings()(state).float().softmax(-1)[0].topk(k)
        words = [self.tokenizer.decode([int(token)]) for token in best.indices]
        return list(zip(words, best.values.tolist(), strict=True))

    def _score_pairs(self, pairs: Sequence[Pair]) -> Iterator[dict[Pair, float]]:
        self._check_length(max(len(prompt) + len(answer) for prompt, answer in pairs))
        for tree in trees(pairs, TREE_TOKENS):
            said = [tree.path(*pair) for pair in tree.pairs]
            states = self._states(tree)[0, [node for path in said for node in path]]
            steps = self._log_probability(states, [t for _, answer in tree.pairs for t in answer])
            ends = np.cumsum([len(path) for path in said])[:-1]
            sums = [float(part.sum()) for part in np.split(steps, ends)]
            yield dict(zip(tree.pairs, sums, strict=True))

    @torch.inference_mode()
    def _states(self, tree: TokenTree) -> torch.Tensor:
        """Return the hidden state at each node of a tree of tokens, ``(1, t, d)``."""
        torch.set_num_threads(config.threads())
        device = next(self.model.parameters()).device
        return self.model.base_model(
            input_ids=torch.tensor([tree.tokens], device=device),
            position_ids=torch.tensor([tree.depths], device=device),
            attention_mask=torch.from_numpy(tree.ancestors())[None, None].to(device),
            use_cache=False,
        )[0]

    @torch.inference_mode()
    def _log_probability(self, states: torch.Tensor, tokens: Sequence[int]) -> np.ndarray:
        """Return ``log p`` of the token after each state, float64 ``(n,)``."""
        asked = torch.tensor(tokens, device=states.device)[:, None]
        picked = []
        for part, token in zip(states.split(HEAD_ROWS), asked.split(HEAD_ROWS), strict=True):
            log_p = F.log_softmax(self.model.get_output_embeddings()(part).float(), dim=-1)
            picked.append(log_p.gather(1, token)[:, 0])
        return torch.cat(picked).double().cpu().numpy()

    # --- generation -------------------------------------------------------------------------------

    def generate(
        self, prompts: Sequence[Prompt], max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> list[str]:
        """Return what the model writes after each prompt, always the most probable next token.

        Parameters
        ----------
        prompts:
            Any number; equal ones are answered once.
        max_new_tokens:
            The text ends there, at the model's own end of turn, or before the first ``stop``.
        stop:
            Strings that end a text and do not belong to it.
        """
        heads = {prompt: self.prompt_ids(prompt) for prompt in dict.fromkeys(prompts)}
        kind = f"generate {max_new_tokens} {json.dumps(list(stop))}"

        def write(asked: Sequence[Ids]) -> Iterator[dict[Any, str]]:
            ordered = sorted(asked, key=lambda ids: (-len(ids), ids))
            self._check_length(len(ordered[0]) + max_new_tokens)
            for start in range(0, len(ordered), BATCH_PROMPTS):
                batch = ordered[start : start + BATCH_PROMPTS]
                yield dict(zip(batch, self._write(batch, max_new_tokens, stop), strict=True))

        found = self._answers(kind, list(heads.values()), write)
        return [found[heads[prompt]] for prompt in prompts]

    @torch.inference_mode()
    def _write(self, batch: Sequence[Ids], max_new_tokens: int, stop: Sequence[str]) -> list[str]:
        from transformers import GenerationConfig, StoppingCriteriaList

        torch.set_num_threads(config.threads())
        width = max(map(len, batch))
        end = self.tokenizer.eos_token_id
        tokens = torch.full((len(batch), width), end or 0)  # padded on the left
        for row, ids in enumerate(batch):
            tokens[row, width - len(ids) :] = torch.tensor(ids)
        mask = torch.arange(width) >= torch.tensor([width - len(ids) for ids in batch])[:, None]

        def text_of(ids: torch.Tensor) -> str:
            return self.tokenizer.decode(ids[width:], skip_special_tokens=True)

        def stopped(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            hit = [any(mark in text_of(row) for mark in stop) for row in ids]
            return torch.tensor(hit, device=ids.device)

        device = next(self.model.parameters()).device
        with quiet():
            out = self.model.generate(
                tokens.to(device),
                attention_mask=mask.long().to(device),
                generation_config=GenerationConfig(
                    do_sample=False,
                    max_new_tokens=max_new_tokens,
                    eos_token_id=end,
                    pad_token_id=end or 0,
                ),
                stopping_criteria=StoppingCriteriaList([stopped] if stop else []),
            )
        texts = [text_of(row) for row in out]
        for mark in stop:
            texts = [text.split(mark)[0] for text in texts]
        return [text.strip() for text in texts]

    # --- what both share --------------------------------------------------------------------------

    @cached_property
    def _kept(self) -> JsonShards:
        return JsonShards(config.cache_dir() / "language_model" / self.fingerprint)

    def _answers(self, kind: str, asked: Sequence[Any], compute: Compute) -> dict[Any, Any]:
        """Answer from the cache what it holds, compute the rest, and keep it batch by batch."""
        keys = {question: key_of(kind, question) for question in dict.fromkeys(asked)}
        known = self._kept.read() if self.cache else {}
        found = {question: known[key] for question, key in keys.items() if key in known}
        missing = [question for question in keys if question not in found]
        waiting: dict[str, Any] = {}
        try:
            with tqdm(total=len(missing), desc=self.name, unit="text", delay=3, leave=False) as bar:
                for n, answers in enumerate(compute(missing) if missing else (), start=1):
                    found |= answers
                    waiting |= {keys[question]: answer for question, answer in answers.items()}
                    bar.update(len(answers))
                    if self.cache and n % KEEP_EVERY == 0:
                        self._kept.add(waiting)
                        waiting = {}
        finally:  # also when interrupted: what is computed is kept
            if self.cache:
                self._kept.add(waiting)
        return found

    def _check_length(self, width: int) -> None:
        limit = getattr(self.model.config, "max_position_embeddings", None)
        if limit and width > limit:
            raise ValueError(
                f"a prompt with its continuation has {width} tokens but {self.name} reads {limit}:"
                " shorten the history"
            )


def _widen_head(model: Any) -> None:
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.float(), requires_grad=False)  # no longer tied
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))

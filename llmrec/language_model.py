"""A causal language model: likelihood of a continuation, next words, greedy text."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from llmrec import config
from llmrec.cache import Cache, key_of
from llmrec.encoders import folders
from llmrec.encoders.folders import one_line_errors, quiet
from llmrec.encoders.transformer import padded
from llmrec.prompts import Chat, Prompt

Ids = tuple[int, ...]
Pair = tuple[Ids, Ids]  # prompt, continuation
Compute = Callable[[Sequence[Any]], Iterator[dict[Any, Any]]]  # questions → answers, in batches

TREE_TOKENS = 512  # of likelihood: fewer, more overhead; more, attention grows with the square
HEAD_ROWS = 256  # positions whose probabilities over the vocabulary are held at once
BATCH_PROMPTS = 16  # of generation
_MARK = "\ue000"  # stands for a message in the chat's frame; private use, so in no wording


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
        ``"float32"`` (the default) or ``"bfloat16"`` (``LLMREC_PRECISION`` sets it, too): a vector
        survives bfloat16's rounding, but an order of likelihoods or a choice of words may not.
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
        precision: folders.Precision | None = None,
        cache: bool = True,
    ) -> None:
        self.precision = folders.checked_precision(precision)
        self.name = Path(model).name
        self.path = folders.model_folder(model)
        self.adapter, self.cache = adapter, cache

    def __repr__(self) -> str:
        tuned = f", adapter={self.adapter.name!r}" if self.adapter else ""
        return f"LanguageModel({self.name!r}{tuned})"

    @cached_property
    def fingerprint(self) -> str:
        """Hex digits that change whenever the answers might: weights, adapter, precision."""
        adapter = folders.folder_sums(self.adapter) if self.adapter else ""
        return key_of([folders.folder_sums(self.path), adapter, self.precision])

    @cached_property
    def tokenizer(self) -> Any:
        return folders.load_tokenizer(self.path)

    @cached_property
    def model(self) -> Any:
        """The network on `config.device`, adapter merged; its head computes in float32."""
        model = self.load()
        if self.adapter:
            from peft import PeftModel

            with quiet(), one_line_errors(self.adapter):
                model = PeftModel.from_pretrained(model, self.adapter).merge_and_unload()
        model = model.eval()
        self._shares = _shares_beginnings(model)
        if not self._shares:
            reason = "a shared pass does not give this model's likelihoods; this is slower"
            logging.getLogger(__name__).warning("%s: prompts are read one by one: %s", self, reason)
        model = model.to(getattr(torch, self.precision))
        if self.precision != "float32":
            _widen_head(model)  # bfloat16 logits come in steps of an eighth: words would tie
        return model.to(config.device())

    def load(self) -> Any:
        """Return a fresh copy of the network in float32 on the CPU, without the adapter."""
        return folders.load_model("AutoModelForCausalLM", self.path)

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
            found = self.tokenizer([*texts], add_special_tokens=False, split_special_tokens=True)
        return [tuple(ids) for ids in found["input_ids"]]

    def _chat_ids(self, chat: Chat) -> Ids:
        """Fill the frame token by token: its special tokens are real, a message's never are."""
        contents = [chat.system.strip()] if chat.system else []
        contents.append(chat.user.strip())
        ids: Ids = ()
        for piece, text in zip(self._frame(len(contents)), [*contents, chat.answer], strict=True):
            ids += piece + (self.token_ids(text) if text else ())
        return ids

    def _frame(self, n: int) -> list[Ids]:
        """Tokens of the chat template before, between and after ``n`` messages."""
        turns = [{"role": role, "content": _MARK} for role in ("system", "user")[-n:]]
        if not self.tokenizer.chat_template:
            raise ValueError(f"{self.path} has no chat template: ask it with plain text")
        encode = self.tokenizer
        frame = encode.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return [tuple(encode(p, add_special_tokens=False)["input_ids"]) for p in frame.split(_MARK)]

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
        torch.set_num_threads(config.threads())
        ids, model, tree = self.prompt_ids(prompt), self.model, _TokenTree()
        with torch.inference_mode():
            if self._reads_trees(ids):
                tree.add(ids, (0,))
                logits = model.get_output_embeddings()(_states(model, tree)[-1:])[0].float()
            else:
                logits = _logits(model, ids)[-1]
            best = logits.softmax(-1).topk(k)
        words = [self.tokenizer.decode([int(token)]) for token in best.indices]
        return list(zip(words, best.values.tolist(), strict=True))

    def _reads_trees(self, sequence: Ids) -> bool:
        return self._shares and len(sequence) <= _window(self.model.config)

    def _score_pairs(self, pairs: Sequence[Pair]) -> Iterator[dict[Pair, float]]:
        self._check_length(max(len(prompt) + len(answer) for prompt, answer in pairs))
        torch.set_num_threads(config.threads())
        model = self.model
        together = [pair for pair in sorted(pairs) if self._reads_trees(pair[0] + pair[1])]
        for prompt, answer in sorted(set(pairs).difference(together)):
            yield {(prompt, answer): float(_plain_scores(model, prompt, answer).sum())}
        for tree in _trees(together, TREE_TOKENS):
            scores = _tree_scores(model, tree)
            yield {pair: float(part.sum()) for pair, part in zip(tree.pairs, scores, strict=True)}

    # --- generation -------------------------------------------------------------------------------

    def generate(
        self, prompts: Sequence[Prompt], max_new_tokens: int = 64, stop: Sequence[str] = ()
    ) -> list[str]:
        """Return what the model writes after each prompt, always the most probable next token.

        A text ends after ``max_new_tokens``, at the model's own end of turn, or before the first
        of the strings in ``stop``. Equal prompts are answered once.
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
        tokens, mask = padded(batch, side="left")
        width = tokens.shape[1]
        end = self.tokenizer.eos_token_id

        def text_of(ids: torch.Tensor) -> str:
            return self.tokenizer.decode(ids[width:], skip_special_tokens=True)

        def stopped(ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
            hit = [any(mark in text_of(row) for mark in stop) for row in ids]
            return torch.tensor(hit, device=ids.device)

        # A model's own settings may ask for sampling or penalties: they are not read.
        greedy = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=end or 0)
        greedy.max_new_tokens = max_new_tokens
        with quiet():
            out = self.model.generate(
                tokens.to(self.model.device),
                attention_mask=mask.long().to(self.model.device),
                generation_config=greedy,
                stopping_criteria=StoppingCriteriaList([stopped] if stop else []),
            )
        texts = [text_of(row) for row in out]
        for mark in stop:
            texts = [text.split(mark)[0] for text in texts]
        return [text.strip() for text in texts]

    @cached_property
    def _kept(self) -> Cache:
        return Cache(config.cache_dir() / "language_model" / f"{self.fingerprint}.sqlite")

    def _answers(self, kind: str, asked: Sequence[Any], compute: Compute) -> dict[Any, Any]:
        """Answer from the cache what it holds, compute the rest, and keep it batch by batch."""
        keys = {question: key_of([kind, question]) for question in dict.fromkeys(asked)}
        known = self._kept.get(keys.values()) if self.cache else {}
        found = {question: json.loads(known[key]) for question, key in keys.items() if key in known}
        missing = [question for question in keys if question not in found]
        with tqdm(total=len(missing), desc=self.name, unit="text", delay=3, leave=False) as bar:
            for answers in compute(missing) if missing else ():
                found |= answers
                bar.update(len(answers))
                if self.cache:
                    self._kept.put({keys[q]: json.dumps(a).encode() for q, a in answers.items()})
        return found

    def _check_length(self, width: int) -> None:
        limit = getattr(self.model.config, "max_position_embeddings", None)
        if limit and width > limit:
            what = f"a prompt with its continuation has {width} tokens"
            raise ValueError(f"{what} but {self.name} reads {limit}: shorten the history")


def _widen_head(model: Any) -> None:
    head = model.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.float(), requires_grad=False)  # no longer tied
    head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))


# --- passes of the network ----------------------------------------------------------------------


def _logits(model: Any, ids: Ids) -> torch.Tensor:
    """Return float32 logits ``(t, vocabulary)`` of one plain pass over one sequence."""
    tokens = torch.tensor([ids], device=model.device)
    return model(input_ids=tokens, use_cache=False).logits[0].float()


@torch.inference_mode()
def _plain_scores(model: Any, prompt: Ids, answer: Ids) -> np.ndarray:
    """Return ``log p`` of each token of an answer, float64, from one plain pass."""
    log_p = _logits(model, prompt + answer[:-1])[len(prompt) - 1 :].log_softmax(-1)
    tokens = torch.tensor(answer, device=log_p.device)[:, None]
    return log_p.gather(1, tokens)[:, 0].double().cpu().numpy()


@torch.inference_mode()
def _tree_scores(model: Any, tree: _TokenTree) -> list[np.ndarray]:
    """Return ``log p`` of each token of each answer of a tree, float64, from one pass over it."""
    states = _states(model, tree)[[node for path in tree.paths for node in path]]
    tokens = [[token] for _, answer in tree.pairs for token in answer]
    asked = torch.tensor(tokens, device=states.device)
    picked = []
    for part, token in zip(states.split(HEAD_ROWS), asked.split(HEAD_ROWS), strict=True):
        log_p = F.log_softmax(model.get_output_embeddings()(part).float(), dim=-1)
        picked.append(log_p.gather(1, token)[:, 0])
    steps = torch.cat(picked).double().cpu().numpy()
    return np.split(steps, np.cumsum([len(path) for path in tree.paths])[:-1])


def _states(model: Any, tree: _TokenTree) -> torch.Tensor:
    """Return the hidden state at each node of a tree, ``(t, d)``."""
    return model.base_model(
        input_ids=torch.tensor([tree.tokens], device=model.device),
        position_ids=torch.tensor([tree.depths], device=model.device),
        attention_mask=torch.from_numpy(tree.ancestors())[None, None].to(model.device),
        use_cache=False,
    )[0][0]


def _window(settings: Any) -> float:
    """Return how many tokens back each layer sees: infinite in most models."""
    names = ("sliding_window", "window_size", "attention_chunk_size")
    sizes = [getattr(settings.get_text_config(), name, None) for name in names]
    return min(filter(None, sizes), default=np.inf)


def _shares_beginnings(model: Any) -> bool:
    """Check on two short pairs that a pass over their tree equals a plain pass over each.

    It does not where an architecture ignores a mask of its caller's or changes its logits after the
    head (soft-capping). A sequence longer than a sliding window is never read in a tree.
    """
    prompt = tuple(range(3, 19))
    pairs = [(prompt, (5, 40, 7)), (prompt[:8], (30, 4))]
    tree = next(_trees(pairs, TREE_TOKENS))
    plain = [_plain_scores(model, *pair) for pair in tree.pairs]
    try:
        shared = _tree_scores(model, tree)
    except (TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        return False  # such a mask, or positions, are no input of this architecture
    return all(np.allclose(a, b, rtol=0, atol=1e-3) for a, b in zip(shared, plain, strict=True))


class _TokenTree:
    """Token sequences with common beginnings, each beginning held once.

    A node sees its ancestors only, at the distance it has in its own sequence, so that one pass
    over the tree equals one pass over each sequence. A continuation's last token predicts nothing
    that is asked and is left out. ``tokens, depths, parents`` are each node's (the parent of a
    first token is -1), ``paths`` the nodes before each token of a pair's continuation.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.depths: list[int] = []
        self.parents: list[int] = []
        self.pairs: list[Pair] = []
        self.paths: list[list[int]] = []
        self._children: dict[tuple[int, int], int] = {}

    def add(self, prompt: Ids, answer: Ids) -> None:
        """Hold a pair, sharing what the tree holds of it already."""
        node, nodes = -1, []
        for depth, token in enumerate(prompt + answer[:-1]):
            child = self._children.setdefault((node, token), len(self.tokens))
            if child == len(self.tokens):  # a new one
                self.tokens.append(token)
                self.depths.append(depth)
                self.parents.append(node)
            node = child
            nodes.append(node)
        self.pairs.append((prompt, answer))
        self.paths.append(nodes[len(prompt) - 1 :])

    def news(self, sequence: Ids) -> int:
        """Count the tokens of a sequence that the tree does not hold."""
        node = -1
        for depth, token in enumerate(sequence):
            if (node, token) not in self._children:
                return len(sequence) - depth
            node = self._children[node, token]
        return 0

    def ancestors(self) -> np.ndarray:
        """Return boolean ``(t, t)``: the row's node sees the column's."""
        sees = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                sees[node] |= sees[parent]
        return sees


def _trees(pairs: Sequence[Pair], size: int) -> Iterator[_TokenTree]:
    """Pack pairs into trees of at most ``size`` tokens (a longer pair has a tree of its own).

    Sorted pairs share the most with their neighbours.
    """
    tree = _TokenTree()
    for prompt, answer in pairs:
        if tree.pairs and len(tree.tokens) + tree.news(prompt + answer[:-1]) > size:
            yield tree
            tree = _TokenTree()
        tree.add(prompt, answer)
    if tree.pairs:
        yield tree

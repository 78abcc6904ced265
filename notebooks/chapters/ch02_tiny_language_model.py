"""A language model small enough to train from scratch: byte pairs, a causal decoder, bits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from llmrec.training import seeded, softmax_loss, train
from llmrec.vectors import unit_rows

Words = Sequence[str]  # a cleaned text: its words and marks

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\sa-z0-9]")
_START = "<|text|>"  # begins every text and ends it; no word holds a "<" and a letter
_ALPHABET = [c for c in map(chr, range(33, 127)) if not c.isupper()]  # of clean_words
_END = "</w>"  # marks a word's last piece
_BATCH = 64  # texts read at once when nothing is learnt


def clean_words(text: str) -> list[str]:
    """Clean a text and cut it into words and marks: lower case, accents off, printable ASCII only.

    Examples
    --------
    >>> clean_words("Amélie's  World (2001)")
    ["amelie's", 'world', '(', '2001', ')']
    """
    bare = unicodedata.normalize("NFKD", text.lower()).encode("ascii", "ignore").decode()
    return [word for word in _WORD.findall(bare) if word.isprintable()]


def is_stop_word(word: str) -> bool:
    """Say whether scikit-learn's list of English stop words has this word."""
    return word in ENGLISH_STOP_WORDS


class BytePairs:
    """A vocabulary of frequent character sequences, learnt by byte pair encoding.

    From single characters on, the pair of neighbours that is most frequent inside words is merged,
    again and again, until there are ``size`` pieces, the mark between texts included. No word is
    unknown: a rare one falls into characters (Sennrich, Haddow and Birch, ACL 2016). ValueError
    when there is no text, or ``size`` leaves no room for the characters.
    """

    def __init__(self, texts: Sequence[Words], size: int = 1024) -> None:
        if size <= 2 * len(_ALPHABET) + 1:
            raise ValueError(f"BytePairs: size={size} must be over {2 * len(_ALPHABET) + 1}")
        if not any(texts):
            raise ValueError("BytePairs: there is no text to learn from")
        self.tokenizer: Any = Tokenizer(models.BPE(end_of_word_suffix=_END))
        self.tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        characters = [*_ALPHABET, *(char + _END for char in _ALPHABET)]
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=[_START, *characters],
            show_progress=False,
            end_of_word_suffix=_END,
        )
        self.tokenizer.train_from_iterator((" ".join(words) for words in texts), trainer)
        self._pieces: dict[str, list[int]] = {}

    @property
    def size(self) -> int:
        """How many pieces there are."""
        return int(self.tokenizer.get_vocab_size())

    def pieces(self, word: str) -> list[str]:
        """Return the pieces of one word, such as ``["god", "fa", "ther"]``."""
        return [self.tokenizer.id_to_token(code).replace(_END, "") for code in self.codes(word)]

    def codes(self, word: str) -> list[int]:
        """Return the codes of one word's pieces; code 0 is the mark between texts."""
        known = self._pieces.get(word)
        if known is None:
            if not word or not set(word) <= set(_ALPHABET):
                raise ValueError(f"word {word!r} is not clean: use clean_words(text)")
            model = self.tokenizer.model
            known = self._pieces[word] = [token.id for token in model.tokenize(word)]
        return known

    def words(self, codes: Sequence[int]) -> list[str]:
        """Return the words that codes spell, the inverse of `codes` word by word."""
        text = "".join(self.tokenizer.id_to_token(int(code)) for code in codes if code)
        return text.replace(_END, " ").split()


class Block(nn.Module):
    """One layer: ``x + Attention(norm(x))``, then ``x + MLP(norm(x))``."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_look, self.norm_think = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.think = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        parts = self.query_key_value(self.norm_look(x)).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d / heads)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(b, t, d))
        out: Tensor = x + self.think(self.norm_think(x))
        return out


class TinyDecoder(nn.Module):
    """Tokens ``(B, T)`` to logits of the next token ``(B, T, V)``; one table at both ends."""

    def __init__(self, size: int, dim: int, layers: int, heads: int, context: int) -> None:
        super().__init__()
        self.token = nn.Embedding(size, dim)
        self.position = nn.Embedding(context, dim)
        self.blocks = nn.Sequential(*(Block(dim, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(dim)
        for table in (self.token, self.position):
            nn.init.normal_(table.weight, std=0.02)

    def states(self, tokens: Tensor) -> Tensor:
        """Return the last hidden states ``(B, T, d)``."""
        place = torch.arange(tokens.shape[1], device=tokens.device)
        states: Tensor = self.norm(self.blocks(self.token(tokens) + self.position(place)))
        return states

    def forward(self, tokens: Tensor) -> Tensor:
        return self.states(tokens) @ self.token.weight.T


@dataclass(eq=False, repr=False)
class TinyLanguageModel:
    """A decoder trained from scratch on short texts, with the next token as its only lesson.

    Two models that share a ``vocabulary`` can be compared word by word. ``dim`` is a multiple of
    ``heads``; ``context`` is the longest text in tokens, its two ends included. Adam takes
    ``batch_size`` texts a step and stops after ``patience`` epochs without a better validation
    loss. The same seed gives the same bits. ``losses_`` and ``valid_losses_`` are means of each
    epoch in nats a token, on training and on validation texts.
    """

    vocabulary: BytePairs
    dim: int = 128
    layers: int = 2
    heads: int = 4
    context: int = 128
    epochs: int = 10
    lr: float = 2e-3
    batch_size: int = 32
    patience: int = 2
    seed: int = 0
    network_: TinyDecoder = field(init=False)
    losses_: list[float] = field(init=False)
    valid_losses_: list[float] = field(init=False)

    def fit(self, texts: Sequence[Words], valid: Sequence[Words] = ()) -> TinyLanguageModel:
        """Minimise ``−log p(next token)`` over the texts; keep the epoch best on ``valid``."""
        if not texts:
            raise ValueError("TinyLanguageModel: there is no text to learn from")
        if self.dim % self.heads:
            raise ValueError(f"dim={self.dim} is not a multiple of heads={self.heads}")
        rows, held_out = self._rows(texts), self._rows(valid)
        self.valid_losses_ = []

        def validate() -> float:
            self.valid_losses_.append(self._mean_loss(held_out))
            return -self.valid_losses_[-1]

        with seeded(self.seed) as generator:
            shape = (self.dim, self.layers, self.heads, self.context)
            self.network_ = TinyDecoder(self.vocabulary.size, *shape)
            self.losses_ = train(
                self.network_,
                lambda: _batches(rows, self.batch_size, generator),
                lambda batch: _next_token_loss(self.network_, batch),
                epochs=self.epochs,
                lr=self.lr,
                validate=validate if held_out else None,
                patience=self.patience,
                progress=False,
            )
        return self

    @torch.inference_mode()
    def bits(self, texts: Sequence[Words]) -> list[np.ndarray]:
        """Return the bits of each word after those before it, ``−Σ log₂ p`` over its pieces.

        One float64 array ``(n_words + 1,)`` a text; the last entry is the end of the text.
        """
        out: list[np.ndarray] = []
        for rows, tokens in self._padded(texts):
            log_p = F.log_softmax(self.network_(tokens[:, :-1]), dim=-1)
            nats = -log_p.gather(2, tokens[:, 1:, None])[:, :, 0].double().numpy()  # (B, T - 1)
            for row, words, cost in zip(rows, texts[len(out) :], nats, strict=False):
                pieces = [len(self.vocabulary.codes(word)) for word in words]
                starts = np.cumsum([0, *pieces])
                out.append(np.add.reduceat(cost[: len(row) - 1], starts) / np.log(2))
        return out

    @torch.inference_mode()
    def encode(self, texts: Sequence[Words]) -> np.ndarray:
        """Return unit rows float32 ``(n, dim)``: the mean state over a text's pieces, or zero."""
        means = np.zeros((len(texts), self.dim), np.float32)
        done = 0
        for rows, tokens in self._padded(texts):
            states = self.network_.states(tokens)
            for row, state in zip(rows, states, strict=True):
                if len(row) > 2:
                    means[done] = state[1 : len(row) - 1].mean(dim=0).numpy()
                done += 1
        return unit_rows(means)

    @torch.inference_mode()
    def write(self, begin: Words, generator: np.random.Generator) -> list[str]:
        """Return words drawn one piece after the other until the text ends, after ``begin``."""
        codes = [0, *(code for word in begin for code in self.vocabulary.codes(word))]
        while len(codes) < self.context:
            p = F.softmax(self.network_(torch.tensor([codes]))[0, -1].double(), dim=0).numpy()
            code = int(generator.choice(len(p), p=p / p.sum()))
            if code == 0:
                break
            codes.append(code)
        return self.vocabulary.words(codes)

    def _rows(self, texts: Sequence[Words]) -> list[list[int]]:
        """Tokens of each text between its two ends."""
        rows = [
            [0, *(c for word in words for c in self.vocabulary.codes(word)), 0] for words in texts
        ]
        for place, row in enumerate(rows):
            if len(row) > self.context:
                raise ValueError(
                    f"text {place} has {len(row)} tokens, more than context={self.context}: "
                    "shorten it or raise context"
                )
        return rows

    def _padded(self, texts: Sequence[Words]) -> Iterator[tuple[list[list[int]], Tensor]]:
        rows = self._rows(texts)
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            yield batch, _pad(batch, 0)

    def _mean_loss(self, rows: list[list[int]]) -> float:
        """Mean nats a token, every token of all rows counting the same."""
        total = 0.0
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            n = sum(len(row) - 1 for row in batch)
            total += n * float(_next_token_loss(self.network_, _pad(batch, -1)))
        return total / sum(len(row) - 1 for row in rows)


def bits_per_character(bits: Sequence[np.ndarray], texts: Sequence[Words]) -> float:
    """Return ``Σ bits / Σ characters``, with one character for the space after each word.

    ``bits`` holds an array a text. The vocabulary cancels out: models with other pieces can be
    compared on the same texts.

    Examples
    --------
    >>> bits_per_character([np.array([6.0, 4.0])], [["heat", "1995"]])
    1.0
    """
    characters = sum(len(word) + 1 for words in texts for word in words)
    return float(sum(array.sum() for array in bits)) / characters


def _next_token_loss(network: TinyDecoder, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of each token after those before it; -1 pads."""
    targets = tokens[:, 1:]
    logits = network(tokens[:, :-1].clamp(min=0))  # (B, T - 1, V)
    real = targets >= 0
    return softmax_loss(logits[real], targets[real])


def _batches(rows: list[list[int]], size: int, generator: np.random.Generator) -> Iterator[Tensor]:
    """Yield batches in random order, texts of like length together so that little is padding."""
    order = sorted(generator.permutation(len(rows)), key=lambda i: len(rows[i]))
    starts = generator.permutation(np.arange(0, len(order), size))
    for start in starts:
        yield _pad([rows[i] for i in order[start : start + size]], -1)


def _pad(rows: list[list[int]], fill: int) -> Tensor:
    """Return int64 ``(B, longest)``, short rows filled up at their end."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=fill)

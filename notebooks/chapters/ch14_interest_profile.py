"""The decoder writes down a user's interest; the words are encoded, and checked against the
facts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from llmrec.data import Split
from llmrec.encoders import Encoder
from llmrec.language_model import LanguageModel
from llmrec.models.base import Features, mean_history
from llmrec.models.prompt_ranker import recent_items
from llmrec.prompts import Chat, prompt_template
from llmrec.text import clean, item_text
from llmrec.vectors import unit_rows

_QUOTED = re.compile(r'["“]([^"“”]{2,80}?)[,.]?["”]')


class InterestProfile:
    """Two sentences on what a user likes, written by a language model from ``split.history``.

    Parameters
    ----------
    model:
        The language model; None: the bundled one.
    history:
        How many of the latest items it is told.
    item:
        Item template of `llmrec.text.item_text`: what it is told of each.
    kind:
        Noun of an item in the prompt.
    max_new_tokens:
        Longest profile, in tokens.
    prompt:
        Name in ``prompts.yml``.

    Notes
    -----
    Test rows are never read.
    """

    def __init__(
        self,
        model: LanguageModel | None = None,
        history: int = 10,
        item: str = "{title}[ ({genres})]",
        kind: str = "film",
        max_new_tokens: int = 48,
        prompt: str = "profile",
    ) -> None:
        self.model = model
        self.history = history
        self.item = item
        self.kind = kind
        self.max_new_tokens = max_new_tokens
        self.prompt = prompt

    def write(self, split: Split, users: ArrayLike) -> list[str]:
        """Return the profile of each user code; a user without a history gets an empty one.

        The profile ends at its last full sentence, when it has one.
        """
        told = recent_items(split, self.history)
        titles = item_text(split.dataset.items, self.item)
        wording = prompt_template(self.prompt)
        codes = [int(user) for user in np.asarray(users)]
        asked = [user for user in codes if len(told[user])]
        prompts = [wording.fill([titles[i] for i in told[user]], self.kind) for user in asked]
        model = self.model or LanguageModel()
        written = model.generate(prompts, self.max_new_tokens, stop=("\n\n",))
        texts = {
            user: _whole_sentences(f"{_start(prompt)} {text}")
            for user, prompt, text in zip(asked, prompts, written, strict=True)
        }
        return [texts.get(user, "") for user in codes]

    def features(
        self, split: Split, users: ArrayLike, encoder: Encoder, items: np.ndarray
    ) -> Features:
        """Return ``Features`` whose user vectors are the encoded profiles.

        Parameters
        ----------
        users:
            User codes to write a profile for; the other users' vectors stay zero, so evaluate
            these users only.
        encoder:
            Encodes the profiles; ``items (n_items, d)`` come from the same one.
        """
        codes = np.asarray(users)
        vectors = np.zeros((split.n_users, encoder.dim), np.float32)
        vectors[codes] = encoder.encode(self.write(split, codes))
        return Features(items=items, users=vectors)


@dataclass(frozen=True)
class Faithfulness:
    """What of each profile the user's history bears out; all arrays ``(n,)``, a row a profile.

    Attributes
    ----------
    topics:
        How many of the catalogue's topics (such as genres) the profile names.
    supported, supported_by_other:
        Share of them that an item of the user's own history has, and of another user's history
        (the null: popular topics are in everybody's); NaN where none is named.
    titles, invented:
        How many titles the profile names, and how many of them are not in the history.
    own, other:
        Cosine of the profile's vector to the mean of the own history's item vectors, and its mean
        over the other users' histories.
    identified:
        Share of other users whose history is less like the profile than the own one; ½ by chance.
    """

    topics: np.ndarray
    supported: np.ndarray
    supported_by_other: np.ndarray
    titles: np.ndarray
    invented: np.ndarray
    own: np.ndarray
    other: np.ndarray
    identified: np.ndarray


def faithfulness(
    profiles: Sequence[str],
    split: Split,
    users: ArrayLike,
    encoder: Encoder,
    items: np.ndarray,
    topics: str = "genres",
    history: int = 10,
) -> Faithfulness:
    """Hold each profile against the history it was written from, and against other users'.

    A topic is named when its word stands in the profile, in the singular or plural. A title
    is named when a catalogue title of two or more words stands in it, or when something stands in
    double quotes; one-word titles outside quotes (such as Heat) are words.

    Parameters
    ----------
    profiles, users:
        Of one length ``n`` ≥ 2; user codes.
    encoder, items:
        Encodes the profiles; the item vectors ``(n_items, d)`` of the same encoder.
    topics:
        Column of the items table with comma-separated topics.
    history:
        The ``history`` of the `InterestProfile`: what the model was told.

    Raises
    ------
    ValueError
        When lengths differ or fewer than two profiles are given.
    KeyError
        When the items table lacks the topics' column.

    Notes
    -----
    The null of ``supported_by_other`` is the next user in order.
    """
    codes = np.asarray(users)
    if len(codes) != len(profiles) or len(codes) < 2:
        raise ValueError(
            f"faithfulness: {len(profiles)} profiles and {len(codes)} users; give as many of each,"
            " at least 2"
        )
    table = split.dataset.items
    if topics not in table:
        raise KeyError(f"items have no column {topics!r}: they have {', '.join(table.columns)}")
    of_item = [_topics(cell) for cell in table[topics]]
    vocabulary = sorted(set().union(*of_item))
    names = item_text(table, "title")
    long_names = {name for name in names if len(name.split()) > 1}
    told = [recent_items(split, history)[user] for user in codes]
    told_topics = [set().union(*(of_item[i] for i in past)) for past in told]

    named = [{topic for topic in vocabulary if _names(topic, text)} for text in profiles]
    titles = [_titles(text, long_names) for text in profiles]
    unknown = [
        found - {names[i].lower() for i in past} for found, past in zip(titles, told, strict=True)
    ]
    vectors = unit_rows(encoder.encode(list(profiles)))
    known = mean_history(_indicator(told, split.n_items), unit_rows(items))
    cosines = vectors @ known.T  # (n, n)
    own = np.diag(cosines)
    elsewhere = ~np.eye(len(codes), dtype=bool)
    below = (cosines < own[:, None]) + 0.5 * (cosines == own[:, None])
    return Faithfulness(
        topics=np.array([len(found) for found in named]),
        supported=_shares(named, told_topics),
        supported_by_other=_shares(named, [*told_topics[1:], told_topics[0]]),
        titles=np.array([len(found) for found in titles]),
        invented=np.array([len(found) for found in unknown]),
        own=own,
        other=cosines.mean(axis=1, where=elsewhere),
        identified=below.mean(axis=1, where=elsewhere),
    )


def _start(prompt: object) -> str:
    return prompt.answer if isinstance(prompt, Chat) else ""


def _whole_sentences(text: str) -> str:
    text = clean(text)
    ends = [match.end() for match in re.finditer(r"[.!?](?= |$)", text)]
    return text[: ends[-1]] if ends else text


def _topics(cell: object) -> set[str]:
    return {part.strip().lower() for part in clean(cell).split(",") if part.strip()}


def _names(topic: str, text: str) -> bool:
    stem = topic.removesuffix("'s").removesuffix("s")
    forms = {topic, stem, f"{stem}s", f"{stem.removesuffix('y')}ies"}
    return re.search(rf"\b(?:{'|'.join(map(re.escape, forms))})\b", text.lower()) is not None


def _titles(text: str, names: set[str]) -> set[str]:
    quoted = {match.strip().lower() for match in _QUOTED.findall(text)}
    found = {name for name in names if name in text}  # most are not there: no pattern needed
    return quoted | {name.lower() for name in found if re.search(rf"\b{re.escape(name)}\b", text)}


def _indicator(rows: Sequence[np.ndarray], width: int) -> sparse.csr_matrix:
    starts = np.cumsum([0, *map(len, rows)])
    columns = np.concatenate(rows).astype(np.int64)
    return sparse.csr_matrix(
        (np.ones(len(columns), np.float32), columns, starts), (len(rows), width)
    )


def _shares(named: Sequence[set[str]], facts: Sequence[set[str]]) -> np.ndarray:
    pairs = zip(named, facts, strict=True)
    return np.array([len(a & b) / len(a) if a else np.nan for a, b in pairs])

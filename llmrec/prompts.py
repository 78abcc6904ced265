"""Prompts: a fixed wording in which item text is quoted as data, never read as an instruction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from llmrec.text import clean, named, parse, wordings

FIELDS = ("items", "kind", "item", "candidates")
LONGEST = 120  # characters of an item's text: a longer one would crowd out the question
_QUOTES = str.maketrans(dict.fromkeys('"“”„‟«»＂`', "'"))


@dataclass(frozen=True)
class Chat:
    """One turn with a chat model: a question, and the words its answer begins with.

    Attributes
    ----------
    user:
        What is asked.
    system:
        The role the model is given; empty: none is written.
    answer:
        The answer's first words, which the model continues.
    """

    user: str
    system: str = ""
    answer: str = ""


Prompt = str | Chat  # a plain string is continued as it stands


def inside_quotes(text: object) -> str:
    """Return item text fit to stand between double quotes: one line, no double quote, not long.

    Line breaks and control characters become spaces, double quotes of any script single ones, and
    what follows the first 120 characters an ellipsis. A chat model's special tokens need no care
    here: `LanguageModel` reads all text as text, so ``<|im_end|>`` in a title is ten characters.
    """
    line = clean(text).translate(_QUOTES)
    return line if len(line) <= LONGEST else line[: LONGEST - 1].rstrip() + "…"


def quoted(text: object) -> str:
    """Return item text between double quotes (see `inside_quotes`)."""
    return f'"{inside_quotes(text)}"'


@dataclass(frozen=True)
class PromptTemplate:
    """One entry of ``prompts.yml``: plain ``text``, or a chat turn (``system, user, answer``).

    Attributes
    ----------
    text, system, user, answer:
        Wording with the fields ``{history}``, ``{kind}``, ``{item}``, ``{candidates}``.
    history, no_history:
        What ``{history}`` becomes with and without a history; ``{items}`` are the quoted items.
    join:
        Written between items.
    """

    text: str = ""
    system: str = ""
    user: str = ""
    answer: str = ""
    history: str = ""
    no_history: str = ""
    join: str = ", "

    def __post_init__(self) -> None:
        if bool(self.text) == bool(self.user):
            raise ValueError("a prompt template has either 'text' or 'user', not both or neither")
        for wording in (self.history, self.no_history):
            parse(wording, FIELDS)
        for wording in (self.text, self.system, self.user, self.answer):
            parse(wording, ("history", *FIELDS))

    def fill(
        self,
        history: Sequence[str],
        kind: str = "item",
        item: str = "",
        candidates: Sequence[str] = (),
        *,
        lettered: bool = False,
    ) -> Prompt:
        """Return the prompt for a history of item texts, oldest first.

        Parameters
        ----------
        history:
            Item texts as they stand in the catalogue; each is quoted here.
        kind:
            Noun of an item in the singular, such as ``"film"``.
        item, candidates:
            Item text or texts asked about; quoted too.
        lettered:
            Write each candidate on a line of its own after a letter: ``A. "Alien"``.

        Notes
        -----
        Values are filled in once and never read as a template again.
        """
        rows = [quoted(text) for text in candidates]
        listed = (
            "\n".join(f"{letter(place)}. {row}" for place, row in enumerate(rows))
            if lettered
            else self.join.join(rows)
        )
        items = self.join.join(quoted(text) for text in history)
        values = {"items": items, "kind": kind, "item": quoted(item), "candidates": listed}

        def filled(wording: str) -> str:
            return parse(wording).fill(values, tidy=False)

        values["history"] = filled(self.history if items else self.no_history)
        text, system, user, answer = map(filled, (self.text, self.system, self.user, self.answer))
        return text or Chat(user, system, answer)


def letter(place: int) -> str:
    """Return the label of a listed candidate: A to Z."""
    if not 0 <= place < 26:
        raise ValueError(f"candidate {place + 1} has no letter: list at most 26 candidates")
    return chr(ord("A") + place)


@cache
def _known() -> dict[str, PromptTemplate]:
    return {name: PromptTemplate(**entry) for name, entry in wordings("prompts.yml").items()}


def prompt_template(name: str | PromptTemplate) -> PromptTemplate:
    """Return the prompt of that name in ``prompts.yml``; a `PromptTemplate` is returned as it is.

    Raises
    ------
    KeyError
        When no prompt has the name.
    """
    if isinstance(name, PromptTemplate):
        return name
    return named("prompt", name, _known(), "pass a PromptTemplate")

"""Published prompts and the answers of large models: two protocols for language models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd

from llmrec import fetch
from llmrec.data.validation import DataError

DOMAINS = ("movie", "book")
_TALLREC = re.compile(
    r"User Preference: ?(.*)\nUser Unpreference: ?(.*)\n"
    r'Whether the user will like the target (?:movie|book) "(.*)"\?',
    re.DOTALL,
)
_BOOK = re.compile(r'"(.*?)" written by (.*?)(?=, "|$)', re.DOTALL)
_FILM = re.compile(r'"(.*?)"(?=, "|$)', re.DOTALL)
_NIR = re.compile(
    r"\nCandidate Set \(candidate movies\): (.*)\.\n"
    r"The movies I have watched \(watched movies\): (.*)\.\n"
)


def tallrec(domain: str = "movie") -> dict[str, pd.DataFrame]:
    """Return TALLRec's prompts as tables ``"test"`` and ``"valid"``, one row a question.

    ``"movie"`` is MovieLens-100K (1,000 rows each), ``"book"`` BookCrossing (2,427 rows each).
    Columns: ``liked`` and ``disliked`` (tuples of titles, in the prompt's order; either may be
    empty), ``target`` (a title) and ``label`` (True for "Yes.": the user likes it). A book is
    ``title, by author``. The published metric is the area under the ROC curve.

    Raises
    ------
    ValueError
        When there is no such domain.
    DataError
        When a prompt is not of the expected form; file and row are named.

    References
    ----------
    Bao et al. 2023, "TALLRec: an effective and efficient tuning framework to align large language
    model with recommendation", RecSys.
    """
    if domain not in DOMAINS:
        raise ValueError(f"TALLRec has no domain {domain!r}: choose from {', '.join(DOMAINS)}")
    folder = fetch.get("tallrec") / domain
    return {part: _questions(folder / f"{part}.json", domain) for part in ("test", "valid")}


def nir() -> pd.DataFrame:
    """Return the next-film prompts on MovieLens-100K, with what GPT-3 answered, one row a user.

    Columns, 943 rows: ``history`` (tuple of titles, oldest first), ``target`` (the next title),
    ``candidates`` (tuple of 19 titles that a neighbourhood model proposed), ``shown`` (the 8 films
    watched last, as the prompt lists them) and ``answer`` (GPT-3's ten recommendations, as
    written). The authors asked for the 170 users whose target is a candidate; for the others, who
    count as misses, the last three columns are empty. A hit is an answer that names the target.

    Raises
    ------
    DataError
        When a file is not of the expected form.

    References
    ----------
    Wang and Lim 2023, "Zero-shot next-item recommendation using large pretrained language models",
    arXiv 2304.03153.
    """
    folder = fetch.get("nir-ml100k")
    asked = folder / "results_multi_prompting_len8_numcand_19_2023.json"
    return _next_films(folder / "ml_100k.json", asked)


def _questions(path: Path, domain: str) -> pd.DataFrame:
    rows = []
    for number, entry in enumerate(_load(path), start=1):
        match = _TALLREC.fullmatch(str(entry.get("input", "")))
        label = {"Yes.": True, "No.": False}.get(entry.get("output", ""))
        if match is None or label is None:
            raise DataError(f"{path.name}, row {number}: not a prompt with the answer Yes. or No.")
        lists = [_titles(text, domain) for text in match.groups()[:2]]
        target = _titles(match[3], domain)[0] if domain == "book" else match[3]
        rows.append((*lists, target, label))
    return pd.DataFrame(rows, columns=["liked", "disliked", "target", "label"])


def _titles(text: str, domain: str) -> tuple[str, ...]:
    """Return the quoted titles of a comma-separated list."""
    if domain == "book":
        return tuple(f"{title}, by {author}" for title, author in _BOOK.findall(text.strip()))
    return tuple(_FILM.findall(text.strip()))


def _next_films(users: Path, asked: Path) -> pd.DataFrame:
    rows = [[tuple(history.split(" | ")), target, (), (), ""] for history, target in _load(users)]
    known = {title for history, target, *_ in rows for title in (*history, target)}
    for number, entry in enumerate(_load(asked), start=1):
        match, user = _NIR.match(entry["Input_1"]), entry["PID"]
        if match is None or not 0 <= user < len(rows) or rows[user][1] != entry["GT"]:
            raise DataError(f"{asked.name}, row {number}: no prompt for a user of {users.name}")
        try:
            lists = [_split_titles(text, known) for text in match.groups()]
        except ValueError as error:
            raise DataError(f"{asked.name}, row {number}: {error}") from error
        rows[user][2:] = [*lists, entry["Predictions"]]
    columns = ["history", "target", "candidates", "shown", "answer"]
    return pd.DataFrame(rows, columns=columns)


def _split_titles(text: str, known: set[str]) -> tuple[str, ...]:
    """Split at commas between titles, not at those inside one ("Clockwork Orange, A")."""
    words, titles, at = text.split(", "), [], 0
    while at < len(words):
        for stop in range(len(words), at, -1):
            if (title := ", ".join(words[at:stop])) in known:
                titles.append(title)
                at = stop
                break
        else:
            raise ValueError(f"no film is called {words[at]!r}")
    return tuple(titles)


def _load(path: Path) -> list[Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name} is not JSON ({error})") from error

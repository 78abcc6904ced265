"""Whether what was made from a split (texts, vectors, a model) knows the held-out part."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from llmrec.data import Split
from llmrec.evaluation.checks import Finding
from llmrec.text import clean

if TYPE_CHECKING:
    from llmrec.models.base import Features, Recommender

WITNESSES = 100  # other users' texts that show whether a title is an ordinary word
FROM_HISTORY = "make them from split.history alone"


def blind(split: Split) -> Split:
    """Return the split with other events in valid and test; users, history and train stay.

    Each held-out event becomes two, on the next two items of the catalogue, at another time with
    another weight and action; ``dataset`` holds those too. What is made from history alone cannot
    tell the difference, and what can has read the held-out part.
    """

    def moved(frame: pd.DataFrame, step: int) -> pd.DataFrame:
        return frame.assign(
            item=(frame["item"] + step) % split.n_items,
            timestamp=frame["timestamp"] + (frame["timestamp"] > 0) * step,
            weight=frame["weight"] + step,
            action="hidden",
        )

    data = split.dataset
    valid, test = (
        pd.concat([moved(frame, step) for step in (1, 2)], ignore_index=True)
        for frame in (split.valid, split.test)
    )
    events = pd.concat([split.history, valid, test], ignore_index=True)
    events = events.assign(user=data.user_ids[events["user"]], item=data.item_ids[events["item"]])
    # Users without an event in the split keep those outside it, so that codes stay the same.
    outside = data.interactions[~data.interactions["user"].isin(events["user"])]
    events = pd.concat([events, outside], ignore_index=True)
    return replace(split, dataset=replace(data, interactions=events), valid=valid, test=test)


def texts(split: Split, texts: Sequence[str] | Callable[[Split], Sequence[str]]) -> Finding:
    """Fail when the users' texts know what only valid or test holds.

    A function of a split is exact: it must write the same texts for the copy that `blind` makes.
    Ready strings are searched for the title of each item that the user has in valid or test only.
    Words that stand inside the texts of the user's history anyway, or in the text of somebody who
    never took the item (an ordinary word, such as a film named "It"), are no evidence. A language
    model may guess a title, and a text may leak without one: pass the function where you can.
    """
    if not callable(texts):
        return _named(split, texts)
    written, blinded = list(texts(split)), list(texts(blind(split)))
    examined = f"{len(written):,} texts, written again with other events held out"
    changed = [code for code, (a, b) in enumerate(zip(written, blinded, strict=True)) if a != b]
    if changed:
        found = f"{len(changed):,} texts change, the first is number {changed[0]}"
        return Finding("texts", "failure", examined, found, FROM_HISTORY)
    return Finding("texts", "pass", examined, "they do not depend on the held-out events")


def features(split: Split, make: Callable[[Split], Features]) -> Finding:
    """Fail when the vectors that ``make(split)`` returns differ for the copy that `blind` makes."""
    ours, blinded = make(split), make(blind(split))
    examined = "item and user vectors, made again with other events held out"
    for side in ("items", "users"):
        a, b = getattr(ours, side), getattr(blinded, side)
        if (a is None) != (b is None) or (a is not None and not np.array_equal(a, b)):
            found = f"the vectors of {side} change"
            return Finding("features", "failure", examined, found, FROM_HISTORY)
    return Finding("features", "pass", examined, "they do not depend on the held-out events")


def model(split: Split, model: Recommender) -> Finding:
    """Fail when the model was fitted on another split: its ``seen_`` is not ``split.history``."""
    seen, history = model.seen_, split.matrix("history")
    examined = f"{seen.nnz:,} cells that {type(model).__name__} saw, {history.nnz:,} of history"
    if seen.shape != history.shape:
        found = f"it knows {seen.shape[0]} users and {seen.shape[1]} items, not {history.shape}"
    elif different := (seen != history).nnz:
        held = (split.matrix("test") > history).multiply(seen).nnz
        found = f"{different:,} cells differ; {held:,} that it saw are test events"
    else:
        return Finding("model", "pass", examined, "it was fitted on this split")
    return Finding("model", "failure", examined, found, "fit it on this split")


def _named(split: Split, texts: Sequence[str]) -> Finding:
    """Search each user's text for titles that the user has in valid or test only."""
    if len(texts) != split.n_users:
        raise ValueError(f"texts: {len(texts)} strings for {split.n_users} users: one a user code")
    items, pages = split.dataset.items, [_words(text) for text in texts]
    titles = [_words(title) for title in items["title"]]
    rows = items.drop(columns="item").itertuples(index=False, name=None)
    wordings = [_words(" ".join(map(clean, row))) for row in rows]
    owned, held = _taken(split, "history"), _taken(split, "valid", "test")
    users = range(split.n_users)

    def in_text(user: int, item: int) -> bool:
        return len(titles[item]) > 2 and titles[item] in pages[user]

    def explained(user: int, item: int) -> bool:
        return any(titles[item] in wordings[other] for other in owned[user])

    def ordinary(item: int) -> bool:
        others = (user for user in users if item not in owned[user] | held[user])
        return any(in_text(user, item) for user in islice(others, WITNESSES))

    pairs = [(user, item) for user in users for item in sorted(held[user] - owned[user])]
    hits = [pair for pair in pairs if in_text(*pair) and not explained(*pair)]
    telling = {item for item in {item for _, item in hits} if not ordinary(item)}
    hits = [(user, item) for user, item in hits if item in telling]
    usual = sum(any(in_text(user, item) for item in owned[user]) for user in users)
    examined = (
        f"{len(pairs):,} held-out items in {len(texts):,} texts, {usual:,} of which name an item "
        "of their history"
    )
    if hits:
        user, item = hits[0]
        found = (
            f"{len({user for user, _ in hits}):,} texts name {len(hits):,} items that the user has "
            f"in valid or test only, the first is {items['title'].iloc[item]!r} for user {user}"
        )
        return Finding("texts", "failure", examined, found, FROM_HISTORY)
    if not usual:
        mend = "pass the function that writes them: that check needs no titles"
        return Finding("texts", "not checked", examined, "no text names any title", mend)
    return Finding("texts", "pass", examined, "no text names what only the held-out part holds")


def _taken(split: Split, *parts: str) -> list[set[int]]:
    """Return the items of each user in these parts."""
    taken: list[set[int]] = [set() for _ in range(split.n_users)]
    for part in parts:
        frame = getattr(split, part)
        for user, item in zip(frame["user"].tolist(), frame["item"].tolist(), strict=True):
            taken[user].add(item)
    return taken


def _words(text: str) -> str:
    """Return the words of a text in lower case, between spaces, so that titles match as words."""
    words = re.findall(r"\w+", clean(text).casefold())
    return f" {' '.join(words)} "

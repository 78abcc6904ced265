"""Look for leaks before believing a number: `audit` names each fault and its fix.

Five checks look at a split by itself (overlap, duplicates, future, popularity, twins), three at
what was made from it (texts, features, model).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice, pairwise
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from llmrec.data import Split
from llmrec.text import clean

if TYPE_CHECKING:
    from llmrec.models.base import Features, Recommender

Status = Literal["pass", "warning", "failure", "not checked"]
Texts = Sequence[str] | Callable[[Split], Sequence[str]]

EVENT = ["user", "item", "timestamp"]
ORDERED = ("time", "last-out", "cold-user")  # kinds that promise an order in time
DRIFTING = (*ORDERED, "cold-item")  # kinds whose test popularity may differ from train's
DRAWS = 99  # below all of them: a one-sided level of 1/100
GAP = 0.05  # how far below chance Spearman must lie, beside being below its range, to fail
STRAY = 0.001  # share of repeated rows above which a table looks as if it were loaded twice
WITNESSES = 100  # other users' texts that show whether a title is an ordinary word
FROM_HISTORY = "make them from split.history alone"


class LeakageError(ValueError):
    """An audit failed: the message is one line with the first fault and its fix."""


@dataclass(frozen=True)
class Finding:
    """What one check looked at and found; ``fix`` says what to do where it did not pass."""

    check: str
    status: Status
    examined: str
    found: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.check}: {self.found}" + (self.fix and f" → {self.fix}")


@dataclass(frozen=True)
class Audit:
    """The findings of `audit` on one split: ``print`` it for a sentence and what needs reading."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings, and what could not be checked, do not count."""
        return not self._of("failure")

    def raise_if_failed(self) -> Self:
        """Return self, or raise `LeakageError` with the first failure and the number of others."""
        if failures := self._of("failure"):
            first, others = failures[0], len(failures) - 1
            more = f" (and {others} more, see Audit.table())" if others else ""
            raise LeakageError(f"{self.name}: {first.check}: {first.found}: {first.fix}{more}")
        return self

    def table(self) -> pd.DataFrame:
        """Return one row a check: ``status, examined, found, fix``."""
        return pd.DataFrame([vars(finding) for finding in self.findings]).set_index("check")

    def __str__(self) -> str:
        statuses = ("failure", "warning", "not checked", "pass")
        counts = [f"{len(self._of(status))} {status}" for status in statuses if self._of(status)]
        title = f"Audit of {self.name}: {'passed' if self.passed else 'FAILED'}"
        notes = [f"- {finding}" for finding in self.findings if finding.status != "pass"]
        return "\n".join([f"{title} ({', '.join(counts)})", *notes])

    def _of(self, status: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.status == status]


def audit(
    split: Split,
    texts: Texts | None = None,
    features: Callable[[Split], Features] | None = None,
    model: Recommender | None = None,
    *,
    kind: str | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Audit:
    """Check a split, and what was made from it, for leaks from the held-out part.

    The checks of the split always run. Each function ``check_…`` says when it warns and fails.
    ValueError when there is not one text a user.

    Parameters
    ----------
    split : Split
    texts : sequence of n_users strings, or function of a split, optional
        The users' texts, or what writes them, such as `llmrec.text.behaviour_texts`. A function is
        checked exactly, ready strings by the titles that they name.
    features : function of a split that returns Features, optional
    model : Recommender, optional
        Fitted on this split.
    kind : "time", "random", "last-out", "cold-item" or "cold-user", optional
        What the split claims to be. Default: its name; any other is judged like a random split.
    strict : bool
        Raise `LeakageError` instead of returning a failed audit.
    seed : int
        Of the random splits that *popularity* compares with.
    """
    kind = kind or split.name
    findings = [check_overlap(split), check_duplicates(split), check_future(split, kind)]
    findings += [check_popularity(split, kind, seed), check_twins(split)]
    if texts is not None:
        findings.append(check_texts(split, texts))
    if features is not None:
        findings.append(check_features(split, features))
    if model is not None:
        findings.append(check_model(split, model))
    result = Audit(f"{split.dataset.name}, {kind} split", tuple(findings))
    return result.raise_if_failed() if strict else result


def check_overlap(split: Split) -> Finding:
    """Fail when one event (user, item, timestamp) is in two parts.

    A test item that the user took before, at another time, is a repeat: a warning, since
    `evaluate` makes it neither candidate nor target.
    """
    parts, examined = _parts(split, "history", "train", "valid", "test")
    pairs = (("history", "test"), ("train", "test"), ("valid", "test"), ("history", "valid"))
    for early, late in pairs:
        same = _in(split, parts[late], parts[early], with_time=True)
        if same.any():
            found = (
                f"{same.sum():,} of {len(same):,} {late} events are in {early} too, the first is "
                + _event(parts[late][same])
            )
            fix = "drop repeated events from the interactions, then split once"
            return Finding("overlap", "failure", examined, found, fix)
    if repeats := int(_in(split, split.test, split.history, with_time=False).sum()):
        found = f"{repeats:,} of {len(split.test):,} test events repeat an earlier choice"
        fix = "say so: evaluate leaves repeats of the history out"
        return Finding("overlap", "warning", examined, found, fix)
    return Finding("overlap", "pass", examined, "no event is in two parts")


def check_duplicates(split: Split) -> Finding:
    """Fail when more than one row in a thousand of a part repeats (user, item, timestamp).

    Fewer are a warning: a till may print a line twice, and matrices count it once.
    """
    parts, examined = _parts(split, "train", "valid", "test")
    twice = {name: int(frame.duplicated(EVENT).sum()) for name, frame in parts.items()}
    if not any(twice.values()):
        return Finding("duplicates", "pass", examined, "no event is there twice")
    found = ", ".join(f"{n:,} of {len(parts[name]):,} {name}" for name, n in twice.items() if n)
    worst = max(n / max(len(parts[name]), 1) for name, n in twice.items())
    status: Status = "failure" if worst > STRAY else "warning"
    fix = f"drop them with interactions.drop_duplicates({EVENT})"
    return Finding("duplicates", status, examined, f"{found} events repeat another one", fix)


def check_future(split: Split, kind: str) -> Finding:
    """Fail when what may be known is later than what is to be predicted, where ``kind`` forbids it.

    In a ``"time"`` split no event of an earlier part (history, valid, test in this order) may be
    later than the first of a later part; in ``"last-out"`` and ``"cold-user"`` splits that holds
    for each user's own events. That train holds other users' later events is a warning that counts
    them: such splits, and random ones, allow it.
    """
    names = ("history", "valid", "test")
    parts = {name: frame for name in names if len(frame := getattr(split, name))}
    examined = f"timestamps of {sum(map(len, parts.values())):,} events in {', '.join(parts)}"
    if unknown := sum(int((frame["timestamp"] == 0).sum()) for frame in parts.values()):
        found = f"{unknown:,} timestamps are unknown (0)"
        fix = "fill them in, or say that the order in time is unknown"
        return Finding("future", "not checked", examined, found, fix)
    for early, late in combinations(parts, 2) if kind in ORDERED else ():
        after = _after(parts[early], parts[late], split.n_users, own=kind != "time")
        if after.any():
            found = (
                f"{after.sum():,} of {len(after):,} {early} events are later than the "
                f"{'' if kind == 'time' else 'same user’s '}first {late} event, the first is "
                + _event(parts[early][after])
            )
            fix = f"split again: a {kind} split promises this order"
            return Finding("future", "failure", examined, found, fix)
    known = np.sort(split.train["timestamp"])
    later = len(known) - np.searchsorted(known, split.test["timestamp"], "right")
    if later.max(initial=0) == 0:
        return Finding("future", "pass", examined, "no train event is later than a test event")
    found = (
        f"{later.max():,} of {len(known):,} train events are later than the first test event, "
        f"{np.median(later):,.0f} than the median one"
    )
    return Finding("future", "warning", examined, found, "where that matters, use time_split")


def check_popularity(split: Split, kind: str, seed: int = 0) -> Finding:
    """Fail when items are popular in test in another order than in history, beyond chance.

    Compares Spearman's ρ of the two counts, over the items of the history, with that of 99 splits
    in which each event is in test with the share of its user's events that are. Below all of them
    is a warning, and by more than 0.05 below their median a failure; but only a warning in kinds
    of split that part by time or by item, where the two do differ.
    """
    n_test, events = len(split.test), pd.concat([split.test, split.history])
    user, item = events["user"].to_numpy(), events["item"].to_numpy()
    total = np.bincount(item, minlength=split.n_items)
    n_events = np.bincount(user, minlength=split.n_users)
    chance = (np.bincount(user[:n_test], minlength=split.n_users) / np.maximum(n_events, 1))[user]

    def agreement(in_test: np.ndarray) -> float:
        test = np.bincount(item[in_test], minlength=split.n_items)
        known = total > test
        counts = test[known], (total - test)[known]
        if any(len(np.unique(count)) < 2 for count in counts):
            return np.nan  # a constant correlates with nothing
        return float(spearmanr(*counts).statistic)

    rng = np.random.default_rng(seed)
    observed = agreement(np.arange(len(item)) < n_test)
    drawn = [agreement(rng.random(len(item)) < chance) for _ in range(DRAWS)]
    examined = f"{split.history['item'].nunique():,} items of the history, {n_test:,} test events, "
    examined += f"{DRAWS} random splits"
    if np.isnan([observed, *drawn]).any():
        found = "all items have the same count in test or history: nothing to correlate"
        fix = "none where no item is in both, as in a cold-item split; else take more events"
        return Finding("popularity", "not checked", examined, found, fix)
    found = (
        f"Spearman's ρ of popularity in history and test is {observed:.3f}, "
        f"in random splits {min(drawn):.3f} to {max(drawn):.3f}"
    )
    if observed >= min(drawn):
        return Finding("popularity", "pass", examined, found)
    if kind in DRIFTING:
        fix = f"expected where popularity drifts, as in a {kind} split: say so"
        return Finding("popularity", "warning", examined, found, fix)
    status: Status = "failure" if observed < np.median(drawn) - GAP else "warning"
    fix = "the test part is no random draw: find out how it was made, or split again"
    return Finding("popularity", status, examined, found, fix)


def check_twins(split: Split) -> Finding:
    """Warn of items whose title and other texts are the same, and of what that gives away.

    A cold item with a twin in train is not cold for text; a test item with a twin in the user's
    own history is predicted by identity. Items without any text are no twins.
    """
    table = split.dataset.items.drop(columns="item")
    rows = (map(clean, row) for row in table.itertuples(index=False, name=None))
    group, texts = pd.factorize(np.array(["\n".join(row).casefold() for row in rows], object))
    empty = np.array([not text.strip() for text in texts])
    twin = ((np.bincount(group) > 1) & ~empty)[group]
    examined = f"{', '.join(table.columns)} of {split.n_items:,} items"
    if not twin.any():
        return Finding("twins", "pass", examined, "no two items have the same texts")
    cold = np.isin(np.arange(split.n_items), split.cold_items)
    given_away = twin & cold & np.isin(group, group[~cold])
    held = split.test[twin[split.test["item"].to_numpy()]]
    held = held[~_in(split, held, split.history, with_time=False)]
    grouped = (frame.assign(item=group[frame["item"]]) for frame in (held, split.history))
    own = _in(split, *grouped, with_time=False)
    found = (
        f"{twin.sum():,} items have the texts of another; {given_away.sum():,} of them are cold "
        f"with a twin in train; {own.sum():,} test events take a twin of what the user had"
    )
    fix = "merge items that are one thing, or report the gain of text without these events"
    return Finding("twins", "warning", examined, found, fix)


def blind(split: Split) -> Split:
    """Return the split with other events in valid and test; users, history and train stay.

    Each held-out event becomes two, on the next two items of the catalogue, at another time with
    another weight and action; ``dataset`` holds those too. What is made from history alone cannot
    tell the difference, and what can has read the held-out part.
    """

    def moved(frame: pd.DataFrame) -> pd.DataFrame:
        copies = [
            frame.assign(
                item=(frame["item"] + step) % split.n_items,
                timestamp=frame["timestamp"] + (frame["timestamp"] > 0) * step,
                weight=frame["weight"] + step,
                action="hidden",
            )
            for step in (1, 2)
        ]
        return pd.concat(copies, ignore_index=True)

    data, valid, test = split.dataset, moved(split.valid), moved(split.test)
    events = pd.concat([split.history, valid, test], ignore_index=True)
    events = events.assign(user=data.user_ids[events["user"]], item=data.item_ids[events["item"]])
    # Users without an event in the split keep those outside it, so that codes stay the same.
    outside = data.interactions[~data.interactions["user"].isin(events["user"])]
    events = pd.concat([events, outside], ignore_index=True)
    return replace(split, dataset=replace(data, interactions=events), valid=valid, test=test)


def check_texts(split: Split, texts: Texts) -> Finding:
    """Fail when the users' texts know what only valid or test holds.

    A function of a split is exact: it must write the same texts for the copy that `blind` makes.
    Ready strings are searched for the title of each item that the user has in valid or test only.
    Words that stand inside the texts of the user's history anyway, or in the text of somebody who
    never took the item (an ordinary word, such as a film named "It"), are no evidence. A language
    model may guess a title, and a text may leak without one: pass the function where you can.
    """
    if not callable(texts):
        return _check_titles(split, texts)
    written, blinded = list(texts(split)), list(texts(blind(split)))
    examined = f"{len(written):,} texts, written again with other events held out"
    changed = [code for code, (a, b) in enumerate(zip(written, blinded, strict=True)) if a != b]
    if changed:
        found = f"{len(changed):,} texts change, the first is number {changed[0]}"
        return Finding("texts", "failure", examined, found, FROM_HISTORY)
    return Finding("texts", "pass", examined, "they do not depend on the held-out events")


def _check_titles(split: Split, texts: Sequence[str]) -> Finding:
    """Search each user's text for titles that the user has in valid or test only."""
    if len(texts) != split.n_users:
        raise ValueError(f"texts: {len(texts)} strings for {split.n_users} users: one a user code")
    items, pages = split.dataset.items, [_words(text) for text in texts]
    titles = [_words(title) for title in items["title"]]
    rows = items.drop(columns="item").itertuples(index=False, name=None)
    wordings = [_words(" ".join(map(clean, row))) for row in rows]
    owned = _taken(split.matrix("history"))
    held = _taken(split.matrix("valid") + split.matrix("test"))
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
    words = {item for item in {item for _, item in hits} if ordinary(item)}
    hits = [(user, item) for user, item in hits if item not in words]
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
        fix = "pass the function that writes them: that check needs no titles"
        return Finding("texts", "not checked", examined, "no text names any title", fix)
    return Finding("texts", "pass", examined, "no text names what only the held-out part holds")


def check_features(split: Split, make: Callable[[Split], Features]) -> Finding:
    """Fail when the vectors that ``make(split)`` returns differ for the copy that `blind` makes."""
    ours, blinded = make(split), make(blind(split))
    examined = "item and user vectors, made again with other events held out"
    for side in ("items", "users"):
        a, b = getattr(ours, side), getattr(blinded, side)
        if (a is None) != (b is None) or (a is not None and not np.array_equal(a, b)):
            found = f"the vectors of {side} change"
            return Finding("features", "failure", examined, found, FROM_HISTORY)
    return Finding("features", "pass", examined, "they do not depend on the held-out events")


def check_model(split: Split, model: Recommender) -> Finding:
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


def _parts(split: Split, *names: str) -> tuple[dict[str, pd.DataFrame], str]:
    """Return these parts by name, and a line that counts their events."""
    parts = {name: getattr(split, name) for name in names}
    counts = ", ".join(f"{len(frame):,} {name}" for name, frame in parts.items())
    return parts, f"{counts} events"


def _in(split: Split, these: pd.DataFrame, those: pd.DataFrame, *, with_time: bool) -> np.ndarray:
    """Return for each row of ``these`` whether ``those`` hold the same user and item (and time)."""
    cells, others = (
        frame["user"].to_numpy(np.int64) * split.n_items + frame["item"].to_numpy(np.int64)
        for frame in (these, those)
    )
    same = np.isin(cells, others)
    if with_time and same.any():
        events = pd.MultiIndex.from_arrays([others, those["timestamp"]])
        same &= pd.MultiIndex.from_arrays([cells, these["timestamp"]]).isin(events)
    return same


def _after(early: pd.DataFrame, late: pd.DataFrame, n_users: int, *, own: bool) -> np.ndarray:
    """Return which early events are later than the first late one, of all or of the own user."""
    never = np.iinfo(np.int64).max  # a user without a late event has nothing to be after
    first = np.full(n_users, never if own else late["timestamp"].min())
    if own:
        np.minimum.at(first, late["user"].to_numpy(), late["timestamp"].to_numpy())
    return early["timestamp"].to_numpy() > first[early["user"].to_numpy()]


def _event(frame: pd.DataFrame) -> str:
    return f"user {frame['user'].iloc[0]}, item {frame['item'].iloc[0]}"


def _taken(cells: sparse.csr_matrix) -> list[set[int]]:
    """Return the items of each user."""
    return [set(cells.indices[a:b].tolist()) for a, b in pairwise(cells.indptr)]


def _words(text: str) -> str:
    """Return the words of a text in lower case, between spaces, so that titles match as words."""
    words = re.findall(r"\w+", clean(text).casefold())
    return f" {' '.join(words)} "

"""What can be wrong with a split by itself: overlap, repeats, the future, popularity, twins."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from llmrec.data import Split
from llmrec.text import clean

Status = Literal["pass", "warning", "failure", "not checked"]

ORDERED = ("time", "last-out", "cold-user")  # kinds that promise an order in time
DRIFTING = (*ORDERED, "cold-item")  # kinds whose test popularity may differ from train's
DRAWS = 99  # below all of them: a one-sided level of 1/100
GAP = 0.05  # how far below chance Spearman must lie, beside being below its range, to fail
STRAY = 0.001  # share of repeated rows above which a table looks as if it were loaded twice


@dataclass(frozen=True)
class Finding:
    """What one check looked at and found; ``mend`` says what to do where it did not pass."""

    check: str
    status: Status
    examined: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.check}: {self.found}" + (self.mend and f" → {self.mend}")


def overlap(split: Split) -> Finding:
    """Fail when one event (user, item, timestamp) is in two parts.

    A test item that the user took before, at another time, is a repeat: a warning, since
    `evaluate` makes it neither candidate nor target.
    """
    parts = {name: getattr(split, name) for name in ("history", "train", "valid", "test")}
    examined = ", ".join(f"{len(frame):,} {name}" for name, frame in parts.items()) + " events"
    pairs = (("history", "test"), ("train", "test"), ("valid", "test"), ("history", "valid"))
    for early, late in pairs:
        same = _in(split, parts[late], parts[early], with_time=True)
        if same.any():
            found = (
                f"{same.sum():,} of {len(same):,} {late} events are in {early} too, the first is "
                + _event(parts[late][same])
            )
            mend = "drop repeated events from the interactions, then split once"
            return Finding("overlap", "failure", examined, found, mend)
    if repeats := int(_in(split, split.test, split.history, with_time=False).sum()):
        found = f"{repeats:,} of {len(split.test):,} test events repeat an earlier choice"
        mend = "say so: evaluate leaves repeats of the history out"
        return Finding("overlap", "warning", examined, found, mend)
    return Finding("overlap", "pass", examined, "no event is in two parts")


def duplicates(split: Split) -> Finding:
    """Fail when more than one row in a thousand of a part repeats (user, item, timestamp).

    Fewer are a warning: a till may print a line twice, and matrices count it once.
    """
    frames = {name: getattr(split, name) for name in ("train", "valid", "test")}
    twice = {
        name: int(frame.duplicated(["user", "item", "timestamp"]).sum())
        for name, frame in frames.items()
    }
    examined = ", ".join(f"{len(frame):,} {name}" for name, frame in frames.items()) + " events"
    if not any(twice.values()):
        return Finding("duplicates", "pass", examined, "no event is there twice")
    found = ", ".join(f"{n:,} of {len(frames[name]):,} {name}" for name, n in twice.items() if n)
    worst = max(n / max(len(frames[name]), 1) for name, n in twice.items())
    status: Status = "failure" if worst > STRAY else "warning"
    mend = "drop them with interactions.drop_duplicates(['user', 'item', 'timestamp'])"
    return Finding("duplicates", status, examined, f"{found} events repeat another one", mend)


def future(split: Split, kind: str) -> Finding:
    """Fail when what may be known is later than what is to be predicted, where ``kind`` forbids it.

    In a ``"time"`` split no event of an earlier part (history, valid, test in this order) may be
    later than the first of a later part; in ``"last-out"`` and ``"cold-user"`` splits that holds
    for each user's own events. That train holds other users' later events is a warning that counts
    them: such splits, and random ones, allow it.
    """
    parts = {name: getattr(split, name) for name in ("history", "valid", "test")}
    parts = {name: frame for name, frame in parts.items() if len(frame)}
    examined = f"timestamps of {sum(map(len, parts.values())):,} events in {', '.join(parts)}"
    if unknown := sum(int((frame["timestamp"] == 0).sum()) for frame in parts.values()):
        mend = "fill them in, or say that the order in time is unknown"
        found = f"{unknown:,} timestamps are unknown (0)"
        return Finding("future", "not checked", examined, found, mend)
    for early, late in combinations(parts, 2) if kind in ORDERED else ():
        after = _after(parts[early], parts[late], split.n_users, own=kind != "time")
        if after.any():
            found = (
                f"{after.sum():,} of {len(after):,} {early} events are later than the "
                f"{'' if kind == 'time' else 'same user’s '}first {late} event, the first is "
                + _event(parts[early][after])
            )
            mend = f"split again: a {kind} split promises this order"
            return Finding("future", "failure", examined, found, mend)
    known = np.sort(split.train["timestamp"].to_numpy())
    later = len(known) - np.searchsorted(known, split.test["timestamp"].to_numpy(), "right")
    if later.max(initial=0) == 0:
        return Finding("future", "pass", examined, "no train event is later than a test event")
    found = (
        f"{later.max():,} of {len(known):,} train events are later than the first test event, "
        f"{np.median(later):,.0f} than the median one"
    )
    mend = "where that matters, use time_split"
    return Finding("future", "warning", examined, found, mend)


def popularity(split: Split, kind: str, seed: int = 0) -> Finding:
    """Fail when items are popular in test in another order than in history, beyond chance.

    Compares Spearman's ρ of the two counts, over the items of the history, with that of 99 splits
    in which each event is in test with the share of its user's events that are. Below all of them
    is a warning, and by more than 0.05 below their median a failure; but only a warning in kinds
    of split that part by time or by item, where the two do differ.
    """
    n_test = len(split.test)
    user, item = (
        np.concatenate([split.test[name].to_numpy(), split.history[name].to_numpy()])
        for name in ("user", "item")
    )
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
    examined = (
        f"{len(np.unique(item[n_test:])):,} items of the history, {n_test:,} test events, "
        f"{DRAWS} random splits"
    )
    if np.isnan([observed, *drawn]).any():
        found = "all items have the same count in test or history: nothing to correlate"
        mend = "none where no item is in both, as in a cold-item split; else take more events"
        return Finding("popularity", "not checked", examined, found, mend)
    low, high = min(drawn), max(drawn)
    found = (
        f"Spearman's ρ of popularity in history and test is {observed:.3f}, "
        f"in random splits {low:.3f} to {high:.3f}"
    )
    if observed >= low:
        return Finding("popularity", "pass", examined, found)
    if kind in DRIFTING:
        mend = f"expected where popularity drifts, as in a {kind} split: say so"
        return Finding("popularity", "warning", examined, found, mend)
    status: Status = "failure" if observed < np.median(drawn) - GAP else "warning"
    mend = "the test part is no random draw: find out how it was made, or split again"
    return Finding("popularity", status, examined, found, mend)


def twins(split: Split) -> Finding:
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
    grouped = [
        frame.assign(item=group[frame["item"].to_numpy()]) for frame in (held, split.history)
    ]
    own = _in(split, *grouped, with_time=False)
    found = (
        f"{twin.sum():,} items have the texts of another; {given_away.sum():,} of them are cold "
        f"with a twin in train; {own.sum():,} test events take a twin of what the user had"
    )
    mend = "merge items that are one thing, or report the gain of text without these events"
    return Finding("twins", "warning", examined, found, mend)


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
    first = np.full(n_users, late["timestamp"].min())
    if own:
        first[:] = np.iinfo(np.int64).max  # a user without a late event has nothing to be after
        np.minimum.at(first, late["user"].to_numpy(), late["timestamp"].to_numpy())
    return early["timestamp"].to_numpy() > first[early["user"].to_numpy()]


def _event(frame: pd.DataFrame) -> str:
    return f"user {frame['user'].iloc[0]}, item {frame['item'].iloc[0]}"

"""What a study does with tables of this size and kind: split, line-up, budget; and what it
omits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd

from llmrec.data import Dataset, Split, random_split, time_split
from llmrec.study.tables import Profile

Knows = Literal["nothing", "behaviour", "text", "control"]
Reads = Literal["", "language", "words", "shuffled", "shuffled words"]

TEST, VALID = 0.2, 0.1  # shares of all events
FEWEST = 20  # users a mean may rest on
TRIALS = {True: 5, False: 20}  # of every model, in a quick study or a full one
FEWEST_TRIALS = 3
# What all trials of one model may take together, in a quick study or a full one. They are counts
# and no seconds, so that the same tables give the same study on every machine.
DENSE_STEPS = {True: 1.67e11, False: 2e12}  # multiplications, DENSE_FIT · n_items³ a fit
DENSE_FIT = 2.5  # of an inverse and a product of item-item matrices
SPARSE_EVENTS = {True: 333_000, False: 4_000_000}  # events read, all of train a fit
TUNING_EVENTS = 200_000  # a larger train part is tuned on a sample of users
CELLS = {"judged": 40_000_000, "tested": 200_000_000}  # scores of one evaluation
ORDERED_EVENTS = 200_000  # TransitionKNN counts pairs of events: too many above
NEIGHBOUR_ITEMS = {True: 8_000, False: 20_000}  # TextKNN compares all items with all others


class StudyError(ValueError):
    """A study cannot be made of these tables: the message says why, and the fix."""


@dataclass(frozen=True)
class Candidate:
    """One model: its name, its entry of ``search_spaces.yml``, and what it knows.

    ``reads`` names the vectors it is given; ``members`` are the two whose scores are added.
    """

    name: str
    entry: str
    knows: Knows
    reads: Reads = ""
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a model is fitted.

    Attributes
    ----------
    split, why_split:
        ``"time"`` or ``"random"``, and the reason.
    trials:
        Of every model, those without text included.
    tuning_events:
        Train events that tuning sees, of users drawn at random; all of them where they are fewer.
    judged, tested:
        The most users that a trial and the test are judged on, drawn at random.
    candidates:
        Best-sellers first, then those that know behaviour only, then those that read text.
    left_out:
        Model → why it does not take part.
    words:
        Most words that TF-IDF counts.
    """

    seed: int
    quick: bool
    encoder: str
    split: str
    why_split: str
    trials: int
    tuning_events: int
    judged: int
    tested: int
    candidates: tuple[Candidate, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    words: int = 4096
    metric: str = "ndcg@10"


@dataclass(frozen=True)
class Splits:
    """The split to tune on (a sample, with valid) and the split to test on, with equal test parts.

    Attributes
    ----------
    judged:
        The split to test on, with what users had refused by then in the history: items that are
        neither candidates nor targets. No model is fitted on it.
    items:
        Where tuning sees a sample: the items that are as new or as known there as without it. The
        others, which only users outside the sample took, would look new. None where it sees all.
    users, able, newcomers:
        The test users with a history and something new to find, at most as many as planned; how
        many there are; and how many test users have no history.
    """

    tuning: Split
    final: Split
    judged: Split
    items: np.ndarray | None
    users: np.ndarray
    able: int
    newcomers: int


def make_plan(
    profile: Profile, split: Split, why: str, *, encoder: str, quick: bool, seed: int
) -> Plan:
    """Choose line-up and budget by the sizes of the tables, and by nothing else."""
    n, events = profile.n_items, len(split.train)
    fits = DENSE_STEPS[quick] / (DENSE_FIT * n**3)  # that one dense model may have
    dense = fits > FEWEST_TRIALS
    ordered = profile.dated and events <= ORDERED_EVENTS
    neighbours = n <= NEIGHBOUR_ITEMS[quick]
    without = ["ItemKNN", "ALS", *["EASE"] * dense, *["TransitionKNN"] * ordered]
    with_text = ["Bridge", "TextEASE"] if dense else ["NeighbourBridge", "TextSimilarity"]
    with_text += ["TextKNN"] * neighbours
    left_out: dict[str, str] = {}
    if not dense:
        too_long = f"its item-item matrix takes too long for {n:,} items"
        left_out |= dict.fromkeys(("EASE", "Bridge", "TextEASE"), too_long)
    if not profile.dated:
        left_out["TransitionKNN"] = "it needs the order of events"
    elif not ordered:
        left_out["TransitionKNN"] = f"it takes too long for {events:,} events"
    if not neighbours:
        left_out["TextKNN"] = f"it compares all pairs of {n:,} items"
    candidates = [Candidate("Popularity", "Popularity", "nothing")]
    candidates += [Candidate(name, name, "behaviour") for name in without]
    if profile.with_text:
        candidates += [Candidate(name, name, "text", "language") for name in with_text]
    else:
        left_out |= dict.fromkeys(with_text, "no item has a text")
    fits = fits if dense else SPARSE_EVENTS[quick] / max(events, 1)
    trials = max(int(np.clip(fits, 1, TRIALS[quick])), min(FEWEST_TRIALS, TRIALS[quick]))
    return Plan(
        seed=seed,
        quick=quick,
        encoder=encoder,
        split=split.name,
        why_split=why,
        trials=trials,
        tuning_events=min(events, TUNING_EVENTS),
        judged=max(200, CELLS["judged"] // n),
        tested=max(1000, CELLS["tested"] // n),
        candidates=tuple(candidates),
        left_out=left_out,
        words=1024 if n > 20_000 else 2048 if quick else 4096,
    )


def first_split(dataset: Dataset, profile: Profile, seed: int) -> tuple[Split, str]:
    """Return the split to test on, and why it is by time or at random.

    Raises
    ------
    StudyError
        When too few users have something to be tested on.
    """
    why = _why_no_time(dataset)
    if profile.dated:
        why = "every event has a time: what is tested lies after all that is learned from"
        try:
            split = time_split(dataset, TEST)
            tuning = time_split(dataset, TEST, VALID)
            known = len(_known(split, "test")), len(_known(tuning, "valid"))
            if min(known) >= FEWEST:
                return split, why
            why = f"by time only {min(known)} users would have both a past and a future"
        except ValueError:
            why = "too few different times to part past and future"
    try:
        split = random_split(dataset, TEST, seed=seed)
        tuning = random_split(dataset, TEST, VALID, seed)
        known = len(_known(split, "test")), len(_known(tuning, "valid"))
    except ValueError:
        known = (0, 0)
    if min(known) < FEWEST:
        raise StudyError(
            f"{dataset.name}: only {min(known)} of {dataset.n_users} users have enough events to be"
            f" learned from and tested on, and a study needs {FEWEST}: bring more users or events"
        )
    return split, why


def _why_no_time(dataset: Dataset) -> str:
    undated, n = int((dataset.interactions["timestamp"] == 0).sum()), len(dataset.interactions)
    if undated == n:
        return "no event has a time"
    if undated:
        return f"{undated:,} of {n:,} events have no time, too many to leave out"
    return "all events have the same time"


def make_splits(
    dataset: Dataset, plan: Plan, final: Split, refused: pd.DataFrame | None = None
) -> Splits:
    """Return the split to tune on beside the one to test on, both cut to what is planned.

    ``refused`` are rows ``user, item, timestamp`` as in `Tables`.
    """
    rng = np.random.default_rng(plan.seed)
    make = time_split if plan.split == "time" else random_split
    tuning = make(dataset, TEST, VALID, plan.seed)
    judged = _draw(rng, _known(tuning, "valid"), plan.judged)
    items = None
    if len(tuning.train) > plan.tuning_events:
        count = np.bincount(tuning.train["user"], minlength=tuning.n_users)
        judged = rng.permutation(judged)
        enough = np.searchsorted(np.cumsum(count[judged]), plan.tuning_events) + 1
        judged = judged[:enough]
        others = rng.permutation(np.setdiff1d(np.flatnonzero(count), judged))
        room = plan.tuning_events - count[judged].sum()
        others = others[: np.searchsorted(np.cumsum(count[others]), max(room, 0))]
        sample = np.concatenate([judged, others])
        train = tuning.train[tuning.train["user"].isin(sample)].reset_index(drop=True)
        items = np.union1d(train["item"].unique(), tuning.cold_items)
        tuning = replace(tuning, train=train, history=train)
    valid = tuning.valid[tuning.valid["user"].isin(judged)]
    if items is not None:
        valid = valid[valid["item"].isin(items)]
    tuning = replace(tuning, valid=valid.reset_index(drop=True))
    known = final if refused is None else without_refused(final, refused)
    able = np.intersect1d(_known(known, "test"), final.train["user"])
    users = np.sort(_draw(rng, able, plan.tested))
    newcomers = len(np.setdiff1d(final.test_users, final.train["user"]))
    return Splits(tuning, final, known, items, users, len(able), newcomers)


def without_refused(split: Split, refused: pd.DataFrame) -> Split:
    """Return a split with what was refused before its test in the history, and nowhere else.

    In a random split time says nothing, and all of it counts.
    """
    if split.name == "time":
        refused = refused[refused["timestamp"] <= split.train["timestamp"].max()]
    if not len(refused):
        return split
    data = split.dataset
    rows = pd.DataFrame(
        {
            "user": pd.Index(data.user_ids).get_indexer(refused["user"]),
            "item": pd.Index(data.item_ids).get_indexer(refused["item"]),
            "timestamp": refused["timestamp"].to_numpy(),
            "weight": 0.0,
            "action": "refused",
        }
    )
    return replace(split, history=pd.concat([split.history, rows], ignore_index=True))


def _known(split: Split, part: Literal["test", "valid"]) -> np.ndarray:
    """Return users with a history and an item in the part that is not in it."""
    history = split.matrix("history")
    new = (split.matrix(part) > history).getnnz(axis=1) > 0
    return np.flatnonzero(new & (history.getnnz(axis=1) > 0))


def _draw(rng: np.random.Generator, users: np.ndarray, most: int) -> np.ndarray:
    return users if len(users) <= most else np.sort(rng.choice(users, most, replace=False))

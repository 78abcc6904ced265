"""Ways to part the past from the future: by time, at random, by last event, cold items or users.

Rows keep the order of the interactions table where timestamps tie. A share of n things is rounded
half up. ``history`` is ``train``, plus the fold-in events of cold users. Every split raises a
ValueError when a share is out of range, a timestamp that it needs is unknown or a part comes out
empty.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from llmrec.data.dataset import Dataset, Split

TRAIN, VALID, TEST, GIVEN, LATER = range(5)  # LATER: in no part
DAY = 86_400


def time_split(dataset: Dataset, test: float = 0.2, valid: float = 0.0, seed: int = 0) -> Split:
    """Split all events at one moment: the last ``test`` share in time is the test part.

    With n events sorted by time, train ends at event ``n - round((test + valid) n)``; events of
    that same second belong to train too, so that equal data give equal splits. ``valid`` lies
    between train and test, cut in the same way. Chance plays no part: ``seed`` is only kept.

    References
    ----------
    Meng et al. 2020, "Exploring data splitting strategies for the evaluation of recommendation
    models": a global time split is the one that leaks nothing from the future.
    """
    _check_shares(test=test, valid=valid)
    time = _known_times(dataset, "time_split")
    ordered, n = np.sort(time), len(time)

    def cut(share: float) -> int:
        """The last second before the share that comes latest."""
        return int(ordered[max(n - _round(share * n), 1) - 1])

    part = np.full(n, TRAIN)
    part[time > cut(test + valid)] = VALID if valid else TEST
    part[time > cut(test)] = TEST
    return _split(dataset, "time", seed, part, needed=(TEST, VALID) if valid else (TEST,))


def cut_split(dataset: Dataset, cut: int, days: float = 28.0) -> Split:
    """Learn from all events up to ``cut``; test on those of the ``days`` after it.

    Events after that are in no part. Several cuts of one dataset are several runs of the same
    question, as a shop would meet it: each knows its own past only.

    Parameters
    ----------
    cut:
        Seconds since 1970; events of that very second belong to train.
    days:
        Length of the test part, > 0.
    """
    if not days > 0:
        raise ValueError(f"cut_split: days={days} must be positive")
    time = _known_times(dataset, "cut_split")
    part = np.where(time <= cut, TRAIN, np.where(time <= cut + days * DAY, TEST, LATER))
    return _split(dataset, "time", 0, part, needed=(TEST,))


def random_split(dataset: Dataset, test: float = 0.25, valid: float = 0.0, seed: int = 0) -> Split:
    """Put a random ``test`` share of each user's events into test, a ``valid`` share into valid.

    A user with n events gives ``round(test n)`` to test and ``round(valid n)`` to valid, but always
    keeps one in train.
    """
    _check_shares(test=test, valid=valid)
    user = dataset.coded["user"].to_numpy()
    rank, count = _rank_within(user, np.random.default_rng(_seed(seed)).random(len(user)))
    n_test = np.minimum(_round_all(test * count), count - 1)
    n_valid = np.minimum(_round_all(valid * count), count - 1 - n_test)
    part = np.full(len(user), TRAIN)
    part[rank >= count - n_test - n_valid] = VALID
    part[rank >= count - n_test] = TEST
    return _split(dataset, "random", seed, part, needed=(TEST, VALID) if valid else (TEST,))


def last_out_split(dataset: Dataset, valid: bool = False) -> Split:
    """Put each user's last event into test and, with ``valid``, the one before into valid.

    A user's first event always stays in train: one event gives no test, two give no valid. Where
    timestamps are unknown the order of the rows counts. Beware: unlike `time_split` it lets train
    hold other users' events from after a test event.
    """
    events = dataset.coded
    rank, count = _rank_within(events["user"].to_numpy(), events["timestamp"].to_numpy())
    part = np.full(len(events), TRAIN)
    if valid:
        part[(rank == count - 2) & (rank > 0)] = VALID
    part[(rank == count - 1) & (rank > 0)] = TEST
    return _split(dataset, "last-out", 0, part, needed=(TEST, VALID) if valid else (TEST,))


def cold_item_split(
    dataset: Dataset, share: float = 0.2, seed: int = 0, valid: float = 0.0
) -> Split:
    """Hide a random ``share`` of the items that have events: all their events are the test part.

    Every other event is train. With ``valid`` the events of a further share of items are valid.
    """
    _check_shares(share=share, valid=valid)
    item = dataset.coded["item"].to_numpy()
    part = _label(np.unique(item), dataset.n_items, share, valid, seed)[item]
    return _split(dataset, "cold-item", seed, part, needed=(TEST, VALID) if valid else (TEST,))


def cold_user_split(
    dataset: Dataset, share: float = 0.2, given: float = 0.5, seed: int = 0, valid: float = 0.0
) -> Split:
    """Hide a random ``share`` of the users: none of their events is train, ``given`` are history.

    Of a cold user's n events ``round(given n)``, at most n - 1 and (unless ``given`` is 0 or n is
    1) at least one, are history only: known when scoring, never learned from. They are the
    earliest ones when all timestamps are known, else random ones. The rest is test. With ``valid``
    a further share of users is treated likewise, their rest being valid.
    """
    _check_shares(share=share, valid=valid)
    if not 0 <= given < 1:
        raise ValueError(f"given={given} is not a share in [0, 1)")
    events = dataset.coded
    user, time = events["user"].to_numpy(), events["timestamp"].to_numpy()
    part = _label(np.arange(dataset.n_users), dataset.n_users, share, valid, seed)[user]
    known = bool((time > 0).all())
    key = time if known else np.random.default_rng([_seed(seed), 1]).random(len(user))
    rank, count = _rank_within(user, key)
    n_given = np.minimum(np.maximum(_round_all(given * count), given > 0), count - 1)
    part[(part != TRAIN) & (rank < n_given)] = GIVEN
    return _split(dataset, "cold-user", seed, part, needed=(TEST, VALID) if valid else (TEST,))


def first_baskets(split: Split) -> Split:
    """Return the split with each user's first test basket alone as the test part.

    A basket is what one user took in one second: shops print one time on all lines of a receipt.
    """
    first = split.test.groupby("user")["timestamp"].transform("min")
    return replace(split, test=split.test[split.test["timestamp"] == first].reset_index(drop=True))


def in_order(events: pd.DataFrame) -> pd.DataFrame:
    """Return user and item of the events, by user, then by timestamp, then by row.

    This order holds everywhere in the book.
    """
    order = np.lexsort((events["timestamp"], events["user"]))  # stable: rows break ties
    return events[["user", "item"]].iloc[order].reset_index(drop=True)


def sequences(
    events: pd.DataFrame, n_users: int, keep: Literal["all", "first", "last"] = "all"
) -> list[np.ndarray]:
    """Return each user's item codes, oldest first; ``keep`` says which event of an item stays."""
    ordered = in_order(events)
    if keep != "all":
        ordered = ordered.drop_duplicates(["user", "item"], keep=keep)
    ends = np.cumsum(np.bincount(ordered["user"], minlength=n_users))
    return np.split(ordered["item"].to_numpy(), ends[:-1])


def _split(
    dataset: Dataset, name: str, seed: int, part: np.ndarray, needed: tuple[int, ...]
) -> Split:
    """Cut the coded interactions by their part label."""
    for label in (TRAIN, *needed):
        if not (part == label).any():
            empty = {TRAIN: "train", VALID: "valid", TEST: "test"}[label]
            raise ValueError(
                f"the {name} split of {dataset.name!r} leaves {empty} empty: "
                "choose other shares or a larger dataset"
            )

    def rows(*labels: int) -> pd.DataFrame:
        return dataset.coded[np.isin(part, labels)].reset_index(drop=True)

    return Split(
        dataset, name, seed, rows(TRAIN), rows(VALID), rows(TEST), history=rows(TRAIN, GIVEN)
    )


def _known_times(dataset: Dataset, caller: str) -> np.ndarray:
    """Return all timestamps, or raise where one is unknown."""
    time = dataset.interactions["timestamp"].to_numpy()
    if unknown := int((time == 0).sum()):
        raise ValueError(
            f"{caller} of {dataset.name!r}: {unknown} of {len(time)} timestamps are unknown (0): "
            "fill them in or use random_split"
        )
    return time


def _label(codes: np.ndarray, size: int, test: float, valid: float, seed: int) -> np.ndarray:
    """Give each code below ``size`` a part: a random share of ``codes`` is TEST, another VALID."""
    shuffled = np.random.default_rng(_seed(seed)).permutation(codes)
    n_test, n_valid = _round(test * len(codes)), _round(valid * len(codes))
    label = np.full(size, TRAIN)
    label[shuffled[:n_test]] = TEST
    label[shuffled[n_test : n_test + n_valid]] = VALID
    return label


def _rank_within(user: np.ndarray, key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row its rank by ``key`` among its user's rows, and how many those are."""
    order = np.lexsort((key, user))  # stable: rows with equal keys keep their order
    counts = np.bincount(user)
    starts = np.cumsum(counts) - counts
    rank = np.empty(len(user), np.int64)
    rank[order] = np.arange(len(user)) - starts[user[order]]
    return rank, counts[user]


def _round_all(values: np.ndarray) -> np.ndarray:
    return np.floor(values + 0.5 + 1e-9).astype(np.int64)  # half up, whatever the last bit of 0.1 n


def _round(value: float) -> int:
    return int(_round_all(np.array([value]))[0])


def _check_shares(*, valid: float, **test: float) -> None:
    ((name, share),) = test.items()
    if not 0 < share < 1:
        raise ValueError(f"{name}={share} is not a share between 0 and 1")
    if not 0 <= valid < 1:
        raise ValueError(f"valid={valid} is not a share in [0, 1)")
    if share + valid >= 1:
        raise ValueError(f"{name}={share} and valid={valid} leave nothing to train on")


def _seed(seed: int) -> int:
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed={seed!r} is not a whole number from 0 up")
    return int(seed)

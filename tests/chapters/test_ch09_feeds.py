"""Cuts of a feed, on a log small enough to be done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from chapters.ch09_feeds import DAY, appeared, cut_at, first_day, fresh_cuts, news_cuts
from llmrec.data import Dataset

EVENTS = [  # reader, article, day
    ("ann", "a", 0.5),
    ("bob", "a", 1.2),
    ("ann", "b", 6.5),
    ("bob", "b", 7.5),
    ("eve", "b", 7.6),
    ("ann", "c", 7.7),
    ("bob", "c", 8.5),
    ("ann", "d", 8.6),
    ("ann", "b", 7.9),
]


def log(events=EVENTS, **columns):
    table = pd.DataFrame(events, columns=["user", "item", "day"])
    frame = table[["user", "item"]].assign(
        timestamp=(table["day"] * DAY).astype(np.int64), weight=1.0, action="viewed"
    )
    items = pd.DataFrame({"item": list("abcd"), "title": ["A", "B", "C", ""], **columns})
    return Dataset("log", frame.sort_values("timestamp", ignore_index=True), items)


def named(data, cut):
    """Candidates, and by reader what is asked, in words."""
    items = data.items["item"].to_numpy()[cut.rows]
    asked = {
        data.user_ids[cut.people[user]]: set(items[cut.pool[row]])
        for user, row in zip(cut.users, cut.targets, strict=True)
    }
    return set(items[cut.pool]), asked


def test_an_item_appears_with_its_first_act_or_when_it_was_published():
    assert (appeared(log()) / DAY).round(1).to_dict() == {"a": 0.5, "b": 6.5, "c": 7.7, "d": 8.6}
    dated = log(published=[1, 2, 3, 4])
    assert appeared(dated).to_dict() == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert first_day(log()) == 0


def test_news_holds_only_what_has_appeared_before_the_cut():
    data = log()
    ((cut,),) = news_cuts(data, [1], memory=7, days=[0])
    # b was seen on day 6; a has appeared within seven days; c appears on the predicted day, so that
    # to offer it on the morning would tell that somebody is going to read it.
    pool, asked = named(data, cut)
    assert pool == {"a", "b"}
    assert asked == {"bob": {"b"}}
    assert cut.start == 7 * DAY
    # Ann takes b again on that day and had it before: it is no target and no candidate of hers.
    assert (cut.split.train["timestamp"] < cut.start).all()


def test_readers_without_an_act_can_be_asked_for_apart():
    data = log()
    ((cut,),) = news_cuts(data, [1], memory=7, days=[0], known=False)
    assert named(data, cut) == ({"a", "b"}, {"eve": {"b"}})
    assert cut.open.all()


def test_fresh_articles_are_those_that_appear_in_the_week_and_have_a_title():
    data = log()
    (cut,) = fresh_cuts(data, [1], memory=7)
    pool, asked = named(data, cut)
    assert pool == {"c"}
    assert asked == {"ann": {"c"}, "bob": {"c"}}
    assert cut.split.matrix("train")[:, cut.pool].nnz == 0


def test_memory_ends_where_it_should_and_open_is_what_was_not_taken():
    data = log()
    cut = cut_at(data, 8 * DAY, 1, 0, 8 * DAY, memory=1)
    assert set(cut.split.train["timestamp"] // DAY) == {7}
    pool, asked = named(data, cut)
    assert pool == {"a", "b", "c"}
    assert asked == {"bob": {"c"}}
    bob = dict(zip(data.items["item"][cut.rows[cut.pool]], cut.open[0], strict=True))
    assert bob == {"a": True, "b": False, "c": True}


def test_a_cut_of_no_days_asks_everybody_who_is_known():
    data = log()
    cut = cut_at(data, 8 * DAY, 0, 0, 8 * DAY, memory=30)
    assert {data.user_ids[cut.people[user]] for user in cut.users} == {"ann", "bob", "eve"}
    assert not cut.targets.any()


def test_weeks_with_nobody_to_ask_are_left_out_and_pools_of_every_second_week_are_disjoint():
    data = log()
    assert fresh_cuts(data, [5], memory=7) == []
    assert news_cuts(data, [5], memory=7) == []
    acts = np.arange(2000)  # 200 items over fifty days, each of which lives for two or three
    events = pd.DataFrame(
        {
            "user": [f"u{n % 7}" for n in acts],
            "item": [f"i{max(n // 10 - n % 9, 0)}" for n in acts],
            "timestamp": acts * DAY // 40,
            "weight": 1.0,
            "action": "viewed",
        }
    )
    names = list(events["item"].unique())
    many = Dataset("log", events, pd.DataFrame({"item": names, "title": names}))
    pools = [
        set(np.concatenate([cut.rows[cut.pool] for cut in cuts]))
        for cuts in news_cuts(many, [1, 3, 5], memory=14, known=True)
    ]
    assert len(pools) == 3
    assert all(pools)
    assert all(not a & b for n, a in enumerate(pools) for b in pools[:n])


def test_a_memory_of_nothing_is_refused():
    with pytest.raises(ValueError, match="memory=0 must be positive"):
        cut_at(log(), DAY, 1, 0, DAY, memory=0)

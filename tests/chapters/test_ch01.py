"""Chapter 1's tables, its scarcity and its interests, on tables small enough to check by hand."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from chapters import ch01_figures as figures
from chapters import ch01_interests as taste
from chapters import ch01_scarcity as scarcity
from chapters import ch01_traces as traces
from llmrec.data import Dataset
from llmrec.evaluation import evaluate
from llmrec.models import EASE, Popularity


def shop(rows, titles):
    events = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    items = pd.DataFrame({"item": range(len(titles)), "title": titles})
    return Dataset("shop", events.assign(weight=1.0, action="bought"), items)


TABLE = shop(
    [(0, 0, 0), (0, 1, 86_400), (1, 0, 10), (1, 2, 5 * 86_400), (2, 1, 86_000)],
    ["tea", "tea", "jam"],
)


def test_a_column_of_the_table_by_hand():
    known = traces.known(TABLE)
    assert (known["users"], known["items taken"], known["events"]) == (3, 3, 5)
    assert known["cells filled, %"] == pytest.approx(100 * 5 / 9)
    assert known["last fifth: on new items, %"] == 100  # the jam, and nothing else, comes late
    assert known["last fifth: by new users, %"] == 0


def test_a_trace_counts_days_from_the_first_event():
    assert traces.trace(TABLE, min_events=2).tolist() in ([0, 1], [0, pytest.approx(5, abs=1e-3)])


def test_the_tail_starts_at_nothing_and_ends_at_all():
    assert traces.long_tail(TABLE, np.array([0, 1 / 3, 1])) == pytest.approx([0, 0.4, 1])


def test_everything_is_new_in_the_first_tenth():
    events = [(u, u, u) for u in range(10)] + [(u, u, 10 + u) for u in range(10)]
    data = shop(events, [str(i) for i in range(10)])
    assert traces.arrivals(data, "item").tolist() == [100] * 5 + [0] * 5
    assert traces.arrivals(data, "user").tolist() == [100] * 5 + [0] * 5


def test_products_of_one_title_are_one_type():
    types, bought = traces.product_types(TABLE, min_households=1)
    assert types.items["title"].tolist() == ["jam", "tea"]
    assert len(types.interactions) == 4  # user 0 bought tea twice: once in the types
    assert sorted(bought["item"]) == [0, 1, 1, 1, 1]


def test_titles_that_are_missing_leave_with_their_events():
    data = shop([(0, 0, 0), (0, 1, 1), (1, 2, 2)], ["tea", "", "jam"])
    titles, events = traces.with_titles(data)
    assert titles == ["tea", "jam"]
    assert events["item"].tolist() == [0, 1]


def test_a_day_is_a_day():
    assert traces.within_a_day(TABLE) == pytest.approx(1 / 3)


def test_a_cut_leaves_so_many_events_a_user(planted):
    small = scarcity.cut(planted, 2, seed=0)
    assert small.train.groupby("user").size().max() == 2
    assert len(small.history) == len(small.train)


def test_the_best_of_several_is_the_best(planted):
    users = planted.test_users
    models = [Popularity().fit(planted), EASE(l2=5.0).fit(planted)]
    one = scarcity.best(models, planted, users)
    means = [evaluate(m, planted, metrics=("ndcg",), users=users).mean("ndcg@10") for m in models]
    assert one.mean("ndcg@10").value == max(mean.value for mean in means)
    assert one.name == "EASE"  # the planted groups are a matter of taste, not of popularity


def test_places_by_hand(split_of):
    """Popularity ranks item 0 first: the hidden 0 stands above both others, the hidden 2 below."""
    cells = [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2)]
    split = split_of(cells, 4, 3, test=[(0, 0), (1, 2)])
    place = scarcity.places(Popularity().fit(split), split, np.arange(3), np.array([0, 1, 2]))
    assert place[:2].tolist() == [1.0, 0.0]
    assert np.isnan(place[2])


def test_a_user_with_two_interests_has_more_than_one_and_fewer_than_chance():
    rng = np.random.default_rng(0)
    rows = np.repeat(np.eye(6), 20, axis=0) + 0.01 * rng.normal(size=(120, 6))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    cells = [
        (u, i) for u in range(30) for t in (u % 6, (u + 1) % 6) for i in range(20 * t, 20 * t + 10)
    ]
    pairs = pd.DataFrame(cells, columns=["user", "item"])
    options = {"n_items": 10, "n_users": 12, "n_nulls": 1}
    counts = taste.counted(pairs, rows, 0.5, 0, **options)
    assert counts["own"].mean() == pytest.approx(2, abs=0.1)
    assert counts["one interest"].mean() == 1
    assert counts["no taste"].mean() > 3


def test_the_crowds_season_is_taken_away_and_an_own_way_is_not():
    week = 7 * 86_400
    season = np.eye(4)[[0, 0, 1, 1]]
    rows = [(np.arange(4), season), (np.arange(4), season.copy())]
    left = taste.less_the_crowd(rows)
    assert all(np.abs(means).max() == 0 for _, means in left)
    table = pd.DataFrame({"user": 0, "item": range(12), "timestamp": week * np.arange(12)})
    vectors = np.eye(12, dtype=np.float32)
    ((periods, means),) = taste.weeks_of(table, vectors, 5, 0)
    assert len(periods) == len(means) == 12


def test_figures_show_what_they_are_given():
    fig = figures.timelines({"shop": np.array([0.0, 3.0]), "films": np.array([1.0])})
    assert [ax.get_title() for ax in fig.axes] == ["shop, 2 events", "films, 1 events"]
    grid = np.linspace(0, 1, 11)
    fig = figures.tails(grid, {"shop": grid**0.5})
    assert np.array_equal(fig.axes[0].lines[1].get_ydata(), grid**0.5)
    fig = figures.lags(np.array([1, 2, 4]), {"shop": (np.array([0.5, 0.2]), np.array([0.3, 0.3]))})
    assert fig.axes[0].lines[0].get_ydata().tolist() == [0.5, 0.2]
    plt.close("all")

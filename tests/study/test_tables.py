"""What counts as interest, which columns are text, and what the texts look like: by hand."""

import numpy as np
import pandas as pd
import pytest

from llmrec.data import DataError, Dataset
from llmrec.data.folder import feedback_of
from llmrec.study.tables import (
    countable,
    languages,
    prepare,
    profile,
    scripts,
    text_columns,
)


def dataset(weights, **columns):
    """One user an event, on items 0, 1, 2, ... in turn."""
    n = len(weights)
    events = pd.DataFrame(
        {"user": range(n), "item": np.arange(n) % 3, "timestamp": 5, "weight": weights}
    ).assign(action="took")
    items = pd.DataFrame({"item": range(3), "title": ["A rose", "", "A tulip"], **columns})
    return Dataset("toy", events.astype({"weight": float}), items)


@pytest.mark.parametrize(
    ("weights", "kind"),
    [
        ([1, 1, 1, 1], "events"),
        ([5, 4, 3, 1, 5, 4], "ratings"),
        ([0.5, 4.5, 3.0, 5.0], "ratings"),
        ([1, 1, 1, 1, 2, 3], "counts"),  # falls off from one
        ([12, 700, 3, 45], "counts"),
        ([1, 0, 1, 0], "counts"),
    ],
)
def test_feedback_is_told_by_the_weights(weights, kind):
    assert feedback_of(dataset(weights).interactions) == kind


def test_ratings_that_repeat_are_counts():
    events = dataset([5, 4, 3, 1, 5, 4]).interactions.assign(user=1)
    assert feedback_of(events) == "counts"


def test_low_ratings_are_left_out_counted_and_remembered():
    data = dataset([5, 4, 3, 1, 5, 2])
    events = data.interactions.assign(user=[0, 0, 1, 1, 2, 3], item=[0, 1, 2, 0, 1, 2])
    tables = prepare(Dataset("toy", events, data.items))
    assert (tables.min_weight, tables.low) == (3.0, 2)
    assert tables.dataset.interactions["weight"].tolist() == [5, 4, 3, 5]
    assert tables.refused.to_numpy().tolist() == [[1, 0, 5]]  # user 3 is gone with the only event
    everything = prepare(Dataset("toy", events, data.items), min_weight=0)
    assert everything.low == 0
    assert len(everything.refused) == 0
    with pytest.raises(DataError, match="no event has a weight of at least 9"):
        prepare(data, min_weight=9)


def test_weights_of_zero_are_no_interest_and_repeats_count_once():
    data = dataset([1, 0, 2, 1])
    events = pd.concat([data.interactions, data.interactions.iloc[[2, 2]]])
    tables = prepare(Dataset("toy", events, data.items))
    assert (tables.feedback, tables.low, tables.merged) == ("counts", 1, 2)
    assert len(tables.dataset.interactions) == 3


def test_a_pair_that_counts_once_is_neither_lost_nor_refused():
    data = dataset([5, 0, 5, 0, 2])
    events = data.interactions.assign(user=[0, 0, 1, 1, 1], item=[0, 0, 1, 2, 2])
    events = events.iloc[[1, 0, 2, 3, 4]].reset_index(drop=True)  # weights 0, then 5
    tables = prepare(Dataset("toy", events, data.items))
    assert (tables.feedback, tables.low, tables.merged) == ("counts", 2, 0)
    pairs = tables.dataset.interactions[["user", "item"]].to_numpy().tolist()
    assert pairs == [[0, 0], [1, 1], [1, 2]]
    assert len(tables.refused) == 0


def test_few_events_without_a_time_are_left_out_and_many_are_not():
    data = dataset([1] * 200)
    events = data.interactions.assign(timestamp=np.arange(200))  # one of 200 is 0
    tables = prepare(Dataset("toy", events, data.items))
    assert (tables.undated, len(tables.dataset.interactions)) == (1, 199)
    assert profile(tables).dated
    tables = prepare(Dataset("toy", events.assign(timestamp=np.arange(200) // 3), data.items))
    assert (tables.undated, len(tables.dataset.interactions)) == (0, 200)
    assert not profile(tables).dated


def test_columns_of_interactions_that_are_not_read_are_known():
    data = dataset([1] * 6)
    events = data.interactions.assign(price=[9.5, 9.5, 3, 4, 1, 2], shop="ours", row=range(6))
    about = profile(prepare(Dataset("toy", events, data.items)))
    assert about.unread == {"price": True, "shop": False, "row": False}


def test_text_columns_are_told_from_numbers_links_and_constants():
    items = dataset(
        [1, 1],
        genre=["Crime", "War", ""],
        year=[1990, 1991, 1992],
        price=["9.99", "1,50", "7"],
        picture=["https://a.org/1", "www.b.org/2", "/c/3.png"],
        shop=["ours"] * 3,
        note=[""] * 3,
    ).items
    words, others = text_columns(items)
    assert words == ("title", "genre")
    assert others == {
        "year": "numbers or dates",
        "price": "numbers or dates",
        "picture": "links or paths",
        "shop": "the same for every item",
        "note": "empty",
    }


def test_texts_join_the_text_columns():
    data = dataset([1, 1, 1], genre=["Crime", "War", ""], price=["1", "2", "3"])
    assert prepare(data).texts == ["A rose. Genre: Crime.", "Genre: War.", "A tulip."]
    assert prepare(data, template="{title}").texts == ["A rose", "", "A tulip"]


def test_scripts_without_spaces_become_pairs():
    assert countable(["语言模型", "a 语 b", "東京へ go", "plain words"]) == [
        "语言 言模 模型",
        "a 语 b",
        "東京 京へ go",
        "plain words",
    ]


def test_scripts_and_languages():
    assert scripts(["abc", "语言 12"]) == {"Latin": 0.6, "Chinese": 0.4}
    assert scripts(["12 !"]) == {}
    assert scripts(["1º é"]) == {"Latin": 1.0}
    told = ["o gato e o cão", "der hund und die katze", "das haus ist auf dem berg", "zebra"]
    assert languages(told) == {"German": 0.6667, "Portuguese": 0.3333}
    assert languages(["zebra quartz"]) == {}
    assert languages(["de la"]) == {}  # French as well as Spanish


@pytest.mark.parametrize(
    ("titles", "foreign"),
    [
        (["the rose of the garden", "a day at the sea", "zebra"], ""),
        (["the rose", "os gatos e o rio", "the sea"], "Portuguese"),
        (["语言模型", "机器学习", "the"], "Chinese script"),
        (["Heat", "Ran", "Alien"], ""),
    ],
)
def test_what_is_not_english_is_named(titles, foreign):
    data = dataset([1] * 6)
    tables = prepare(Dataset("toy", data.interactions, data.items.assign(title=titles)))
    assert profile(tables).foreign == foreign


def test_a_profile_by_hand():
    data = dataset([1] * 6)
    events = data.interactions.assign(
        user=[0, 0, 0, 1, 1, 2], item=[0, 0, 1, 0, 1, 0], timestamp=[86400, 90000, 3, 4, 5, 6]
    )
    about = profile(prepare(Dataset("toy", events, data.items)))
    assert (about.n_events, about.n_users, about.n_items, about.n_pairs) == (6, 3, 3, 5)
    assert about.density == 5 / 9
    assert about.repeated == pytest.approx(1 / 6)
    assert (about.one_event_users, about.never_taken, about.median_history) == (1, 1, 2)
    assert (about.dated, about.first, about.last) == (True, "1970-01-01", "1970-01-02")
    assert about.with_text == 2 / 3
    assert about.median_words == 2
    assert about.hot_share == pytest.approx(0.4 * 3 / 5)  # two items taken: 3 and 2 of 5 pairs
    assert about.tail[0] == 0
    assert about.tail[-1] == 1
    assert about.histories[-1] == 2

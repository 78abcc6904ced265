"""Friends and tags of HetRec Last.fm 2k, and the tags of films."""

from __future__ import annotations

import pandas as pd
import pytest

from chapters.ch10_lastfm import film_tags, friendships, tag_assignments, tag_texts
from llmrec.data import Dataset, load


@pytest.fixture(scope="module")
def lastfm() -> Dataset:
    return load("lastfm")


@pytest.mark.mirror
def test_the_published_friendships(lastfm: Dataset) -> None:
    pairs = friendships()
    assert len(pairs) == 2 * 12_717 == 25_434
    assert pairs.groupby("user").size().mean() == pytest.approx(13.443, abs=5e-4)
    assert set(pairs["user"]) == set(lastfm.user_ids)
    there = set(map(tuple, pairs.to_numpy().tolist()))
    assert there == {(friend, user) for user, friend in there}
    assert all(user != friend for user, friend in there)


@pytest.mark.mirror
def test_the_published_tag_assignments(lastfm: Dataset) -> None:
    given = tag_assignments()
    assert len(given) == 186_479
    assert given["tag"].nunique() == 9_749
    assert given.groupby("user").size().mean() == pytest.approx(98.562, abs=5e-4)
    assert given.groupby("item").size().mean() == pytest.approx(14.891, abs=5e-4)
    tags_a_user = given.groupby("user")["tag"].nunique().mean()
    assert tags_a_user == pytest.approx(18.930, abs=5e-4)
    assert given.groupby("item")["tag"].nunique().mean() == pytest.approx(8.764, abs=5e-4)
    assert (given["timestamp"] == 0).sum() == 5  # in the years 1956, 1957 and 1979
    first = given.iloc[0]  # the example of the readme, in UTC
    assert (first["user"], first["item"], first["timestamp"]) == (2, 52, 1_238_544_000)
    known = given.loc[given["timestamp"] > 0, "timestamp"]
    years = pd.to_datetime(known, unit="s").dt.year
    assert (years.min(), years.max()) == (2005, 2011)
    assert "tropicália" in set(given["tag"])  # tags.dat is in Latin-1
    left_out = ~given["item"].isin(lastfm.item_ids)
    assert given.loc[left_out, "item"].nunique() == 390
    texts = tag_texts(given, lastfm.items["item"], 3)
    assert texts.count("") == 17_632 - (12_523 - 390)
    assert max(len(words.split(", ")) for words in texts) == 3


@pytest.mark.mirror
def test_the_published_tags_of_films() -> None:
    tags = film_tags()
    assert len(tags) == 3_683
    assert tags["user"].nunique() == 58
    assert tags["item"].isin(load("ml-latest-small").item_ids).all()


def test_tags_are_counted_and_ties_go_by_the_alphabet() -> None:
    given = pd.DataFrame(
        {"item": [5, 5, 5, 5, 5, 6], "tag": ["rock", "pop", "rock", "indie", "pop", "emo"]}
    )
    assert tag_texts(given, pd.Series([6, 5, 4]), 2) == ["emo", "pop, rock", ""]
    others = given[given["tag"] != "rock"]  # whose assignments count is the caller's choice
    assert tag_texts(others, pd.Series([5]), 2) == ["pop, indie"]

"""HetRec Last.fm 2k: the published counts, tags, friends, templates, malformed files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from llmrec.data import DataError, Dataset, load
from llmrec.data.loaders.lastfm import friendships, read, tag_assignments, tag_texts
from llmrec.text import behaviour_text, item_text


@pytest.fixture(scope="module")
def lastfm() -> Dataset:
    return load("lastfm", tags=3)


@pytest.mark.mirror
def test_the_published_counts(lastfm: Dataset) -> None:
    events = lastfm.interactions
    assert lastfm.n_users == 1_892
    assert lastfm.n_items == events["item"].nunique() == 17_632
    assert len(events) == 92_834
    assert not events.duplicated(["user", "item"]).any()
    assert events.groupby("user").size().mean() == pytest.approx(49.067, abs=5e-4)
    assert events.groupby("item").size().mean() == pytest.approx(5.265, abs=5e-4)
    assert (events["weight"].min(), events["weight"].max()) == (1, 352_698)
    assert set(events["action"]) == {"listened to"}
    assert set(events["timestamp"]) == {0}


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
    assert dict(lastfm.dropped) == {
        "artists without a tag (kept)": 17_632 - (12_523 - 390),
        "tags given to artists without a row (left out)": left_out.sum(),
    }


@pytest.mark.mirror
def test_names_and_both_templates(lastfm: Dataset) -> None:
    items = lastfm.items.set_index("item")
    assert items["title"].loc[1686] == '"Weird Al" Yankovic'  # quotes are letters
    assert items["title"].loc[2] == "Diary of Dreams"
    assert "tags" not in load("lastfm").items
    assert load("lastfm").dropped == {}
    some = lastfm.items.head(2)
    assert item_text(some, "lastfm") == some["title"].tolist()
    tags = some["tags"].tolist()
    assert item_text(some, "lastfm-tags") == [
        f"{title}. Tags: {words}." for title, words in zip(some["title"], tags, strict=True)
    ]
    assert all(len(words.split(", ")) == 3 for words in tags)
    event = lastfm.coded[lastfm.coded["item"] == 1].head(1)
    text = behaviour_text(event, lastfm.items.head(2), template="lastfm")
    count = int(event["weight"].iloc[0])
    assert text == f"The listener played Diary of Dreams {count} times."


@pytest.mark.mirror
def test_a_negative_number_of_tags() -> None:
    with pytest.raises(ValueError, match=r"tags=-1 is negative"):
        load("lastfm", tags=-1)


def test_tags_are_counted_and_ties_go_by_the_alphabet() -> None:
    given = pd.DataFrame(
        {"item": [5, 5, 5, 5, 5, 6], "tag": ["rock", "pop", "rock", "indie", "pop", "emo"]}
    )
    assert tag_texts(given, pd.Series([6, 5, 4]), 2) == ["emo", "pop, rock", ""]
    others = given[given["tag"] != "rock"]  # whose assignments count is the caller's choice
    assert tag_texts(others, pd.Series([5]), 2) == ["pop, indie"]


def test_malformed_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "user_artists.dat"
    path.write_text("userID\tartistID\tweight\n1\t2\t3\n1\tx\t4\n")
    with pytest.raises(
        DataError, match=r"user_artists\.dat, column 'artistID', row 2: not a whole"
    ):
        read(path)
    path.write_text("userID\tartistID\n1\t2\n")
    with pytest.raises(DataError, match=r"user_artists\.dat has no column 'weight'"):
        read(path)
    path.write_text("userID\tartistID\tweight\n1\t2\t3\n1\t2\t3\t4\n")
    with pytest.raises(DataError, match=r"user_artists\.dat cannot be read"):
        read(path)
    path.write_text("userID\tartistID\tweight\n1\t2\t\n")
    with pytest.raises(DataError, match=r"column 'weight', row 1: not a whole number"):
        read(path)
    path.write_text("userID\tartistID\tweight\n1\t2\t3.0\n")
    assert read(path).to_numpy().tolist() == [[1, 2, 3]]


def test_tags_are_read_as_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "tags.dat"
    path.write_bytes('tagID\ttagValue\n1\tespañol "vivo"\n2\tNA\n'.encode("latin-1"))
    assert read(path)["tagValue"].tolist() == ['español "vivo"', "NA"]

"""HetRec Last.fm 2k: the published counts, templates, malformed files."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec.data import DataError, Dataset, load
from llmrec.data.loaders.lastfm import read
from llmrec.text import behaviour_text, item_text


@pytest.fixture(scope="module")
def lastfm() -> Dataset:
    return load("lastfm")


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
def test_names_and_both_templates(lastfm: Dataset) -> None:
    items = lastfm.items.set_index("item")
    assert items["title"].loc[1686] == '"Weird Al" Yankovic'  # quotes are letters
    assert items["title"].loc[2] == "Diary of Dreams"
    assert lastfm.dropped == {}
    some = lastfm.items.head(2).assign(tags="rock, pop")
    assert item_text(some, "lastfm") == some["title"].tolist()
    assert item_text(some, "lastfm-tags") == [f"{one}. Tags: rock, pop." for one in some["title"]]
    event = lastfm.coded[lastfm.coded["item"] == 1].head(1)
    text = behaviour_text(event, lastfm.items.head(2), template="lastfm")
    count = int(event["weight"].iloc[0])
    assert text == f"The listener played Diary of Dreams {count} times."


def test_malformed_files_are_refused(tmp_path: Path) -> None:
    path, columns = tmp_path / "user_artists.dat", ("userID", "artistID", "weight")
    path.write_text("userID\tartistID\tweight\n1\t2\t3\n1\tx\t4\n")
    with pytest.raises(
        DataError, match=r"user_artists\.dat, column 'artistID', row 2: not a whole"
    ):
        read(path, columns)
    path.write_text("userID\tartistID\n1\t2\n")
    with pytest.raises(DataError, match=r"user_artists\.dat has no column 'weight'"):
        read(path, columns)
    path.write_text("userID\tartistID\tweight\n1\t2\t3\n1\t2\t3\t4\n")
    with pytest.raises(DataError, match=r"user_artists\.dat cannot be read"):
        read(path, columns)
    path.write_text("userID\tartistID\tweight\n1\t2\t\n")
    with pytest.raises(DataError, match=r"column 'weight', row 1: not a whole number"):
        read(path, columns)
    path.write_text("userID\tartistID\tweight\n1\t2\t3.0\n")
    assert read(path, columns).to_numpy().tolist() == [[1, 2, 3]]


def test_tags_are_read_as_latin_1(tmp_path: Path) -> None:
    path = tmp_path / "tags.dat"
    path.write_bytes('tagID\ttagValue\n1\tespañol "vivo"\n2\tNA\n'.encode("latin-1"))
    assert read(path, ("tagID", "tagValue"))["tagValue"].tolist() == ['español "vivo"', "NA"]

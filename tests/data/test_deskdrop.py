"""Deskdrop: the published counts, titles, its template, malformed files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from llmrec.data import DataError, Dataset, load
from llmrec.data.loaders.deskdrop import actions, titles
from llmrec.text import behaviour_text, item_text


@pytest.fixture(scope="module")
def deskdrop() -> Dataset:
    return load("deskdrop")


@pytest.mark.mirror
def test_the_published_counts(deskdrop: Dataset) -> None:
    events = deskdrop.interactions
    assert deskdrop.n_users == 1_895
    assert events["item"].nunique() == 2_987
    assert events["action"].value_counts().to_dict() == {
        "viewed": 61_086,
        "liked": 5_745,
        "bookmarked": 2_463,
        "commented on": 1_611,
        "followed": 1_407,
    }
    assert len(events) == 72_312
    assert events["timestamp"].is_monotonic_increasing
    assert (events["timestamp"].min(), events["timestamp"].max()) == (1457963676, 1488309711)


@pytest.mark.mirror
def test_titles_cover_what_the_source_says(deskdrop: Dataset) -> None:
    items, events = deskdrop.items.set_index("item"), deskdrop.interactions
    assert len(items) == 1_273 + 1_721  # with a row in the titles, and only in the log
    assert dict(deskdrop.dropped) == {
        "articles without a title (kept)": 1_721 + 11,
        "of these, without a row": 1_721,
    }
    assert (items["title"] == "").sum() == 1_721 + 11
    read_titled = events["item"].isin(items.index[items["title"] != ""])
    assert read_titled.sum() == 52_963 - 73  # eleven articles have a row, and no title in it
    assert items["title"].loc[-7638840925036528150].startswith("Introducing Docker for Windows")
    assert not items["title"].str.contains("contentId").any()  # two faults of the second file


@pytest.mark.mirror
def test_both_templates(deskdrop: Dataset) -> None:
    items = deskdrop.items.head(2)
    assert item_text(items, "deskdrop") == items["title"].tolist()
    events = deskdrop.coded[deskdrop.coded["item"] < 2].head(1)
    title = items["title"][events["item"].iloc[0]]
    text = behaviour_text(events, items, template="deskdrop")
    assert text == f"The colleague {events['action'].iloc[0]} {title}."


def zipped(folder: Path, text: str) -> Path:
    path = folder / "users_interactions.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("users_interactions.csv", text)
    return path


def test_actions_are_sorted_and_named(tmp_path: Path) -> None:
    path = zipped(
        tmp_path,
        "timestamp,eventType,contentId,personId,userAgent\n"
        "9,COMMENT CREATED,-3,8,x\n5,VIEW,4,8,y\n9,LIKE,4,7,\n",
    )
    log = actions(path)
    assert log["action"].tolist() == ["viewed", "commented on", "liked"]
    assert log["item"].tolist() == [4, -3, 4]
    assert log["user"].tolist() == [8, 8, 7]
    assert log["weight"].tolist() == [1.0] * 3
    assert "userAgent" not in log


def test_other_forms_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, "timestamp,eventType,contentId,personId\n1,VIEW,1,1\n1,SHARE,1,1\n")
    with pytest.raises(DataError, match=r"'eventType', row 2: not one of VIEW, LIKE"):
        actions(path)
    path = zipped(tmp_path, "timestamp,eventType,contentId\n1,VIEW,1\n")
    with pytest.raises(DataError, match="has no column 'personId'"):
        actions(path)
    other = tmp_path / "titles.csv"
    other.write_text("contentId,name\n1,a\n")
    with pytest.raises(DataError, match=r"titles\.csv has no column 'title'"):
        titles([other])


def test_the_first_file_names_an_article_and_an_empty_title_stays(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("contentId,title,Recommendation 1\n1,NA  or\tnot,z\n2,,z\n")
    (tmp_path / "b.csv").write_text(
        'contentId,title\n1,other\n3,null\n4,"contentId\n4  Why\n5  Why\nName: title"\n'
    )
    table = titles([tmp_path / "a.csv", tmp_path / "b.csv"])
    assert table.to_dict("list") == {"item": [1, 2, 3, 4], "title": ["NA or not", "", "null", ""]}

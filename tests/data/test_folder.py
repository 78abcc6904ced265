"""`Dataset.from_folder`: anybody's tables, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec.data import DataError, Dataset

EVENTS = "user,item,timestamp,weight,action\n2,10,100,5,rated\n1,11,200,3,rated\n"
ITEMS = "item,title,note\n10,NA,\n11,Élan,x\n"


def write(folder: Path, **files: str | bytes | pd.DataFrame) -> Path:
    for name, content in files.items():
        if isinstance(content, pd.DataFrame):
            content.to_parquet(folder / f"{name}.parquet")
        else:
            data = content if isinstance(content, bytes) else content.encode()
            (folder / f"{name}.csv").write_bytes(data)
    return folder


def read(folder: Path, events: str | bytes = EVENTS, items: str | bytes = ITEMS, **options):
    return Dataset.from_folder(write(folder, interactions=events, items=items), **options)


def test_csv_with_all_columns(tmp_path: Path) -> None:
    write(tmp_path, users="user,city\n1,\n3,Oslo\n")
    dataset = read(tmp_path)
    assert dataset.name == tmp_path.name
    assert dataset.interactions.to_dict("list") == {
        "user": [2, 1],
        "item": [10, 11],
        "timestamp": [100, 200],
        "weight": [5.0, 3.0],
        "action": ["rated", "rated"],
    }
    assert dataset.items.to_dict("list") == {
        "item": [10, 11],
        "title": ["NA", "Élan"],  # a film may be called NA
        "note": ["", "x"],
    }
    assert dataset.users is not None
    assert dataset.users.to_dict("list") == {"user": [1, 3], "city": ["", "Oslo"]}
    assert dataset.dropped == {}


def test_a_byte_order_mark_and_other_line_ends_are_fine(tmp_path: Path) -> None:
    dataset = read(tmp_path, b"\xef\xbb\xbf" + EVENTS.replace("\n", "\r\n").encode())
    assert dataset.user_ids.tolist() == [1, 2]


def test_parquet_gives_the_same_dataset(tmp_path: Path) -> None:
    (tmp_path / "csv").mkdir()
    (tmp_path / "parquet").mkdir()
    one = read(tmp_path / "csv")
    two = Dataset.from_folder(
        write(tmp_path / "parquet", interactions=one.interactions, items=one.items)
    )
    pd.testing.assert_frame_equal(one.interactions, two.interactions)
    pd.testing.assert_frame_equal(one.items, two.items)


def test_what_is_absent_gets_its_default(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item\nu,10\nv,11\n", name="mine")
    assert dataset.name == "mine"
    assert dataset.interactions["timestamp"].tolist() == [0, 0]
    assert dataset.interactions["weight"].tolist() == [1.0, 1.0]
    assert dataset.interactions["action"].tolist() == ["interacted"] * 2
    assert dataset.dropped == {}


def test_gaps_are_filled_in_and_counted(tmp_path: Path) -> None:
    dataset = read(
        tmp_path, "user,item,timestamp,weight,action\n1,10,,,\n1,11,5,2,viewed\n2,11,6,,viewed\n"
    )
    assert dataset.interactions["timestamp"].tolist() == [0, 5, 6]
    assert dataset.interactions["weight"].tolist() == [1.0, 2.0, 1.0]
    assert dataset.interactions["action"].tolist() == ["interacted", "viewed", "viewed"]
    assert dataset.dropped == {
        "cells of 'timestamp' filled in with 0": 1,
        "cells of 'weight' filled in with 1.0": 2,
        "cells of 'action' filled in with 'interacted'": 1,
    }


def test_iso_dates_become_seconds(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        "user,item,timestamp\n1,10,1970-01-02\n1,10,1970-01-01T00:00:05.9\n"
        "1,10,1970-01-01T01:00:05+01:00\n1,10,\n",
    )
    assert dataset.interactions["timestamp"].tolist() == [86400, 5, 5, 0]
    assert dataset.interactions["timestamp"].dtype == np.int64


def test_parquet_dates_and_floats_become_seconds(tmp_path: Path) -> None:
    events = pd.DataFrame({"user": [1.0, 2.0], "item": [10, 11]})
    moments = pd.Series(np.array(["1970-01-01T00:00:07", "NaT"], "datetime64[us]"))
    write(tmp_path, interactions=events.assign(timestamp=moments), items=ITEMS)
    dataset = Dataset.from_folder(tmp_path)
    assert dataset.interactions["timestamp"].tolist() == [7, 0]
    assert dataset.user_ids.tolist() == [1, 2]  # whole floats are whole numbers
    write(tmp_path, interactions=events.assign(timestamp=[8.0, np.nan]))
    assert Dataset.from_folder(tmp_path).interactions["timestamp"].tolist() == [8, 0]


def test_ids_are_numbers_only_when_all_of_them_are(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item\n007,10\n7,x\n", "item,title\n10,T\nx,X\n")
    assert dataset.user_ids.tolist() == ["007", "7"]
    assert dataset.item_ids.tolist() == ["10", "x"]


def test_columns_are_renamed(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        "userId,movieId,rating\n1,10,4\n",
        "movieId,name\n10,Heat\n",
        columns={"userId": "user", "movieId": "item", "rating": "weight", "name": "title"},
    )
    assert dataset.interactions["weight"].tolist() == [4.0]
    assert dataset.items["title"].tolist() == ["Heat"]


def test_items_without_a_row_get_one_and_are_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, EVENTS + "1,99,300,1,rated\n1,98,300,1,rated\n1,99,301,1,rated\n")
    assert dataset.item_ids.tolist() == [10, 11, 98, 99]
    assert dataset.items["title"].tolist() == ["NA", "Élan", "", ""]
    assert dataset.items["note"].tolist() == ["", "x", "", ""]
    assert dataset.dropped == {"items without a row": 2}


@pytest.mark.parametrize(
    ("drop", "left", "reason"),
    [(False, 4, "repeated events (kept)"), (True, 2, "repeated events")],
)
def test_repeated_events_are_counted(tmp_path: Path, drop: bool, left: int, reason: str) -> None:
    row = EVENTS.splitlines()[1]
    dataset = read(tmp_path, f"{EVENTS}{row}\n{row}\n", drop_duplicates=drop)
    assert len(dataset.interactions) == left
    assert dataset.dropped == {reason: 2}


@pytest.mark.parametrize(
    ("events", "items", "match"),
    [
        (b"user,item\n1,10\n2,\xe9\n", ITEMS, r"not UTF-8: byte 0xe9 at offset 17 \(line 3\)"),
        (EVENTS, b"\xef\xbb\xbfitem,title\n1,\xff\n", r"items.csv is .* offset 16 \(line 2\)"),
        ("", ITEMS, "interactions.csv is empty: it needs a header"),
        ("user,item\n", ITEMS, "interactions.csv has no rows"),
        (EVENTS, "item,title\n", "items.csv has no rows"),
        ("user,item\n1,10,7,8\n", ITEMS, "interactions.csv: a row has more cells than the header"),
        ("user,item\n1,10\n1,2,3\n", ITEMS, "interactions.csv (: a row has|cannot be read)"),
        ("user,item\n1,10\n1,2,3,4\n", ITEMS, "interactions.csv cannot be read as csv: .*line 3"),
        ("who,item\n1,10\n", ITEMS, "interactions.csv has no column 'user' .it has who, item"),
        (EVENTS, "item,name\n10,x\n", "items.csv has no column 'title' .it has item, name"),
        ("user,item\n1,10\n,11\n", ITEMS, "interactions.csv, column 'user', row 2: no user id"),
        ("user,item\n1,10\n2,\n", ITEMS, "interactions.csv, column 'item', row 2: no item id"),
        (EVENTS, "item,title\n10,a\n10,b\n", "items.csv, column 'item', row 2: item id occurs"),
        (EVENTS, "item,title\n10,a\n,b\n", "items.csv, column 'item', row 2: no item id"),
        ("user,item,weight\n1,10,x\n", ITEMS, "column 'weight', row 1: not a number"),
        ("user,item,weight\n1,10,inf\n", ITEMS, "column 'weight', row 1: not a finite number"),
        ("user,item,timestamp\n1,10,-5\n", ITEMS, "'timestamp', row 1: negative"),
        ("user,item,timestamp\n1,10,5\n1,10,1.5\n", ITEMS, "'timestamp', row [12].*: neither"),
        ("user,item,timestamp\n1,10,2020-13-01\n", ITEMS, "'timestamp', row 1: neither whole"),
    ],
)
def test_a_bad_file_is_named_with_its_place(
    tmp_path: Path, events: str | bytes, items: str | bytes, match: str
) -> None:
    with pytest.raises(DataError, match=match) as caught:
        read(tmp_path, events, items)
    assert "\n" not in str(caught.value)


def test_a_users_file_is_checked_too(tmp_path: Path) -> None:
    write(tmp_path, users="user,age\n1,30\n1,31\n")
    with pytest.raises(DataError, match=r"users\.csv, column 'user', row 2: user id occurs"):
        read(tmp_path)


def test_fractions_of_a_second_in_parquet(tmp_path: Path) -> None:
    events = pd.DataFrame({"user": [1], "item": [10], "timestamp": [1.5]})
    write(tmp_path, interactions=events, items=ITEMS)
    with pytest.raises(DataError, match=r"interactions\.parquet, .*row 1: not a whole second"):
        Dataset.from_folder(tmp_path)


def test_absent_or_ambiguous_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder"):
        Dataset.from_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"neither interactions\.csv nor interactions\.par"):
        Dataset.from_folder(tmp_path)
    write(tmp_path, interactions=EVENTS)
    with pytest.raises(FileNotFoundError, match=r"neither items\.csv nor items\.parquet"):
        Dataset.from_folder(tmp_path)
    write(tmp_path, items=pd.DataFrame({"item": [10], "title": ["x"]}))
    with pytest.raises(DataError, match=r"both items\.csv and items\.parquet: keep one"):
        read(tmp_path)
    (tmp_path / "items.csv").unlink()
    (tmp_path / "items.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"items\.parquet cannot be read as parquet"):
        Dataset.from_folder(tmp_path)


def test_a_column_name_that_no_file_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'userID', which none of interactions\.csv, items\.csv"):
        read(tmp_path, columns={"userID": "user"})

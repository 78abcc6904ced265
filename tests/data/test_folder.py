"""`Dataset.from_folder`: anybody's tables, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from llmrec.data import DataError, Dataset
from llmrec.data.folder import EARLY

EVENTS = "user,item,timestamp,weight,action\n2,10,1700000100,5,rated\n1,11,1700000200,3,rated\n"
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
        "timestamp": [1700000100, 1700000200],
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
        tmp_path,
        "user,item,timestamp,weight,action\n1,10,,,\n1,11,1700000005,2,viewed\n2,11,1700000006,,viewed\n",
    )
    assert dataset.interactions["timestamp"].tolist() == [0, 1700000005, 1700000006]
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
    known = "".join(f"3,10,{1700000000 + time},1,rated\n" for time in range(4))
    lost = "1,99,1700000300,1,rated\n1,98,1700000300,1,rated\n1,99,1700000301,1,rated\n"
    dataset = read(tmp_path, EVENTS + known + lost)
    assert dataset.item_ids.tolist() == [10, 11, 98, 99]
    assert dataset.items["title"].tolist() == ["NA", "Élan", "", ""]
    assert dataset.items["note"].tolist() == ["", "x", "", ""]
    assert dataset.dropped == {"events on items without a row": 3, "items without a row": 2}


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
        ("user,item\n1,10,7,8\n", ITEMS, "interactions.csv, row 1 has more cells than the header"),
        (
            "user,item\n1,10\n1,2,3\n",
            ITEMS,
            "interactions.csv, row 2 has more cells than the header",
        ),
        ("user,item\n1,10\n1,2,3,4\n", ITEMS, "interactions.csv, row 2 has more cells"),
        ("who,item\n1,10\n", ITEMS, "interactions.csv has no column 'user' .it has who, item"),
        ("user,item\n1,10\n,11\n", ITEMS, "interactions.csv, column 'user', row 2: no user id"),
        ("user,item\n1,10\n2,\n", ITEMS, "interactions.csv, column 'item', row 2: no item id"),
        (EVENTS, "item,title\n10,a\n10,b\n", "items.csv, column 'item', row 2: item id occurs"),
        (EVENTS, "item,title\n10,a\n,b\n", "items.csv, column 'item', row 2: no item id"),
        ("user,item,weight\n1,10,x\n", ITEMS, "column 'weight', row 1: not a number"),
        ("user,item,weight\n1,10,inf\n", ITEMS, "column 'weight', row 1: not a finite number"),
        ("user,item,timestamp\n1,10,-5\n", ITEMS, "'timestamp', row 1: negative"),
        (
            "user,item,timestamp\n1,10,5\n1,10,2020-01-01\n",
            ITEMS,
            "'timestamp', row [12].*: neither",
        ),
        ("user,item,timestamp\n1,10,2020-13-01\n", ITEMS, "'timestamp', row 1: neither seconds"),
        ("user,item,timestamp\n1,10,1e30\n", ITEMS, "'timestamp', row 1: not a moment"),
        ('user,item,weight\n1,10,"1,234"\n', ITEMS, "column 'weight', row 1: not a number"),
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


def test_fractions_of_a_second_are_cut_off(tmp_path: Path) -> None:
    events = pd.DataFrame({"user": [1, 1], "item": [10, 11], "timestamp": [1.7e9 + 0.5, 1.7e9 + 3]})
    write(tmp_path, interactions=events, items=ITEMS)
    dataset = Dataset.from_folder(tmp_path)
    assert dataset.interactions["timestamp"].tolist() == [1700000000, 1700000003]
    assert dataset.dropped == {"fractions of a second cut off": 1}
    write(tmp_path, interactions=events.assign(timestamp=np.inf))
    with pytest.raises(DataError, match=r"interactions\.parquet, .*row 1.*: not a moment"):
        Dataset.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("cells", "seconds", "said"),
    [
        (["1700000000.0", "1700000001.9"], [1700000000, 1700000001], "fractions of a second cut"),
        (["1700000000123", "1700000001999"], [1700000000, 1700000001], "read as milliseconds"),
        (["1700000000123456", ""], [1700000000, 0], "timestamps read as microseconds"),
        (["1700000000123456789", "0"], [1700000000, 0], "timestamps read as nanoseconds"),
    ],
)
def test_moments_in_other_units_become_seconds(tmp_path: Path, cells, seconds, said) -> None:
    rows = "".join(f"1,{10 + n},{cell}\n" for n, cell in enumerate(cells))
    dataset = read(tmp_path, f"user,item,timestamp\n{rows}")
    assert dataset.interactions["timestamp"].tolist() == seconds
    assert any(said in reason for reason in dataset.dropped)


def test_ids_that_never_match_are_refused_with_two_of_them(tmp_path: Path) -> None:
    match = "100% of the events are on items that items.csv lacks, such as '7'.* has '007'"
    with pytest.raises(DataError, match=match):
        read(tmp_path, "user,item\n1,7\n1,8\n", "item,title\n007,A\n008,B\n")
    with pytest.raises(DataError, match=r"such as '7\.0'"):
        read(tmp_path, "user,item\n1,7.0\n1,8.0\n", "item,title\n7,A\n8,B\n")


def test_common_names_of_columns_are_understood_and_said(tmp_path: Path) -> None:
    dataset = read(
        tmp_path,
        "user_id,movieId,rating,Date,price\n1,10,4,1970-01-02,9.5\n",
        "movieId,year,name,genre\n10,1999,Heat,Crime\n11,1995,Ran,War\n",
    )
    row = dataset.interactions.iloc[0]
    assert (row["user"], row["item"], row["weight"], row["timestamp"]) == (1, 10, 4.0, 86400)
    assert dataset.items["title"].tolist() == ["Heat", "Ran"]
    assert dataset.dropped == {
        "cells of 'user' read from column 'user_id' of interactions.csv": 1,
        "cells of 'item' read from column 'movieId' of interactions.csv": 1,
        "cells of 'item' read from column 'movieId' of items.csv": 2,
        "cells of 'timestamp' read from column 'Date' of interactions.csv": 1,
        "cells of 'weight' read from column 'rating' of interactions.csv": 1,
        "titles read from column 'name'": 2,
    }


def test_of_two_names_the_one_that_can_be_read_is_taken_or_neither(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item,date,time\n1,10,2017-07-14,noon\n")
    assert dataset.interactions["timestamp"].tolist() == [1499990400]
    dataset = read(tmp_path, "user,item,rating,count\n1,10,4,2\n")
    assert dataset.interactions["weight"].tolist() == [1.0]
    assert dataset.interactions["count"].tolist() == ["2"]
    reason = (
        "cells of 'weight' that 'rating' and 'count' of interactions.csv could both be: not read"
    )
    assert dataset.dropped == {reason: 1}
    dataset = read(tmp_path, "user,item,rating,weight\n1,10,4,2\n")
    assert dataset.interactions["weight"].tolist() == [2.0]


def test_our_own_names_are_known_in_other_letters_and_with_blanks(tmp_path: Path) -> None:
    events = "User, ITEM,TIMESTAMP,Weight ,Action,date\n1, 10,1700000000,2,viewed,yesterday\n"
    dataset = read(tmp_path, events, "Item,Name, Title\n10,Ann,1984\n")
    assert dataset.interactions.iloc[0, :5].tolist() == [1, 10, 1700000000, 2.0, "viewed"]
    assert dataset.items["title"].tolist() == ["1984"]
    assert {
        "cells of 'timestamp' read from column 'TIMESTAMP' of interactions.csv": 1,
        "cells of 'item' of interactions.csv with blanks around an id": 1,
        "titles read from column ' Title'": 1,
    }.items() <= dataset.dropped.items()


@pytest.mark.parametrize(
    ("column", "cells", "match"),
    [
        ("date", ["2017-07-14", "14/07/2017"], "column 'date', row 2: neither seconds nor an ISO"),
        ("rating", ["4", "n/a", "5"], "column 'rating', row 2: not a number: fix or empty it"),
        ("timestamp", ["now"], "column 'timestamp', row 1: neither seconds"),
        ("timestamp", ["2017-07-14", "today"], "column 'timestamp', row 2: neither seconds"),
        ("timestamp", ["9999-12-31", "2017-07-14"], "row 1: after the year 2200"),
        ("timestamp", ["2017-07-14", "0001-01-01"], "row 2: negative"),
        ("timestamp", ["20170714", "20161231"], "numbers such as 20170714 are dates, not seconds"),
        ("timestamp", ["20170714024000"], "20170714024000 are dates, not seconds since 1970"),
        ("timestamp", ["2017", "1999"], "2017 are years, not seconds"),
        ("timestamp", ["42930.11", "42931.5"], "42930.11 are a spreadsheet's days, not seconds"),
        ("timestamp", ["1700000000", "1700000001", "1700000000123"], "row 3: in another unit"),
        ("timestamp", ["1700000000", "1700000001123", "1700000000123"], "row 1: in another unit"),
    ],
)
def test_times_and_weights_that_would_be_silently_wrong(tmp_path, column, cells, match) -> None:
    rows = "".join(f"1,{10 + n % 2},{cell}\n" for n, cell in enumerate(cells))
    with pytest.raises(DataError, match=match) as caught:
        read(tmp_path, f"user,item,{column}\n{rows}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "match"),
    [
        ([True, True], "column 'timestamp', row 1 .*: neither seconds"),
        (np.array(["0001-01-01", "2017-07-14"], "datetime64[s]"), "row 1: negative"),
        ([2017.0, 2018.0], "2017.0 are years"),
        ([20170714, 20170715], "20170714 are dates"),
    ],
)
def test_parquet_times_that_would_be_silently_wrong(tmp_path, cells, match) -> None:
    events = pd.DataFrame({"user": [1, 2], "item": [10, 11], "timestamp": cells})
    with pytest.raises(DataError, match=match):
        Dataset.from_folder(write(tmp_path, interactions=events, items=ITEMS))


def test_times_before_1990_are_kept_and_counted(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item,timestamp\n1,10,1\n1,11,2\n1,10,3\n")
    assert dataset.interactions["timestamp"].tolist() == [1, 2, 3]  # steps are an order, too
    assert dataset.dropped == {EARLY: 3}


@pytest.mark.parametrize(
    ("events", "options", "match"),
    [
        ("user,item,item\n1,10,11\n", {}, "interactions.csv has two columns named 'item': rename"),
        ('user,item,note\n1,10,"a\n1,11,"b\n', {}, "interactions.csv, line 3: ',' expected"),
        ('user,item,note\n1,10,"a\n1,11,b\n', {}, "interactions.csv, line 3: unexpected end"),
        (
            "user,item,id\n1,10,11\n",
            {"columns": {"id": "item"}},
            "interactions.csv has two columns named 'item': let columns= name one alone",
        ),
        (
            "user,a,b\n1,10,11\n",
            {"columns": {"a": "item", "b": "item"}},
            "interactions.csv has two columns named 'item'",
        ),
    ],
)
def test_rows_and_columns_that_would_be_lost_in_silence(tmp_path, events, options, match) -> None:
    with pytest.raises(DataError, match=match):
        read(tmp_path, events, **options)


def test_a_row_inside_quotes_is_counted(tmp_path: Path) -> None:
    items = 'item,title,note\n10,A,"two\nlines"\n11,"B,\n12,C,",x\n'
    dataset = read(tmp_path, items=items)
    assert dataset.dropped == {"rows of items.csv with a row inside quotes: a stray quote?": 1}


@pytest.mark.parametrize("other", ["a ", " a", "a\u00a0"])
def test_ids_that_differ_by_blanks_alone_are_refused(tmp_path: Path, other: str) -> None:
    match = r"interactions\.csv, column 'user', row 2: differs from another id by blanks alone"
    with pytest.raises(DataError, match=match):
        read(tmp_path, f"user,item\na,10\n{other},11\n")


def test_ids_are_never_merged_nor_empty(tmp_path: Path) -> None:
    dataset = read(tmp_path, "user,item\n12,10\n1\u0662,11\n")  # an Arabic-Indic 2
    assert dataset.user_ids.tolist() == ["12", "1\u0662"]
    with pytest.raises(DataError, match="column 'user', row 2: no user id"):
        read(tmp_path, "user,item\n1,10\n \t,11\n")
    lists = pd.DataFrame({"user": [[1], [2]], "item": [10, 11]})
    (tmp_path / "interactions.csv").unlink()
    with pytest.raises(DataError, match=r"interactions\.parquet, column 'user': ids are mixed"):
        Dataset.from_folder(write(tmp_path, interactions=lists))
    narrow = pd.DataFrame({"user": [1, 2, 3], "item": [10, 11, 266]})  # 266 is 10 in eight bits
    table = pd.DataFrame({"item": np.array([10, 11], np.int8), "title": ["A", "B"]})
    (tmp_path / "items.csv").unlink()
    write(tmp_path, interactions=narrow, items=table)
    assert Dataset.from_folder(tmp_path).item_ids.tolist() == [10, 11, 266]


def test_without_titles_the_first_words_stand_in(tmp_path: Path) -> None:
    items = "item,link,kind,about\n10,https://a.org/x,ab,a rose\n11,https://a.org/y,ab,a tulip\n"
    dataset = read(tmp_path, items=items)
    assert dataset.items["title"].tolist() == ["a rose", "a tulip"]
    dataset = read(tmp_path, items="item,year\n10,1990\n11,1991\n")
    assert dataset.items["title"].tolist() == ["", ""]
    assert dataset.dropped == {"items without a title: no column of the items holds words": 2}


def test_semicolons_and_tabs_with_decimal_commas(tmp_path: Path) -> None:
    for sep in (";", "\t"):
        events = f"user{sep}item{sep}weight\n1{sep}10{sep}4,5\n2{sep}11{sep}3\n"
        dataset = read(tmp_path, events, f"item{sep}title\n10{sep}A, b\n11{sep}C\n")
        assert dataset.interactions["weight"].tolist() == [4.5, 3.0]
        assert dataset.items["title"].tolist() == ["A, b", "C"]
        assert dataset.dropped == {"cells of 'weight' read with a decimal comma": 1}


def test_events_without_a_rating_are_left_out_of_a_rating_scale(tmp_path: Path) -> None:
    rows = "".join(
        f"1,{item},{stars}\n" for item, stars in zip((10, 11, 12), (5, 3, 4), strict=True)
    )
    items = "item,title\n10,A\n11,B\n12,C\n"
    dataset = read(tmp_path, f"user,item,weight\n{rows}2,10,\n", items)
    assert dataset.interactions["weight"].tolist() == [5.0, 3.0, 4.0]
    assert dataset.dropped == {"events without a rating, left out": 1}


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

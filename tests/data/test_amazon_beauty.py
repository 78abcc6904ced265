"""Amazon Beauty: the published counts, the order of events, malformed files."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec.data import DataError, Dataset, last_out_split, load, time_split
from llmrec.data.loaders.amazon_beauty import _products, _sequences
from llmrec.text import behaviour_text, item_text


@pytest.fixture(scope="module")
def beauty() -> Dataset:
    return load("amazon-beauty")


@pytest.mark.mirror
def test_the_published_counts(beauty: Dataset) -> None:
    assert (beauty.n_users, beauty.n_items, len(beauty.interactions)) == (22_363, 12_101, 198_502)
    events = beauty.interactions
    assert events["user"].value_counts().min() == events["item"].value_counts().min() == 5  # 5-core
    assert not events.duplicated(["user", "item"]).any()
    assert set(events["timestamp"]) == {0}
    assert dict(beauty.dropped) == {"products without a name (kept)": 7}
    titles = beauty.items["title"]
    assert titles.str.split().str.len().mean() == pytest.approx(10.9, abs=0.05)
    assert not titles.str.contains("&egrave;").any()
    assert beauty.items["title"][0].startswith("WAWO 15 Color")


@pytest.mark.mirror
def test_leave_one_out_follows_the_order_of_the_file(beauty: Dataset) -> None:
    split = last_out_split(beauty, valid=True)
    assert (len(split.train), len(split.valid), len(split.test)) == (153_776, 22_363, 22_363)
    code = int((beauty.user_ids == "A1YJEY40YUW4SE").argmax())
    order = [
        beauty.item_ids[part.loc[part["user"] == code, "item"]].tolist()
        for part in (split.train, split.valid, split.test)
    ]
    assert order == [["B004756YJA", "B004ZT0SSG", "B0020YLEYK"], ["7806397051"], ["B002WLWX82"]]
    assert split.hash == "c891e5d2c0f610f1ce8655d0fff3577e4d5edf9f47a71fecca10fed1e557b3a2"


@pytest.mark.mirror
def test_it_has_no_times(beauty: Dataset) -> None:
    with pytest.raises(ValueError, match="198502 of 198502 timestamps are unknown"):
        time_split(beauty)


@pytest.mark.mirror
def test_its_templates(beauty: Dataset) -> None:
    texts = item_text(beauty.items, "amazon-beauty")
    assert texts[1] == "Xtreme Brite Brightening Gel 1oz."
    assert texts.count("") == 7
    history = beauty.coded.head(2)
    text = behaviour_text(history, beauty.items, "amazon-beauty")
    assert text.startswith("The customer reviewed ")
    assert ", then reviewed " in text


def test_a_customer_without_products_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "user_sequence.txt"
    path.write_text("A B1 B2\nC\n")
    with pytest.raises(DataError, match=r"user_sequence.txt, row 2: .* this is 'C'"):
        _sequences(path)


def test_names_must_cover_the_products(tmp_path: Path) -> None:
    numbers, names = tmp_path / "ids.json", tmp_path / "names.csv"
    numbers.write_text('{"B2": 0, "B1": 1}')
    names.write_text(",global_product_id,name\n0,1,NA\n1,0,Cr&egrave;me\n", encoding="utf-8")
    assert _products(numbers, names).to_dict("list") == {
        "item": ["B1", "B2"],
        "title": ["NA", "Crème"],  # "NA" is a name here, not a gap
    }
    names.write_text("global_product_id,name\n1,x\n")
    with pytest.raises(DataError, match=r"names.csv has no row for 1 products, first B2"):
        _products(numbers, names)
    names.write_text("id,name\n1,x\n")
    with pytest.raises(DataError, match=r"no column 'global_product_id' \(it has id, name\)"):
        _products(numbers, names)

"""CiteULike-a: the published counts, its two templates, malformed files."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmrec.data import DataError, Dataset, load
from llmrec.data.loaders.citeulike_a import _tags, counted_rows
from llmrec.text import item_text


@pytest.fixture(scope="module")
def citeulike() -> Dataset:
    return load("citeulike-a")


@pytest.mark.mirror
def test_the_published_counts(citeulike: Dataset) -> None:
    assert citeulike.n_users == 5_551
    assert citeulike.n_items == 16_980
    assert len(citeulike.interactions) == 204_986
    assert not citeulike.interactions.duplicated(["user", "item"]).any()
    assert citeulike.interactions["user"].value_counts().min() == 10
    assert citeulike.items["title"][4] == "Navigation in a small world"
    assert (citeulike.items["title"] != "").all()
    assert citeulike.items["tags"][0].startswith("dissertation, metabolism, network, metabolic net")
    assert (citeulike.items["tags"] == "").sum() == 3_461
    assert dict(citeulike.dropped) == {"articles without a tag (kept)": 3_461}


@pytest.mark.mirror
def test_titles_and_tags_are_of_the_same_article(citeulike: Dataset) -> None:
    """The title file is another project's: a tag occurs in its own title, not in the next one."""

    titles = citeulike.items["title"].str.lower().tolist()
    tagged = [(row, tags) for row, tags in enumerate(citeulike.items["tags"]) if tags]

    def hits(shift: int) -> float:
        found = (
            any(tag in titles[(row + shift) % len(titles)] for tag in tags.split(", "))
            for row, tags in tagged
        )
        return sum(found) / len(tagged)

    assert hits(0) > 0.9
    assert hits(1) < 0.25
    assert hits(-1) < 0.25


@pytest.mark.mirror
def test_only_the_second_template_writes_tags(citeulike: Dataset) -> None:
    items = citeulike.items.head(1)
    assert item_text(items, "citeulike-a") == [
        "The metabolic world of Escherichia coli is not small"
    ]
    assert item_text(items, "citeulike-a-tags")[0].startswith(
        "The metabolic world of Escherichia coli is not small. Tags: dissertation, metabolism"
    )


def test_rows_of_another_form_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.dat"
    for text, message in [
        ("2 0 1\n3 0 1\n", "users.dat, row 2: announces 3 items, has 2"),
        ("1 9\n", "users.dat, row 1: item 9, but items run from 0 to 2"),
        ("1 a\n", "users.dat, row 1: not whole numbers but '1 a'"),
        ("1 0\n\n1 0\n", "users.dat, row 2: not whole numbers but ''"),
    ]:
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            counted_rows(path, 3)
    path.write_text("2 0 2\n0\n")
    assert counted_rows(path, 3) == [[0, 2], []]


def test_tags_are_read_as_latin_1_and_equal_ones_once(tmp_path: Path) -> None:
    (tmp_path / "tags.dat").write_bytes("small-world\nsmall_world\nréseau\n".encode("latin-1"))
    (tmp_path / "item-tag.dat").write_text("3 0 1 2\n0\n1 2\n")
    assert _tags(tmp_path) == ["small world, réseau", "", "réseau"]

import pytest

from llmrec.repro.layout import Layout, chapter_of


def test_find_walks_upwards(clone, tmp_path):
    assert Layout.find(clone.root / "book") == clone
    assert Layout.find(clone.root) == clone


def test_find_says_what_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="not inside a clone"):
        Layout.find(tmp_path)


def test_notebooks_by_chapter(clone, notebook):
    folder = clone.root / "notebooks"
    for name in ("05_b.ipynb", "04_a.ipynb"):
        notebook(folder / name)
    assert list(clone.notebooks()) == ["ch04", "ch05"]
    assert list(clone.notebooks(["5"])) == list(clone.notebooks(["05", "ch05"])) == ["ch05"]
    with pytest.raises(ValueError, match="no notebook for chapter 09: there are 04, 05"):
        clone.notebooks(["9"])
    notebook(folder / "04_c.ipynb")
    with pytest.raises(ValueError, match="are both chapter 04"):
        clone.notebooks()
    (folder / "04_c.ipynb").rename(folder / "notes.ipynb")
    with pytest.raises(ValueError, match="name notebooks by chapter"):
        clone.notebooks()


def test_an_appendix_has_a_letter(clone, notebook):
    for name in ("08b_coupons.ipynb", "08_shop.ipynb", "09_feed.ipynb"):
        notebook(clone.root / "notebooks" / name)
    assert list(clone.notebooks()) == ["ch08", "ch08b", "ch09"]
    assert list(clone.notebooks(["8b"])) == list(clone.notebooks(["ch08b"])) == ["ch08b"]
    assert list(clone.notebooks(["8"])) == ["ch08"]


@pytest.mark.parametrize("number", ["x", "", "123", "-1", "8bc"])
def test_bad_chapter_number(number):
    with pytest.raises(ValueError, match="not a chapter number"):
        chapter_of(number)

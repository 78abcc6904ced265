"""No typed number, headings in order, no misspelling: pages and the text cells of notebooks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from gates_notebook import markdown_of
from gates_prose import (
    Allowed,
    Count,
    allow_list,
    count,
    heading_problems,
    headings,
    prose,
    typed_numbers,
)

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ALLOWED = allow_list(HERE / "allowed_numbers.yml")


def text_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return markdown_of(json.loads(text)) if path.suffix == ".ipynb" else text


def test_no_page_types_a_number(page_path):
    assert typed_numbers(text_of(page_path), page_path.name, ALLOWED) == []


def test_no_notebook_types_a_number(notebook_path):
    assert typed_numbers(text_of(notebook_path), notebook_path.name, ALLOWED) == []


def printed_by(path: Path) -> str:
    """The sentences that a notebook's cells print."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"] if path.suffix == ".ipynb" else []
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    return "\n\n".join("".join(data.get("text/markdown", "")) for data in shown)


def test_nearly_all_numbers_in_prose_are_computed():
    paths = [*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    whole = sum((count(text_of(path), printed_by(path)) for path in paths), Count())
    print(f"{whole.computed} numbers are computed, {whole.typed} are typed: {whole.share:.1%}")
    assert whole.computed > 100
    assert whole.share >= 0.95


def test_a_text_of_typed_numbers_has_a_small_share():
    text = "Of {result}`ch04.a:.2f` and 0.31, 12 % and 5×; see chapter 4."
    assert count(text) == Count(computed=1, typed=3)
    assert count(text, "It is 0.4 [0.3, 0.5].") == Count(computed=4, typed=3)
    assert count(text).share == 0.25
    assert Count().share == 0


@pytest.mark.parametrize(
    "sentence",
    [
        "差值是0.31。",
        "It reaches an nDCG of 0.381 on cold items.",
        "It is 5× faster.",
        "The gain is 12 %.",
        "There are 1,682 films.",
        "A loss of -0.03 follows.",
        "In code, `0.473` against `37 %`.",
        "```{note}\nThe best is 0.47.\n```",
        ":::{figure} a.png\n:alt: A bar of 0.3.\n\nWords.\n:::",
        "It trains on 20k texts",
        "| model | 0.31 |",
    ],
)
def test_a_typed_number_is_found(sentence):
    assert typed_numbers(sentence, "page.md", ALLOWED)


@pytest.mark.parametrize(
    "sentence",
    [
        "{result}`ch04.ml100k.cold.ndcg10:.3f` on cold items",
        "Chapter 4 tests C14 with all-MiniLM-L6-v2 on MovieLens-100K, in nDCG@10.",
        "$x = 0.5$ and\n$$\ny = 12\n$$ (eq-y)",
        "```python\nx = 12\n```",
        "````{note}\n```python\nx = 12\n```\n````",
        "`seed = 7`",
        "<!-- 12 -->",
        "1. First, see [this](https://doi.org/10.1145/12.34).",
        "A 95 % interval (Steck 2019).",
        "(own-data-2)=\n# Title",
    ],
)
def test_what_is_not_a_measurement_may_be_typed(sentence):
    assert typed_numbers(sentence, "page.md", ALLOWED) == []


def test_prose_keeps_line_numbers():
    assert prose("a\n```python\nx\n```\n$$\n1\n$$\nb").splitlines()[7] == "b"
    assert typed_numbers("a\n\n$$\n1\n$$\n\nb 7", "p", [])[0].startswith("p:7: 7")


def test_an_allowance_needs_a_reason_and_keeps_to_its_place(tmp_path):
    path = tmp_path / "allowed.yml"
    path.write_text("- pattern: x\n  why: so\n")
    with pytest.raises(ValueError, match="needs a reason"):
        allow_list(path)
    only = [Allowed(r"\b64\b", "a setting that is quoted", where="*06*")]
    assert typed_numbers("batch 64", "06.ipynb", only) == []
    assert typed_numbers("batch 64", "05.ipynb", only)


def test_headings_of_pages_are_in_order(page_path):
    assert heading_problems(headings(text_of(page_path))) == []


def test_headings_of_notebooks_are_in_order(notebook_path):
    assert heading_problems(headings(text_of(notebook_path))) == []


@pytest.mark.parametrize(
    ("markdown", "problem"),
    [
        ("## No title", "does not begin"),
        ("words", "does not begin"),
        ("# A\n\n# B", "a second title"),
        ("# A\n\n### B", "followed by level 3"),
    ],
)
def test_headings_out_of_order_are_found(markdown, problem):
    assert problem in heading_problems(headings(markdown))[0]


def test_a_comment_in_code_is_no_heading():
    assert headings("# A\n```python\n# not one\n```\n## B") == [(1, "A"), (2, "B")]


def misspellings(folder: Path) -> str:
    """Return what codespell finds in a folder (names that look like misspellings are ignored)."""
    command = [sys.executable, "-m", "codespell_lib", "--ignore-words-list=als,nd", "--regex"]
    done = subprocess.run(
        [*command, r"[A-Za-z][A-Za-z'-]+", str(folder)], cwd=folder, capture_output=True, text=True
    )
    return done.stdout


def test_spelling_of_pages_and_notebooks(tmp_path):
    paths = [*ROOT.glob("*.md"), *ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    for path in paths:
        (tmp_path / f"{path.stem}.md").write_text(text_of(path), encoding="utf-8")
    assert misspellings(tmp_path) == ""


def test_a_misspelling_is_found(tmp_path):
    (tmp_path / "a.md").write_text("We recieve behaviour.")
    assert "receive" in misspellings(tmp_path)

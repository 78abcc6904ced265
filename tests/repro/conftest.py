"""A tiny clone of the book in a temporary folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from llmrec.repro.layout import Layout

PARAMETERS = 'profile = "book"\nseed = 0'


def write_notebook(path: Path, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook: a heading, the parameters cell, then the code cells."""
    first = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    cells = [nbformat.v4.new_markdown_cell("# Title"), first]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


@pytest.fixture
def notebook() -> Callable[..., Path]:
    return write_notebook


@pytest.fixture
def clone(tmp_path: Path) -> Layout:
    """A clone with one claim, one headline row, a README and a package of one module."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.yml").write_text(
        "- id: C1\n  section: 1\n  claim: It is more than half.\n  chapters: [4]\n"
        "  keys: [ch04.share]\n"
        "  rule: {supported: ch04.share > 0.5, refuted: ch04.share < 0.5}\n"
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "headline.yml").write_text(
        "- {label: Share, key: ch04.share, format: .2f}\n"
    )
    (tmp_path / "README.md").write_text(
        "# Book\n<!-- headline:begin -->\nold\n<!-- headline:end -->\nrest\n"
    )
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "llmrec").mkdir()
    # The kernel loads the installed package; what is hashed are this clone's files.
    (tmp_path / "llmrec" / "__init__.py").write_text("")
    (tmp_path / "llmrec" / "text.py").write_text("def clean(text):\n    return 1\n")
    return Layout(tmp_path)

"""The gates are plain modules beside the tests; the book is built once, strictly."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

PAGES = sorted(ROOT.glob("book/*.md"))
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say at the very end, and loudly, which gates did not run: a skipped gate proves nothing."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("GATES THAT DID NOT RUN", red=True, bold=True)
        for report in skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
            terminalreporter.line(f"{report.nodeid}: {reason}", red=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once for each page or notebook that it asks for."""
    for name, paths in {"page_path": PAGES, "notebook_path": NOTEBOOKS}.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, paths, ids=lambda path: path.stem)


@pytest.fixture
def notebook(notebook_path: Path) -> dict[str, Any]:
    return json.loads(notebook_path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def book_html() -> Path:
    """Build the book as `make book` does, unless that very content is built already."""
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build()


@pytest.fixture(scope="session")
def html_pages(book_html: Path) -> dict[str, Path]:
    """Every rendered page by its name, such as ``"book/claims"``; Sphinx's own pages included."""
    found = {
        path.relative_to(book_html).with_suffix("").as_posix(): path
        for path in sorted(book_html.rglob("*.html"))
        if "_static" not in path.relative_to(book_html).parts
    }
    assert len(found) >= len(PAGES) + len(NOTEBOOKS)
    return found

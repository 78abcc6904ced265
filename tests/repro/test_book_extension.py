"""A small build of pages with the book's own extension."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmrec.repro.reference import Reference

EXTENSION = Path(__file__).parents[2] / "book" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSION)!r})
extensions = ["myst_parser", "llmrec_book"]
html_theme = "basic"
exclude_patterns = ["README.md", "_out"]
"""
ENTRIES = {
    "ch04.share": {"kind": "metric", "value": 0.75, "tolerance": 0.01},
    "ch04.loss": {"kind": "exact", "value": -12},
}
CHAPTER = {"notebook": "04_a", "seconds": 90.0, "peak_mb": 1500, "profile": "book", "seed": 0}


@pytest.fixture
def build(clone):
    """Build pages of the tiny clone with -W -n; return the exit code, the messages and the HTML."""
    (clone.root / "conf.py").write_text(CONF)
    (clone.root / "notebooks" / "04_algorithm.md").write_text(
        "---\norphan: true\n---\n# The algorithm\n"
    )

    def run(page, published=True):
        if published:
            reference = Reference(
                "book", ENTRIES, {"ch04": CHAPTER}, {"python": "3.11", "cores": 2}
            )
            reference.save(clone.reference)
        (clone.root / "index.md").write_text(page)
        command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-E"]
        done = subprocess.run(
            [*command, str(clone.root), str(clone.root / "_out")], capture_output=True, text=True
        )
        html = (clone.root / "_out" / "index.html").read_text()
        return done.returncode, done.stderr, html

    return run


def test_pages_print_recorded_numbers_and_tables(build):
    page = (
        "# Page\n\nShare {result}`ch04.share:.3f`, {result}`ch04.share`, {result}`ch04.loss`, "
        "{result}`ch04.share:.0%`; {minutes}`04`.\n\n"
        "```{claims-table}\n```\n\n```{status-table}\n```\n\n```{headline-table}\n```\n"
    )
    code, messages, html = build(page)
    assert (code, messages) == (0, "")
    assert re.findall(r'<span class="result">(.*?)</span>', html) == ["0.750", "0.75", "−12", "75%"]

    assert "1.5 minutes" in html

    claims, costs, machine, headline = re.findall(r"<table.*?</table>", html, re.S)
    assert "supported" in claims
    assert 'href="notebooks/04_algorithm.html"' in claims
    assert "ch04.share" in claims
    assert "0.75" in claims
    assert "1.5" in costs  # minutes, and GB
    assert "3.11" in machine
    assert "Share" in headline
    for table in (claims, costs, machine, headline):  # what a screen reader needs
        assert "<caption" in table
        assert "<thead>" in table
        assert re.search(r'<th class="[^"]*stub', table)


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("{result}`ch04.typo:.3f`", "no number is recorded under 'ch04.typo'"),
        ("{result}`ch04.loss:.3q`", "format '.3q' does not fit -12"),
        ("{minutes}`09`", "no run of chapter '09' is published"),
    ],
)
def test_a_number_that_cannot_be_printed_fails_the_build(build, role, message):
    code, messages, html = build(f"# Page\n\n{role}\n")
    assert code != 0
    assert message in messages
    assert "index.md:3" in messages
    assert "problematic" in html


def test_before_the_first_publication_the_tables_still_build(build):
    page = (
        "# Page\n\n```{claims-table}\n```\n\n```{status-table}\n```\n\n```{headline-table}\n```\n"
    )
    code, messages, html = build(page, published=False)
    assert (code, messages) == (0, "")
    assert "not yet tested" in html
    assert "No run has been published yet" in html


def test_a_broken_claims_file_fails_the_build(build, clone):
    clone.claims.write_text("- {id: C1, section: 1}\n")
    code, messages, _ = build("# Page\n")
    assert code == 0
    (clone.root / "_out" / "index.html").write_text("")
    code, messages, _ = build("# Page\n\n```{claims-table}\n```\n")
    assert code != 0
    assert "C1: has no claim" in messages

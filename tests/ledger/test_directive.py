"""The page of the ledger, built with the book's own extension."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import asdict
from html import unescape
from pathlib import Path

import pytest

from llmrec.fingerprint import code_of
from llmrec.ledger import Ledger, Measured, load_published, load_recipes
from llmrec.repro.layout import Layout

EXTENSION = Path(__file__).parents[2] / "book" / "_ext"
CONF = f"""
import sys
sys.path.insert(0, {str(EXTENSION)!r})
extensions = ["myst_parser", "llmrec_book"]
html_theme = "basic"
smartquotes = False
"""
PUBLISHED = """
nir:
  title: The next film
  says: Ten of nineteen.
  source: s
  where: t
  tolerance: 0.001
  models:
    gpt3: {model: GPT-3, recipe: gpt3, same: true, reread: false, values: {hr@10: 0.1209}}
    larger: {model: Larger, recipe: gpt3, note: Much larger., values: {hr@10: 0.5}}
    absent: {model: Absent, note: Not in this book., values: {hr@10: 0.4}}
"""
OURS = Measured(0.1211, 0.1, 0.14, 943)

RECIPES = load_recipes(Layout.find())


@pytest.fixture
def build(tmp_path):
    """Build a page with the table; ``change`` spoils the hash of what was measured."""
    for folder in ("book", "results", "notebooks"):
        (tmp_path / folder).mkdir()
    chapters = Layout.find().root / "notebooks" / "chapters"
    (tmp_path / "notebooks" / "chapters").symlink_to(chapters)
    (tmp_path / "book" / "claims.yml").write_text("[]")
    (tmp_path / "conf.py").write_text(CONF)
    (tmp_path / "index.md").write_text("# Ledger\n\n```{ledger-table}\n```\n")
    layout = Layout(tmp_path)
    layout.published.write_text(PUBLISHED)

    def run(measured=True, change=False):
        label = RECIPES["nir/gpt3"].label
        code = "another" if change else code_of(RECIPES["nir/gpt3"].run)
        done = {"metrics": {"hr@10": asdict(OURS)}, "code": code, "seconds": 1.0, "label": label}
        if measured:
            Ledger({"nir/gpt3": done}).save(layout.ledger, load_published(layout.published))
        command = [sys.executable, "-m", "sphinx", "-W", "-n", "--keep-going", "-q", "-E"]
        out = tmp_path / "_out"
        done = subprocess.run([*command, str(tmp_path), str(out)], capture_output=True, text=True)
        return done.returncode, done.stderr, (out / "index.html").read_text()

    return run


def test_the_table_says_paper_ours_interval_verdict_and_note(build):
    code, messages, html = build()
    assert (code, messages) == (0, "")
    (table,) = re.findall(r"<table.*?</table>", html, re.S)
    rows = re.findall("<tr.*?</tr>", table, re.S)
    text = [" ".join(unescape(re.sub("<[^>]+>", " ", row)).split()) for row in rows]
    label = RECIPES["nir/gpt3"].label
    assert text == [
        "model metric paper ours verdict what ours is, and why they differ",
        f"GPT-3 † hr@10 0.1209 0.1211 [0.1000, 0.1400] equal {label}",
        f"Larger hr@10 0.5000 0.1211 [0.1000, 0.1400] below {label} (another model). Much larger.",
        "Absent hr@10 0.4000 not run Not in this book.",
    ]
    assert "The next film" in table
    assert "Ten of nineteen." in html


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"measured": False}, "never run"),
        ({"change": True}, "its code or the data"),
    ],
)
def test_a_ledger_that_is_absent_or_old_fails_the_build(build, state, reason):
    code, messages, _ = build(**state)
    assert code != 0
    assert f"nir/gpt3 is out of date ({reason}" in messages
    assert "run llmrec ledger --only nir" in messages

"""The rendered pages: pictures with alt text, headings in order, no dead link, the claims' rows."""

from __future__ import annotations

from pathlib import Path

import gates_html as gates
import yaml
from bs4 import BeautifulSoup
from gates_prose import heading_problems

ROOT = Path(__file__).parent.parent.parent
CLAIMS = [f"C{number}" for number in range(1, 25)]


def written(html_pages: dict[str, Path]) -> dict[str, Path]:
    """The pages of the book itself, without Sphinx's index, search and redirect."""
    return {name: path for name, path in html_pages.items() if "/" in name}


def test_every_entry_of_the_contents_is_rendered(html_pages):
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    assert set(files) | {contents["root"]} == set(written(html_pages))


def test_every_picture_has_an_alt_text(html_pages):
    bad = {name: gates.images_without_alt(path.read_text()) for name, path in html_pages.items()}
    assert {name: images for name, images in bad.items() if images} == {}


def test_a_picture_without_alt_text_is_found():
    assert gates.images_without_alt("<img src='a.png'>") == ["a.png"]
    assert gates.images_without_alt("<img src='a.png' alt='../_images/a.png'>") == ["a.png"]
    assert gates.images_without_alt("<img src='a.png' alt='Two bars'>") == []


def test_headings_are_in_order(html_pages):
    bad = {
        name: heading_problems(gates.heading_levels(path.read_text(encoding="utf-8")))
        for name, path in written(html_pages).items()
    }
    assert {name: problems for name, problems in bad.items() if problems} == {}


def test_headings_out_of_order_are_found():
    html = "<article><h1>A</h1><h3>B</h3></article>"
    assert "followed by level 3" in heading_problems(gates.heading_levels(html))[0]


def test_no_link_is_dead(html_pages, book_html):
    bad = {name: gates.dead_links(book_html, path) for name, path in html_pages.items()}
    assert {name: links for name, links in bad.items() if links} == {}


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "a.html"
    page.write_text("<a href='b.html'>x</a><a href='#no'>y</a><a id='yes' href='#yes'>z</a>")
    assert gates.dead_links(tmp_path, page) == ["b.html", "#no"]


def test_maths_is_set_by_the_vendored_copy(book_html):
    text = (book_html / "book" / "notation.html").read_text(encoding="utf-8")
    assert "../_static/mathjax/tex-chtml-full.js" in text
    fonts = book_html / "_static" / "mathjax" / "output" / "chtml" / "fonts" / "woff-v2"
    assert len(list(fonts.glob("*.woff"))) >= 20


def claim_rows(html: str) -> dict[str, str]:
    """Return the verdict's cell of each row of the claims' table, by the claim's number."""
    rows = BeautifulSoup(html, "lxml").select("article table tr")
    cells = [
        [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in rows
    ]
    return {row[0].split()[0]: " | ".join(row[1:]) for row in cells if row and row[0]}


def test_every_claim_has_a_row_with_a_verdict(book_html):
    rows = claim_rows((book_html / "book" / "claims.html").read_text(encoding="utf-8"))
    verdicts = ("supported", "partly", "refuted", "not testable here", "not yet tested")
    assert [claim for claim in CLAIMS if claim not in rows] == []
    assert [c for c in CLAIMS if not any(v in rows[c].lower() for v in verdicts)] == []


def test_a_claim_without_a_row_is_found():
    html = "<article><table><tr><td>C1</td><td>x</td></tr></table></article>"
    assert list(claim_rows(html)) == ["C1"]


def test_the_claims_are_all_listed_in_order():
    claims = yaml.safe_load((ROOT / "book" / "claims.yml").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in claims] == CLAIMS


def test_the_vendored_maths_is_small():
    sizes = [path.stat().st_size for path in (ROOT / "book" / "_vendor").rglob("*")]
    assert sum(sizes) < 2_500_000
    assert max(sizes) < 3_000_000


def test_references_render_and_name_the_corrected_works(book_html):
    text = (book_html / "book" / "references.html").read_text(encoding="utf-8")
    plain = BeautifulSoup(text, "lxml").get_text(" ", strip=True)
    assert "Deep Bidirectional Transformers for Language Understanding" in plain
    assert "项亮" in plain

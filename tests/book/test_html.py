"""The rendered pages: pictures with alt text, headings in order, no dead link, the claims' rows."""

from __future__ import annotations

import json
from pathlib import Path

import gates_html as gates
import pytest
import yaml
from bs4 import BeautifulSoup
from gates_prose import heading_problems

ROOT = Path(__file__).parent.parent.parent
HEAVIEST = 60  # megabytes of the whole book
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


def test_no_script_style_or_picture_is_missing(html_pages, book_html):
    bad = {name: gates.missing_files(book_html, path) for name, path in html_pages.items()}
    assert {name: files for name, files in bad.items() if files} == {}


def test_a_missing_file_is_found(tmp_path):
    page = tmp_path / "a.html"
    page.write_text("<img src='b.png'><script src='a.html?v=1'></script><img src='data:,x'>")
    assert gates.missing_files(tmp_path, page) == ["b.png"]


def test_everything_is_resolved(html_pages):
    bad = {name: gates.unresolved(path.read_text("utf-8")) for name, path in html_pages.items()}
    assert {name: texts for name, texts in bad.items() if texts} == {}


def test_what_is_unresolved_is_found():
    html = "<p>See {doc}`claims`. <span class='problematic'>x</span> <code>{ref}`fine`</code></p>"
    assert gates.unresolved(html) == ["x", "{doc}`claims`"]


def test_the_book_is_light(book_html):
    assert gates.megabytes(book_html) <= HEAVIEST


def test_a_heavy_folder_is_found(tmp_path):
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate(int((HEAVIEST + 1) * 1e6))
    assert gates.megabytes(tmp_path) > HEAVIEST


def test_every_figure_has_a_thumbnail(html_pages):
    soup = BeautifulSoup(html_pages["book/figures"].read_text(encoding="utf-8"), "lxml")
    shown = {link["href"].split("#")[1] for link in soup.select(".figure-index a[href]")}
    named = {
        figure["id"]
        for name, path in written(html_pages).items()
        for figure in BeautifulSoup(path.read_text("utf-8"), "lxml").select("article figure[id]")
    }
    assert len(named) > 10
    assert shown == named
    pictures = soup.select(".figure-index img")
    assert len(pictures) == len(shown)
    assert all(picture["loading"] == "lazy" for picture in pictures)


def test_every_section_of_the_article_can_be_reached(html_pages):
    soup = BeautifulSoup(html_pages["book/how-to-read"].read_text(encoding="utf-8"), "lxml")
    table = next(t for t in soup.find_all("table") if "section of the article" in t.get_text())
    rows = [row.find_all(["th", "td"]) for row in table.select("tbody tr")]
    assert [row[0].get_text().split()[0] for row in rows] == [str(n) for n in range(1, 10)]
    # A chapter that is there, or claims with their verdicts.
    assert all(row[1].find("a") or "C" in row[2].get_text() for row in rows)


def test_the_chinese_page_says_so_and_prints_verdicts_in_chinese(html_pages):
    soup = BeautifulSoup(html_pages["book/zh"].read_text(encoding="utf-8"), "lxml")
    assert soup.select_one('[lang="zh"] h1').get_text().startswith("中文摘要")
    badges = {badge.get_text() for badge in soup.select(".sd-badge")}
    assert badges <= {"成立", "部分成立", "不成立", "本书无法检验", "尚未检验"}
    assert len(badges) > 1


def terms_of(book_html: Path) -> dict[str, object]:
    """Return the words of the search index and the pages that hold them."""
    text = (book_html / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    return index["terms"]


@pytest.mark.parametrize("query", ["推荐系统", "兴趣", "冷启动", "矩阵分解"])
def test_the_search_index_holds_chinese_terms_by_their_pairs(book_html, query):
    terms = terms_of(book_html)
    pairs = [query[place : place + 2] for place in range(len(query) - 1)]
    assert [pair for pair in pairs if pair not in terms] == []
    assert "recommend" in terms  # English words still have their stems


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

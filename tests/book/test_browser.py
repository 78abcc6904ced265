"""Every page in a browser: axe-core finds nothing grave, the console is silent, a phone will do."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest
from bs4 import BeautifulSoup
from gates_browser import BROWSER, FLAGS, Found, visit

from llmrec import fetch

NEEDS_BROWSER = pytest.mark.skipif(BROWSER is None, reason="no Chromium: no page is looked at")
AT_ONCE = 2
NOTICES = ("[PST]: Set focus on search field.",)  # the theme's own, on the page of the search


def test_continuous_integration_has_a_browser():
    """Elsewhere the gates below are skipped, and the end of the run says so."""
    if os.environ.get("CI") == "true":
        assert BROWSER, "install Chromium: without it no rendered page is looked at"


@pytest.fixture(scope="session")
def axe() -> Path:
    try:
        return fetch.get("axe-core", progress=False) / "axe.min.js"
    except fetch.FetchError as error:
        pytest.skip(f"axe-core cannot be reached: {error}")


def look(pages: list[Path], axe: Path, folder: Path) -> dict[Path, Found]:
    """Visit the pages with two browsers; the longest pages are shared out first."""
    pages = sorted(pages, key=lambda page: -page.stat().st_size)
    shares = [share for first in range(AT_ONCE) if (share := pages[first::AT_ONCE])]
    folders = [folder / str(number) for number in range(len(shares))]
    for place in folders:
        place.mkdir()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(visit, shares, [axe] * len(shares), folders)
        return {page: seen for part in found for page, seen in part.items()}


@NEEDS_BROWSER
def test_every_page_is_accessible_silent_and_narrow(html_pages, axe, tmp_path):
    names = {
        path: name for name, path in html_pages.items() if name != "index"
    }  # it only redirects
    found = look([*names], axe, tmp_path)
    assert found.keys() == names.keys()
    faults = {
        names[path]: [
            fault for fault in seen.faults if not fault.endswith(NOTICES) or names[path] != "search"
        ]
        for path, seen in found.items()
    }
    assert {name: lines for name, lines in faults.items() if lines} == {}


GOOD = """<!doctype html><html lang="en"><head><title>Page</title></head><body><main>
<h1>Title</h1><p>Words.</p>{}</main></body></html>"""
BAD = {
    "image-alt (critical": "<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>",
    "label (critical": "<input type='text'>",
    "link-name (serious": "<a href='#x'></a>",
    "color-contrast (serious; light, 1280 px)": "<p style='color: #ccc; background: #fff'>Pale</p>",
    "color-contrast (serious; dark, 1280 px)": (
        "<style>[data-theme=dark] p {color: #333; background: #222}</style>"
    ),
    "heading-order": "<h4>Deep</h4>",
    "px wide on a phone": "<div style='width: 500px'>Wide</div>",
    "1 formulas not set": "<span class='math'>\\(x\\)</span>",
    "2 formulas not set": "<p><mjx-merror>x</mjx-merror><mjx-lazy></mjx-lazy></p>",
    "console: Uncaught ReferenceError": "<script>nothing()</script>",
    "console: Lost": "<script>console.error('Lost')</script>",
}


@NEEDS_BROWSER
def test_bad_pages_are_found_and_a_good_one_is_not(axe, tmp_path):
    pages = {}
    for number, part in enumerate(["", *BAD.values()]):
        pages[part] = tmp_path / f"page{number}.html"
        pages[part].write_text(GOOD.format(part))
    (folder := tmp_path / "browser").mkdir()
    found = visit([*pages.values()], axe, folder)
    assert found[pages[""]].faults == []
    missed = [
        fault for fault, part in BAD.items() if fault not in "\n".join(found[pages[part]].faults)
    ]
    assert missed == []


@NEEDS_BROWSER
def test_silence_is_not_a_pass(axe, tmp_path):
    page = tmp_path / "leaves.html"
    page.write_text("<meta http-equiv='refresh' content='0; url=about:blank'>")
    with pytest.raises(RuntimeError, match=r"leaves\.html|did not finish"):
        visit([page], axe, tmp_path)


def dumped(address: str, folder: Path) -> BeautifulSoup:
    """Return a page as its scripts leave it."""
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={folder / 'profile'}"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=8000", "--dump-dom"]
    done = subprocess.run([*command, address], capture_output=True, text=True, timeout=120)
    return BeautifulSoup(done.stdout, "lxml")


@NEEDS_BROWSER
@pytest.mark.parametrize(
    ("query", "page"),
    [("推荐系统", "glossary"), ("兴趣", "zh"), ("冷启动", "zh"), ("popularity", "glossary")],
)
def test_the_search_finds_words_of_both_languages(html_pages, tmp_path, query, page):
    address = f"{html_pages['search'].as_uri()}?q={quote(query)}"
    found = dumped(address, tmp_path).select("#search-results li a[href]")
    assert any(f"book/{page}.html" in link["href"] for link in found)


@NEEDS_BROWSER
def test_a_word_that_is_nowhere_is_not_found(html_pages, tmp_path):
    page = dumped(f"{html_pages['search'].as_uri()}?q={quote('鲸鱼')}", tmp_path)
    assert page.select("#search-results li") == []


@NEEDS_BROWSER
def test_claims_are_filtered(html_pages, tmp_path):
    """A copy of the page ticks two boxes as a reader would."""
    source = html_pages["book/claims"]
    copy = source.with_name("_claims_ticked.html")
    ticks = """<script>addEventListener("load", () => {
        for (const name of ["partly", "chapter 4"])
          document.querySelector(`.claims-filter input[value="${name}"]`).click();
    });</script></body>"""
    copy.write_text(source.read_text(encoding="utf-8").replace("</body>", ticks), encoding="utf-8")
    try:
        page = dumped(copy.as_uri(), tmp_path)
    finally:
        copy.unlink()
    rows = page.select("table.claims tbody tr")
    shown = [row.get_text() for row in rows if not row.has_attr("hidden")]
    assert len(rows) == 24
    assert 0 < len(shown) < 24
    assert all("partly" in text and "chapter 4" in text for text in shown)
    assert page.select_one(".claims-filter [role=status]").get_text().startswith(f"{len(shown)} of")

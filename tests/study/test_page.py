"""A report in a browser: axe-core finds nothing grave, a phone will do, nothing is fetched."""

import importlib.util
from itertools import pairwise
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from llmrec import fetch

GATES = Path(__file__).parents[1] / "book" / "gates_browser.py"


@pytest.fixture(scope="module")
def gates():
    spec = importlib.util.spec_from_file_location("gates_browser_of_studies", GATES)
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    if module.BROWSER is None:
        pytest.skip("no Chromium here: no page is looked at")
    return module


@pytest.fixture(scope="module")
def axe():
    try:
        return fetch.get("axe-core", progress=False) / "axe.min.js"
    except fetch.FetchError as error:
        pytest.skip(f"axe-core cannot be reached: {error}")


@pytest.fixture(scope="module")
def reports(answered):
    folders = [answered[name][0] for name in ("shop", "library")]
    return [(folder / "report.html").read_text("utf-8") for folder in folders]


def test_a_report_is_accessible_silent_and_narrow(reports, gates, axe, tmp_path):
    pages = []
    for number, html in enumerate(reports):
        page = BeautifulSoup(html, "lxml")
        page.select_one("meta[http-equiv]").decompose()  # it bars axe-core's script, as any other
        pages.append(tmp_path / f"report{number}.html")
        pages[-1].write_text(str(page), encoding="utf-8")
    (folder := tmp_path / "browser").mkdir()
    found = gates.visit(pages, axe, folder)
    assert {path.name: seen.faults for path, seen in found.items()} == {
        path.name: [] for path in pages
    }


def test_headings_go_down_one_by_one_and_tables_have_headers(reports):
    for html in reports:
        page = BeautifulSoup(html, "lxml")
        levels = [int(tag.name[1]) for tag in page.select("h1, h2, h3, h4, h5")]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        assert page.html["lang"] == "en"
        assert all(image["alt"] for image in page.select("img"))
        for one in page.select("table"):
            assert one.caption.get_text()
            assert all(head["scope"] == "col" for head in one.select("thead th"))
            assert all(row.th["scope"] == "row" for row in one.select("tbody tr"))
        anchors = {tag["href"][1:] for tag in page.select("nav a")}
        assert anchors == {tag["id"] for tag in page.select("h2[id]")}

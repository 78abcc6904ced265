"""The interest explorer in the rendered book: it answers a choice, asks nobody, and stays small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from test_offline import BROWSER, browse

NAME = "notebooks/00_interest_explorer"
NEEDS_BROWSER = pytest.mark.skipif(BROWSER is None, reason="no Chromium here: nobody can choose")

# The theme says this on every page that is opened for the first time.
LISTEN = """<base href="{base}"><script>
window.heard = [];
const hear = (event) => heard.push(String(event.message || event.reason || event.target.src));
window.addEventListener("error", hear, true);
window.addEventListener("unhandledrejection", hear);
console.error = (...said) => {
  if (!String(said[0]).startsWith("Got invalid theme mode")) heard.push(said.join(" "));
};
</script>"""
# Waits for the map, then does with the keyboard's means what a reader does: choose, and go back.
ACT = """<script>
addEventListener("load", () => {
  const shown = () => [...document.querySelectorAll(".explorer section")].filter((s) => !s.hidden)
    .map((s) => s.querySelector("h3").textContent);
  const drawn = () => {
    const of = (name) => Bokeh.documents[0].get_model_by_name(name).data;
    const names = ["history", "path", "here", "next", "list0", "list3"];
    const counts = names.map((name) => [name, of(name).x.length]);
    return {...Object.fromEntries(counts), where: [of("here").x[0], of("here").y[0]]};
  };
  const look = () => ({shown: shown(), drawn: drawn(),
    says: document.querySelector(".explorer output").textContent});
  const wait = setInterval(() => {
    if (!window.Bokeh || !Bokeh.documents.length) return;
    if (!Bokeh.documents[0].get_model_by_name("here").data.x.length) return;
    clearInterval(wait);
    const select = document.getElementById("explorer-user");
    const slider = document.getElementById("explorer-moment");
    const steps = [look()];
    select.selectedIndex = 20;
    select.dispatchEvent(new Event("change"));
    steps.push(look());
    slider.value = 3;
    slider.dispatchEvent(new Event("input"));
    steps.push(look());
    const probe = document.createElement("pre");
    probe.id = "probe";
    const canvas = document.getElementById("explorer-map").querySelector("*");
    probe.textContent = JSON.stringify({steps, heard, options: select.options.length,
      canvas: canvas.getBoundingClientRect().width});
    document.body.append(probe);
  }, 50);
});
</script>"""


@pytest.fixture(scope="module")
def page(html_pages: dict[str, Path]) -> Path:
    return html_pages[NAME]


@pytest.fixture(scope="module")
def acted(page: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], set[str]]:
    """What a reader finds at first and after each of two choices; what the page asked for."""
    folder = tmp_path_factory.mktemp("explorer")
    html = page.read_text(encoding="utf-8")
    html = html.replace("<head>", "<head>" + LISTEN.replace("{base}", page.as_uri()), 1)
    copy = folder / "page.html"
    copy.write_text(html.replace("</body>", ACT + "</body>"), encoding="utf-8")
    dom, urls = browse(copy.as_uri(), folder)
    probe = BeautifulSoup(dom, "lxml").find(id="probe")
    assert probe, "the map was not drawn"
    return json.loads(probe.text), urls


@NEEDS_BROWSER
def test_choosing_a_person_changes_texts_and_map(acted):
    found, _ = acted
    first, chosen, earlier = found["steps"]
    assert [len(step["shown"]) for step in found["steps"]] == [1, 1, 1]
    assert first["shown"] != chosen["shown"] == earlier["shown"]
    assert found["options"] == 24
    assert chosen["drawn"]["where"] != first["drawn"]["where"] != earlier["drawn"]["where"]
    assert first["drawn"]["list0"] == first["drawn"]["list3"] == first["drawn"]["next"] == 10


@NEEDS_BROWSER
def test_the_slider_goes_back_in_time(acted):
    _, chosen, earlier = acted[0]["steps"]
    assert earlier["drawn"]["history"] == earlier["drawn"]["path"] == 4
    assert chosen["drawn"]["history"] == chosen["drawn"]["path"] > 4
    assert chosen["says"] != earlier["says"]
    assert chosen["drawn"]["where"] != earlier["drawn"]["where"]
    assert earlier["drawn"]["here"] == 1


@NEEDS_BROWSER
def test_the_explorer_asks_nobody_and_complains_of_nothing(acted):
    found, urls = acted
    assert urls == set()
    assert found["heard"] == []
    assert found["canvas"] > 200


def test_the_page_is_small_and_brings_its_library_once(page, book_html):
    html = page.read_text(encoding="utf-8")
    library = book_html / "_static" / "bokeh.min.js"
    assert html.count("bokeh.min.js") == 1
    assert len(html.encode()) + library.stat().st_size < 3_000_000
    others = [p for p in book_html.rglob("*.html") if p != page and "_static" not in p.parts]
    assert not any("bokeh.min.js" in p.read_text(encoding="utf-8") for p in others)


def test_without_javascript_everything_can_be_read(page):
    soup = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml")
    sections = soup.select(".explorer section")
    assert len(sections) == 24
    assert not any(section.has_attr("hidden") for section in sections)
    assert all(section.blockquote.text.startswith("The user rated") for section in sections)
    assert all(len(section.select(".lists > div")) == 5 for section in sections)


def test_the_page_states_the_terms_of_the_data(page):
    text = BeautifulSoup(page.read_text(encoding="utf-8"), "lxml").find("article").get_text(" ")
    assert "do not allow to hand the data on" in text
    assert "excerpt" in text

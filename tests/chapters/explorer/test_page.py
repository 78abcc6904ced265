"""The explorer's HTML: whole without JavaScript, safe against titles, the same bytes every time."""

import json

import pytest
from bs4 import BeautifulSoup

from chapters.ch00_page import explorer_html, interest_map
from llmrec.repro.record import RECORDS_VARIABLE

KNOWS = {"Popularity": "popularity", "EASE": "id", "Text": "text"}


@pytest.fixture(scope="module")
def html(explorer):
    return explorer_html(explorer, KNOWS, newest=2, library=False)


@pytest.fixture(scope="module")
def page(html):
    return BeautifulSoup(html, "lxml")


def test_the_same_explorer_gives_the_same_bytes(explorer, html):
    interest_map(explorer, KNOWS)  # moves Bokeh's own numbering on
    assert explorer_html(explorer, KNOWS, newest=2, library=False) == html


def test_every_user_is_readable_without_javascript(page):
    sections = page.find_all("section")
    names = [option.text for option in page.select("select option")]
    assert names == [
        "User 72: 1 films before, 1 after",
        "User 70: 3 films before, 2 after",
        "User 71: 2 films before, 1 after",
    ]
    assert [section.h3.text for section in sections] == names
    assert [group["label"] for group in page.find_all("optgroup")] == [
        "short history",
        "long history",
    ]
    assert not any(section.has_attr("hidden") for section in sections)
    assert page.find(class_="alone").text.startswith("The map and the choice")
    assert all(control.has_attr("hidden") for control in page.find_all(class_="controls"))


def test_lists_name_films_and_mark_hits_in_words(page):
    columns = page.find_all("section")[1].select(".lists > div")
    assert [column.h4.text for column in columns][:2] == [
        "Really taken next",
        "Popularity: 2 of 4",
    ]
    assert [row.text for row in columns[0].find_all("li")] == ["Up & <away> (1992)", "Fargo (1995)"]
    assert [row.text for row in columns[1].find_all("li")] == [
        "Up & <away> (1992) ✓\u00a0taken",
        "Big (1994)",
        "Fargo (1995) ✓\u00a0taken",
    ]


def test_the_history_is_the_newest_first_and_says_what_is_left_out(page):
    section = page.find_all("section")[1]
    rows = [[cell.text for cell in row.find_all("td")] for row in section.select("tbody tr")]
    assert rows == [
        ["1970-01-04", "Alien (1993)", "4"],
        ["1970-01-03", "Ran (1991)", "2"],
    ]
    assert "1 earlier" in section.text
    assert "earlier" not in page.find_all("section")[0].text


def test_no_text_of_the_data_becomes_markup(page):
    assert page.find_all("section")[1].blockquote.text == "The user rated Heat."
    assert len(page.find_all("away")) == 0
    third = page.find_all("section")[2]
    assert third.find("blockquote").text == "read </script> & <b>"
    item = json.loads(page.find("script", class_="item").string)
    assert "Up & <away> (1992)" in json.dumps(item)


def test_the_numbers_of_the_script_are_those_of_the_people(page, explorer):
    people = json.loads(page.find("script", class_="people").string)
    for drawn, person in zip(people, explorer.people, strict=True):
        assert drawn["seen"] == person.history["item"].tolist()
        assert drawn["path"] == [pytest.approx(place, abs=1e-4) for place in person.path.tolist()]
        assert len(drawn["says"]) == len(drawn["recent"]) == len(person.moments)
        assert drawn["next"] == person.taken.tolist()
        assert drawn["lists"][0] == [i for i in person.lists["Popularity"].tolist() if i >= 0]
    assert people[1]["says"][1] == "after 2 of 3 (1970-01-03)"


def test_every_control_has_a_name(page):
    labels = {label["for"] for label in page.find_all("label")}
    assert {page.select_one("select")["id"], page.select_one("input")["id"]} == labels
    assert "Map of all films" in page.find(id="explorer-map")["aria-label"]


def test_the_map_has_a_source_for_all_that_the_script_fills(explorer):
    fig = interest_map(explorer, KNOWS)
    sources = {glyph.data_source.name: glyph.data_source.data for glyph in fig.renderers}
    filled = {"history", "path", "here", "recent", "next", "list0", "list1", "list2"}
    assert filled < set(sources)
    assert sources["items"]["title"] == list(explorer.titles)
    assert sources["items"]["x"] == pytest.approx(explorer.points[:, 0], abs=1e-4)
    assert all(sources[name]["x"] == [] for name in filled)


def test_names_of_regions_do_not_stand_on_each_other(explorer):
    fig = interest_map(explorer, KNOWS)
    regions = next(g.data_source.data for g in fig.renderers if g.data_source.name == "regions")
    width, height = explorer.points.max(axis=0) - explorer.points.min(axis=0)
    places = list(zip(regions["x"], regions["y"], strict=True))
    assert 2 <= len(places) <= len(explorer.regions)
    assert regions["title"][0] == next(iter(explorer.regions))
    for i, (x, y) in enumerate(places):
        for other_x, other_y in places[:i]:
            assert abs(x - other_x) > width / 5 or abs(y - other_y) > height / 15


def test_the_library_comes_along_unless_the_run_is_recorded(explorer, html, monkeypatch):
    monkeypatch.delenv(RECORDS_VARIABLE, raising=False)
    alone = explorer_html(explorer, KNOWS, newest=2)
    assert 1_000_000 < len(alone) - len(html) < 2_000_000
    monkeypatch.setenv(RECORDS_VARIABLE, "records")
    assert explorer_html(explorer, KNOWS, newest=2) == html


def test_an_unknown_kind_of_model_is_refused(explorer):
    with pytest.raises(KeyError, match="magic"):
        explorer_html(explorer, KNOWS | {"EASE": "magic"}, library=False)

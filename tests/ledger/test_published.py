"""The file of published numbers: it is whole, and a faulty one is refused by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from llmrec.ledger import load_published, load_recipes
from llmrec.ledger.ledger import wanted_recipes
from llmrec.repro.layout import Layout

ROOT = Path(__file__).parents[2]
PATH = ROOT / "results" / "published.yml"
ENTRY = {
    "p": {
        "title": "P",
        "says": "How.",
        "source": "key",
        "where": "table 1",
        "tolerance": 0.001,
        "models": {"m": {"model": "M", "recipe": "r", "same": True, "values": {"recall@1": 0.5}}},
    }
}

RECIPES = load_recipes(Layout.find())


def test_every_row_is_measured_by_a_recipe_and_cited():
    protocols = load_published(PATH)
    rows = [row for protocol in protocols for row in protocol.rows]
    assert len({row.id for row in rows}) == len(rows) > 80
    assert {row.recipe for row in rows if row.recipe} == set(wanted_recipes(protocols))
    assert set(wanted_recipes(protocols)) <= set(RECIPES)
    bibliography = (ROOT / "book" / "references.bib").read_text(encoding="utf-8")
    keys = set(re.findall(r"@\w+\{([^,]+),", bibliography))
    assert {row.source for row in rows} <= keys


def test_the_rows_that_must_be_equal():
    rows = [row for protocol in load_published(PATH) for row in protocol.rows if row.must]
    assert all(row.same and row.recipe for row in rows)
    assert {row.id.rsplit(".", 1)[0] for row in rows} == {
        "spectralcf.toppop",
        "spectralcf.pure-svd",
        "spectralcf.ease",
        "citeulike-p10.itemknn",
        "citeulike-p10.toppop",
        "nir.gpt3",
    }
    assert max(row.tolerance for row in rows) == 0.0005


def test_a_row(tmp_path):
    path = tmp_path / "published.yml"
    path.write_text(yaml.safe_dump(ENTRY))
    ((row,),) = (protocol.rows for protocol in load_published(path))
    assert (row.id, row.recipe, row.value, row.where) == ("p.m.recall@1", "p/r", 0.5, "table 1")
    assert row.reread
    assert not row.must


@pytest.mark.parametrize(
    ("where", "change", "message"),
    [
        ("p", {"colour": 1}, "published.yml: p has the unknown key 'colour'"),
        ("p", {"title": None}, "published.yml: p has no 'title'"),
        ("m", {"colour": 1}, "published.yml: p.m has the unknown key 'colour'"),
        ("m", {"values": None}, "published.yml: p.m has no 'values'"),
        ("p", {"tolerance": None}, "published.yml: p.m has no 'tolerance'"),
        ("m", {"same": None}, "published.yml: p.m: not the published model itself, so it needs"),
        ("m", {"recipe": None}, "published.yml: p.m: not the published model itself, so it needs"),
    ],
)
def test_a_faulty_entry_is_named(tmp_path, where, change, message):
    content = yaml.safe_load(yaml.safe_dump(ENTRY))
    entry = content["p"] if where == "p" else content["p"]["models"]["m"]
    for key, value in change.items():
        if value is None:
            del entry[key]
        else:
            entry[key] = value
    path = tmp_path / "published.yml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(ValueError, match=re.escape(message)):
        load_published(path)


def test_a_prefix_that_no_row_has():
    with pytest.raises(ValueError, match=r"no row of published.yml begins with 'x'"):
        wanted_recipes(load_published(PATH), "x")

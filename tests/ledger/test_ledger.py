"""The ledger: verdicts, what makes a row stale, and going on where a run stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from llmrec.fetch import FetchError
from llmrec.ledger import Entry, Ledger, Measured, Recipe, load_published, load_recipes, run
from llmrec.ledger.published import Row
from llmrec.repro.layout import Layout

ROOT = Path(__file__).parents[2]
LAYOUT = Layout(ROOT)
ROW = Row("p.m.hr@1", "M", "hr@1", 0.5, "p/r", True, 0.01, True, "s", "t", True, "Why.")
OURS = Measured(0.5, 0.4, 0.6, 10)

RECIPES = load_recipes(Layout.find())


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(0.51, "equal"), (0.49, "equal"), (0.5101, "above"), (0.4899, "below"), (None, "not run")],
)
def test_verdicts(value, verdict):
    entry = Entry(ROW, value and replace(OURS, value=value), "ours")
    assert entry.verdict == verdict
    assert entry.failed == (verdict != "equal")
    assert not Entry(replace(ROW, must=False), entry.ours, "").failed


def test_a_note_explains_what_differs():
    far = replace(OURS, value=0.6)
    assert Entry(ROW, OURS, "").note == ""  # equal, and the same model: nothing to explain
    assert Entry(replace(ROW, same=False), OURS, "").note == "Why."
    assert Entry(ROW, far, "").note == "Why."
    tied = Entry(ROW, replace(far, ties=(0.45, 0.7)), "").note
    assert tied == "The order of equally scored items alone gives 0.4500 to 0.7000. Why."
    assert Entry(ROW, replace(far, ties=(0.55, 0.7)), "").note == "Why."  # ties do not reach it


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two recipes, a file of rows, and a record of what ran."""
    ran = []

    def first():
        ran.append("first")
        return {"hr@1": replace(OURS, ties=(0.4, 0.6))}

    def second():
        ran.append("second")
        return {"hr@1": replace(OURS, value=0.9)}

    for function in (first, second):
        monkeypatch.setitem(RECIPES, f"p/{function.__name__}", Recipe("Ours", function))
    path = tmp_path / "published.yml"
    path.write_text(
        "p: {title: P, says: How., source: s, where: t, tolerance: 0.01, models: {\n"
        "  a: {model: A, recipe: first, same: true, values: {hr@1: 0.5}},\n"
        "  b: {model: B, recipe: second, note: Another., values: {hr@1: 0.5}},\n"
        "  c: {model: C, note: Not here., values: {hr@1: 0.5}}}}\n"
    )
    protocols = load_published(path)

    def go(only="", **options):
        ran.clear()
        run(tmp_path / "ledger.json", protocols, only, log=str, **options)
        return list(ran), json.loads((tmp_path / "ledger.json").read_text())

    return go


def test_a_run_goes_on_where_it_stopped(world):
    ran, content = world("p.a")
    assert ran == ["first"]
    assert content["rows"]["p.b.hr@1"]["verdict"] == "not run"
    ran, content = world()
    assert ran == ["second"]
    assert content["rows"]["p.a.hr@1"] == {
        "published": 0.5,
        "ours": 0.5,
        "low": 0.4,
        "high": 0.6,
        "ours_model": "Ours",
        "verdict": "equal",
        "note": "",
    }
    assert content["rows"]["p.b.hr@1"]["verdict"] == "above"
    assert content["rows"]["p.b.hr@1"]["note"] == "Another."
    assert content["rows"]["p.c.hr@1"]["verdict"] == "not run"
    assert content["rows"]["p.c.hr@1"]["note"] == "Not here."
    assert world()[0] == []
    assert world("p.b", force=True)[0] == ["second"]


def test_a_changed_recipe_runs_again(world, monkeypatch):
    world()

    def second():
        return {"hr@1": replace(OURS, value=0.5)}

    monkeypatch.setitem(RECIPES, "p/second", Recipe("Ours", second))
    ran, content = world()
    assert ran == []  # the first is up to date, the second is another function
    assert content["rows"]["p.b.hr@1"]["verdict"] == "equal"


def test_data_out_of_reach_leave_the_old_number(world, monkeypatch):
    _, before = world()

    def unreachable():
        raise FetchError("no network")

    monkeypatch.setitem(RECIPES, "p/second", Recipe("Ours", unreachable))
    assert world()[1]["rows"] == before["rows"]


def test_a_file_that_is_no_ledger(tmp_path):
    path = tmp_path / "ledger.json"
    assert Ledger.load(path) == Ledger()
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"ledger.json is not a ledger .*: delete it and run"):
        Ledger.load(path)


def reached(name):
    run = RECIPES[name].run
    return LAYOUT.snapshot().of(f"{run.__module__}.{run.__qualname__}")


def test_a_recipe_depends_on_its_model_and_data_and_no_other():
    found = reached("spectralcf/ease")
    assert {"EASE", "Recommender", "published_split", "evaluate", "ranking", "_ease"} <= set(
        found.definitions
    )
    assert not {"ItemKNN", "TwoTower", "_toppop"} & set(found.definitions)
    assert "sources.yml: spectralcf-split" in found.data
    assert "sources.yml: amazon-beauty" not in found.data
    assert "EASE" not in reached("spectralcf/toppop").definitions


def test_a_recipe_depends_on_the_loader_of_the_dataset_it_names():
    name = next(name for name in RECIPES if name.startswith("beauty/"))
    assert "sources.yml: amazon-beauty" in reached(name).data
    assert "sources.yml: hetrec-lastfm" not in reached(name).data


def test_the_committed_rows_are_what_the_recipes_and_the_published_numbers_give():
    content = json.loads(LAYOUT.ledger.read_text(encoding="utf-8"))
    assert Ledger(content["recipes"]).rows(load_published(LAYOUT.published)) == content["rows"]


def test_every_miss_of_the_committed_ledger_is_explained():
    rows = json.loads(LAYOUT.ledger.read_text(encoding="utf-8"))["rows"]
    assert set(rows) == {row.id for p in load_published(LAYOUT.published) for row in p.rows}
    assert [
        name for name, row in rows.items() if row["verdict"] != "equal" and not row["note"]
    ] == []
    assert [
        row.id
        for p in load_published(LAYOUT.published)
        for row in p.rows
        if row.must and rows[row.id]["verdict"] != "equal"
    ] == []

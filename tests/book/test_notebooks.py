"""Every chapter has the chapter's shape, clean outputs, described figures and clean metadata."""

from __future__ import annotations

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import gates_notebook as gates
import pytest

ROOT = Path(__file__).parent.parent.parent


def test_shape_of_the_chapter(notebook, notebook_path):
    if not notebook_path.stem.startswith("00_"):  # the interest explorer is a tool, not a chapter
        assert gates.shape_problems(notebook) == []


def test_parameters_cell(notebook):
    assert gates.parameter_problems(notebook) == []


def test_outputs_are_those_of_one_clean_run(notebook):
    assert gates.output_problems(notebook) == []


def test_figures_have_name_caption_and_alt_text(notebook):
    assert gates.figure_problems(notebook) == []


def test_metadata_is_clean(notebook):
    assert gates.metadata_problems(notebook) == []


def test_figure_names_differ_across_the_book():
    names: Counter[str] = Counter()
    for path in ROOT.glob("notebooks/*.ipynb"):
        names.update(gates.figure_names(json.loads(path.read_text(encoding="utf-8"))))
    assert [name for name, count in names.items() if count > 1] == []


def markdown(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source}


@pytest.fixture
def good() -> dict[str, Any]:
    """A tiny chapter that passes every gate, to be spoiled by the tests below."""
    figure = {"name": "fig-a", "caption": "Text helps where items are new."}
    alt = {"alt": "Two bars, the right one taller."}
    parameters = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {"tags": ["parameters"]},
        "source": ['profile = "book"  # or smoke\n', "seed: int = 0"],
        "outputs": [],
    }
    plot = {
        "cell_type": "code",
        "execution_count": 2,
        "metadata": {"mystnb": {"figure": figure, "image": alt}},
        "source": "plot()",
        "outputs": [{"output_type": "display_data", "data": {"image/png": "…"}}],
    }
    sections = [markdown(f"## {section}: more") for section in gates.SECTIONS]
    cells = [markdown("# Chapter"), *sections, parameters, plot]
    return {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}, "language_info": {}}}


def test_the_good_chapter_passes(good):
    for gate in (
        gates.shape_problems,
        gates.parameter_problems,
        gates.output_problems,
        gates.figure_problems,
        gates.metadata_problems,
    ):
        assert gate(good) == []
    assert gates.figure_names(good) == ["fig-a"]
    assert "Text helps" in gates.markdown_of(good)
    assert "taller" in gates.markdown_of(good)


@pytest.mark.parametrize("missing", range(len(gates.SECTIONS)))
def test_a_missing_section_is_found(good, missing):
    bad = copy.deepcopy(good)
    del bad["cells"][1 + missing]
    assert gates.shape_problems(bad) == [f"no section “{gates.SECTIONS[missing]}”"]


def test_a_section_out_of_order_is_found(good):
    good["cells"][4], good["cells"][5] = good["cells"][5], good["cells"][4]
    assert gates.shape_problems(good) == ["section “Measure” stands too early"]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ('profile = "smoke"\nseed = 0', "does not set profile"),
        ('profile = "book"', "does not set a whole seed"),
        ('profile = "book"\nseed = 0\nk = 2 * seed', "more than plain values"),
        ('import os\nprofile = "book"\nseed = 0', "more than plain values"),
    ],
)
def test_a_bad_parameters_cell_is_found(good, source, problem):
    good["cells"][-2]["source"] = source
    assert problem in gates.parameter_problems(good)[0]


def test_a_missing_parameters_cell_is_found(good):
    good["cells"][-2]["metadata"] = {}
    assert "there must be one" in gates.parameter_problems(good)[0]


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        ({"output_type": "error", "ename": "ValueError"}, "failed: ValueError"),
        ({"output_type": "stream", "name": "stderr", "text": ["Warning"]}, "stderr: Warning"),
    ],
)
def test_a_failed_or_warning_cell_is_found(good, output, problem):
    good["cells"][-2]["outputs"] = [output]
    assert problem in gates.output_problems(good)[0]


@pytest.mark.parametrize("count", [None, 5])
def test_a_cell_run_out_of_order_is_found(good, count):
    good["cells"][-1]["execution_count"] = count
    assert "has execution count" in gates.output_problems(good)[0]


@pytest.mark.parametrize(
    ("part", "key", "value", "problem"),
    [
        ("figure", "name", "a", "does not begin with fig-"),
        ("figure", "caption", "Plot", "caption is missing"),
        ("image", "alt", "", "alt text is missing"),
        ("image", "alt", "Text helps where items are new.", "repeats the caption"),
    ],
)
def test_a_figure_that_does_not_speak_is_found(good, part, key, value, problem):
    good["cells"][-1]["metadata"]["mystnb"][part][key] = value
    assert problem in gates.figure_problems(good)[0]


def test_two_figures_in_one_cell_are_found(good):
    good["cells"][-1]["outputs"] *= 2
    assert "one a cell" in gates.figure_problems(good)[0]


def test_metadata_left_by_a_run_is_found(good):
    good["metadata"]["papermill"] = {}
    good["metadata"]["kernelspec"]["name"] = "myenv"
    good["cells"][-1]["metadata"]["execution"] = {}
    problems = gates.metadata_problems(good)
    assert problems[0] == "notebook metadata: papermill"
    assert "myenv" in problems[1]
    assert problems[2].endswith("metadata: execution")

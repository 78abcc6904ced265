import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from llmrec.repro.layout import Layout
from llmrec.repro.publish import (
    check_portable,
    format_value,
    headline_rows,
    merge,
    publish,
    with_headline,
)
from llmrec.repro.reference import Reference

REPOSITORY = Layout.find()


def run_of(*outputs):
    """A run as papermill leaves it, with times, paths and the cell that it injected."""
    injected = new_code_cell("profile = 'book'", metadata={"tags": ["injected-parameters"]})
    cell = new_code_cell(
        "x", outputs=list(outputs), execution_count=7, metadata={"papermill": {"duration": 1.5}}
    )
    notebook = new_notebook(cells=[new_markdown_cell("# Old title"), injected, cell])
    notebook.metadata["papermill"] = {"output_path": "/somewhere/out.ipynb"}
    notebook.metadata["widgets"] = {"state": {}}
    return notebook


def source():
    cell = new_code_cell("x  # why", metadata={"tags": ["hide-input"], "execution": {"t": "now"}})
    return new_notebook(cells=[new_markdown_cell("# Title"), cell, new_markdown_cell("# Title")])


def test_merge_takes_outputs_and_leaves_what_varies():
    result = new_output("execute_result", {"text/plain": "1"}, execution_count=7)
    bar = new_output(
        "display_data", {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%"}
    )
    merged = merge(source(), run_of(result, bar), "04_a.ipynb")
    title, cell, again = merged.cells
    assert title.source == "# Title"
    assert cell.source == "x  # why"
    assert cell.metadata == {"tags": ["hide-input"]}
    assert cell.execution_count == 1
    assert [output.data for output in cell.outputs] == [{"text/plain": "1"}]
    assert cell.outputs[0].execution_count == 1
    assert again.id == f"{title.id}-2"
    assert "papermill" not in nbformat.writes(merged)
    assert "somewhere" not in nbformat.writes(merged)
    assert merged.metadata.keys() == {"kernelspec", "language_info"}
    nbformat.validate(merged)


def test_merge_is_deterministic():
    texts = {
        nbformat.writes(merge(source(), run_of(new_output("stream", text="a")), "n"))
        for _ in range(2)
    }
    assert len(texts) == 1


def test_merge_refuses_a_run_of_other_cells():
    two = source()
    two.cells.append(new_code_cell("y"))
    with pytest.raises(ValueError, match="04_a has 2 code cells, its run has 1"):
        merge(two, run_of(), "04_a")


def test_an_output_with_a_machine_path_is_refused(tmp_path):
    warning = new_output("stream", name="stderr", text=f"{tmp_path}/a.py:3: UserWarning")
    with pytest.raises(ValueError, match="n, cell 3: its output holds the path"):
        check_portable(run_of(warning), "n", [tmp_path])
    check_portable(run_of(new_output("stream", text="/usr/x")), "n", [tmp_path])


def test_an_unfinished_run_is_refused(clone, notebook):
    notebook(clone.root / "notebooks" / "04_a.ipynb", "1")
    before = clone.readme.read_bytes()
    with pytest.raises(ValueError, match=r"not whole .04_a has not run.: llmrec reproduce"):
        publish(clone)
    with pytest.raises(ValueError, match="smoke run is for tests"):
        publish(clone, "smoke")
    assert clone.readme.read_bytes() == before
    assert not clone.reference.exists()


def test_headline_values():
    assert format_value(0.12345) == "0.1235"
    assert format_value(-0.5, "+.2f") == "−0.50"
    assert format_value(0.5, "+.2f") == "+0.50"
    assert format_value(943) == "943"
    assert format_value([1, 0.25], ".1f") == "1.0, 0.2"
    assert format_value("a-b") == "a-b"
    with pytest.raises(ValueError, match=r"format 'd' does not fit 0\.5"):
        format_value(0.5, "d")


def test_headline_rows(tmp_path):
    path = tmp_path / "headline.yml"
    path.write_text("- {label: Gain, key: ch04.d, format: +.1f, interval: [ch04.l, ch04.h]}\n")
    entries = {key: {"value": v} for key, v in {"ch04.d": 1, "ch04.l": -2, "ch04.h": 3}.items()}
    assert headline_rows(path, entries) == [("Gain", "+1.0 [−2.0, +3.0]")]
    with pytest.raises(KeyError, match=r"ch04\.d is not recorded"):
        headline_rows(path, {})
    assert headline_rows(path, {}, partial=True) == []
    path.write_text("- {label: Gain, value: 3}\n")
    with pytest.raises(ValueError, match="needs label and key"):
        headline_rows(path, {})


@pytest.mark.parametrize("text", ["no markers", "<!-- headline:end --> <!-- headline:begin -->"])
def test_a_readme_without_its_markers_is_refused(text):
    with pytest.raises(ValueError, match="once each, in this order"):
        with_headline(text, [])


def test_the_table_is_replaced_and_nothing_else():
    readme = "a\n<!-- headline:begin -->\nold\n<!-- headline:end -->\nb\n"
    once = with_headline(readme, [("x|y", "1")])
    assert once.startswith("a\n<!-- headline:begin -->\n\n| result | value |\n| --- | --- |\n")
    assert "| x\\|y | 1 |" in once
    assert once.endswith("<!-- headline:end -->\nb\n")
    assert with_headline(once, [("x|y", "1")]) == once


def test_the_readme_states_the_reference_numbers():
    if not (REPOSITORY.readme.is_file() and REPOSITORY.reference.is_file()):
        pytest.skip("nothing is published yet")
    rows = headline_rows(REPOSITORY.headline, Reference.load(REPOSITORY.reference).entries)
    text = REPOSITORY.readme.read_text(encoding="utf-8")
    assert with_headline(text, rows) == text

import json
import subprocess
import sys

import numpy as np
import pytest

from llmrec.repro import Recorder
from llmrec.repro.record import LONGEST_LIST


@pytest.fixture
def record(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_RECORDS", str(tmp_path))
    return Recorder()


def test_writes_the_chapters_file_on_each_call(record, tmp_path):
    assert record("ch04.n", 943) == 943
    record("ch04.ml-100k.ndcg10", 0.25, kind="metric", tolerance=0.01)
    written = json.loads((tmp_path / "ch04.json").read_text())
    assert written["records"] == {
        "ch04.n": {"kind": "exact", "value": 943},
        "ch04.ml-100k.ndcg10": {"kind": "metric", "value": 0.25, "tolerance": 0.01},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["ch04.json"]  # no partial file is left


def test_returns_the_very_value_and_writes_it_as_json(record, tmp_path):
    value = np.arange(3, dtype=np.int32)
    assert record("ch04.array", value) is value
    record("ch04.scalar", np.float32(0.5), kind="metric", tolerance=1e-3)
    record("ch04.flag", np.bool_(True))
    record("ch04.names", ("a", "b"))
    written = json.loads((tmp_path / "ch04.json").read_text())["records"]
    assert written["ch04.array"]["value"] == [0, 1, 2]
    assert written["ch04.scalar"]["value"] == 0.5
    assert written["ch04.flag"]["value"] is True
    assert written["ch04.names"]["value"] == ["a", "b"]


def test_an_appendix_is_a_chapter_of_its_own(record, tmp_path):
    record("ch08b.x", 1)
    assert (tmp_path / "ch08b.json").is_file()
    with pytest.raises(ValueError, match=r"ch08\.x is another chapter's than ch08b"):
        record("ch08.x", 1)


@pytest.mark.parametrize(
    "key", ["ch4.x", "ch04", "ch04bc.x", "ch04.", "ch04.A", "04.x", "ch04.x y", "", None]
)
def test_refuses_a_key_of_another_form(record, key):
    with pytest.raises(ValueError, match="not of the form"):
        record(key, 1)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        (1, {"kind": "sum"}, "use one of exact, metric, difference, choice, time"),
        (float("nan"), {}, "must be finite"),
        ([1.0, float("inf")], {}, "must be finite"),
        (0.25, {"kind": "choice"}, "must be a name, not 0.25"),
        (["EASE", 3], {"kind": "choice"}, "must be a name, not"),
        (
            "EASE",
            {"kind": "choice", "tolerance": 1},
            "only a metric or a difference has a tolerance",
        ),
        (np.float64("nan"), {"kind": "time"}, "must be finite"),
        (0.5, {"kind": "metric"}, "give its absolute tolerance"),
        (0.5, {"kind": "metric", "tolerance": 0}, "positive and finite"),
        (0.5, {"kind": "metric", "tolerance": -0.1}, "positive and finite"),
        (0.5, {"kind": "metric", "tolerance": float("inf")}, "positive and finite"),
        (0.034, {"kind": "metric", "tolerance": 0.05}, "would accept 0"),
        (-0.034, {"kind": "metric", "tolerance": 0.034}, "would accept 0"),
        ([0.01, -0.02], {"kind": "metric", "tolerance": 0.02}, "would accept 0"),
        ("text", {"kind": "metric", "tolerance": 0.1}, "must be a number"),
        (True, {"kind": "metric", "tolerance": 0.1}, "must be a number"),
        ([], {"kind": "metric", "tolerance": 0.1}, "must be a number"),
        (3, {"tolerance": 0.1}, "only a metric or a difference has a tolerance"),
        (0.001, {"kind": "difference"}, "give its absolute tolerance"),
        (0.001, {"kind": "difference", "tolerance": 0}, "positive and finite"),
        ("text", {"kind": "difference", "tolerance": 0.1}, "must be a number"),
        (list(range(LONGEST_LIST + 1)), {}, "record a summary or a hash"),
    ],
)
def test_refuses_a_value_that_cannot_be_checked(record, tmp_path, value, options, message):
    with pytest.raises(ValueError, match=message):
        record("ch04.x", value, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [None, {"a": 1}, object(), 1j])
def test_refuses_a_type_that_is_no_number_string_or_list(record, value):
    with pytest.raises(TypeError, match="a number, a string or a list"):
        record("ch04.x", value)


def test_zero_may_have_any_tolerance(record):
    record("ch04.zero", 0.0, kind="metric", tolerance=1e-6)


def test_a_difference_may_lie_nearer_to_zero_than_its_tolerance(record, tmp_path):
    record("ch04.low", -0.001, kind="difference", tolerance=0.005)
    written = json.loads((tmp_path / "ch04.json").read_text())["records"]["ch04.low"]
    assert written == {"kind": "difference", "value": -0.001, "tolerance": 0.005}


def test_the_same_key_twice_must_be_the_same_value(record):
    record("ch04.x", 1)
    record("ch04.x", 1)
    with pytest.raises(ValueError, match="was recorded as 1 and now is 2"):
        record("ch04.x", 2)


def test_a_reader_without_a_folder_may_run_a_cell_again(monkeypatch):
    monkeypatch.delenv("LLMREC_RECORDS", raising=False)
    record = Recorder()
    record("ch04.x", 1)
    record("ch04.x", 2)
    assert record.chapters["ch04"]["records"]["ch04.x"]["value"] == 2


def test_a_notebook_records_one_chapter(record):
    record("ch04.x", 1)
    with pytest.raises(ValueError, match="its own chapter only"):
        record("ch05.x", 1)


def test_skip_is_written_with_its_reason(record, tmp_path):
    record.skip("ch04.beauty", "no data")
    assert json.loads((tmp_path / "ch04.json").read_text())["skipped"] == {"ch04.beauty": "no data"}
    with pytest.raises(ValueError, match="begin with a chapter"):
        record.skip("beauty", "no data")
    with pytest.raises(ValueError, match="give the reason why"):
        record.skip("ch04.beauty", " ")


def test_a_new_process_does_not_inherit_records(record, tmp_path):
    record("ch04.old", 1)
    code = "from llmrec.repro import record; record('ch04.new', 2)"
    subprocess.run([sys.executable, "-c", code], check=True)  # inherits LLMREC_RECORDS
    assert list(json.loads((tmp_path / "ch04.json").read_text())["records"]) == ["ch04.new"]


def test_recording_imports_neither_torch_nor_pandas():
    code = (
        "import sys; from llmrec.repro import record; record('ch04.x', 1); "
        "assert not {'torch', 'pandas', 'numpy', 'yaml'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

import json
import os
import subprocess
import sys

import pytest

from llmrec.repro import runner
from llmrec.repro.check import check_records, check_run, check_static
from llmrec.repro.publish import publish
from llmrec.repro.reference import Reference
from llmrec.repro.runner import PROFILES, check_parameters, reproduce

GOOD = """
import os, sys
from llmrec.repro import record
share = record("ch04.share", 0.75 if profile == "book" else 0.7, kind="metric", tolerance=0.01)
_ = record("ch04.seed", seed)
_ = record("ch04.threads", os.environ["OMP_NUM_THREADS"])
_ = record("ch04.hash", hash("text"))
_ = record("ch04.python", sys.executable == os.environ["EXPECTED_PYTHON"])
share
"""
BAD = "from llmrec.repro import record\nrecord('ch05.before', 1)\n"


@pytest.fixture
def lines():
    return []


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.setenv("EXPECTED_PYTHON", sys.executable)
    monkeypatch.delenv("LLMREC_RECORDS", raising=False)


def test_run_resume_failure_check_and_publish(clone, notebook, lines, tmp_path):
    """One story, because every kernel takes seconds."""
    good = notebook(clone.root / "notebooks" / "04_good.ipynb", GOOD)
    bad = notebook(
        clone.root / "notebooks" / "05_bad.ipynb", BAD, "1 / 0", "record('ch05.after', 1)"
    )
    sources = {path: path.read_bytes() for path in (good, bad)}

    # A failing cell: one line, the other notebook still runs, the source is untouched.
    runs = reproduce(clone, only=["05", "04"], jobs=2, say=lines.append)
    assert runs["ch04"].error is None
    assert runs["ch05"].error == "05_bad.ipynb, cell 4: ZeroDivisionError: division by zero"
    assert list(runs) == ["ch04", "ch05"]
    assert f"05_bad: {runs['ch05'].error}" in lines
    assert runs["ch04"].seconds > 0
    assert runs["ch04"].peak_mb > 0
    assert {path: path.read_bytes() for path in sources} == sources
    assert "LLMREC_RECORDS" not in os.environ

    report = check_run(clone, "book", runs)
    assert report.failed
    assert "no reference yet" in report.note
    written = json.loads((clone.run("book") / "report.json").read_text())
    assert written["chapters"]["ch05"]["error"] == runs["ch05"].error
    assert written["claims"] == {"C1": "supported"}
    with pytest.raises(ValueError, match=r"not whole .05_bad failed."):
        publish(clone)

    # The kernel is this interpreter, threads and hashes are pinned, parameters arrive.
    records = json.loads((clone.run("book") / "records" / "ch04.json").read_text())["records"]
    values = {key: entry["value"] for key, entry in records.items()}
    code = "print(hash('text'))"
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    hashed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert values["ch04.hash"] == int(hashed.stdout)
    assert values["ch04.python"] is True
    assert values["ch04.threads"].isdigit()
    assert (values["ch04.share"], values["ch04.seed"]) == (0.75, 0)

    # Resumed: the finished one is not run again, also not after an edit of prose.
    bad.unlink()
    good.write_text(good.read_text().replace("# Title", "# A better title"))
    lines.clear()
    again = reproduce(clone, say=lines.append)
    assert again["ch04"] == runs["ch04"]
    assert "not run again" in lines[0]

    publish(clone)
    assert "# A better title" in good.read_text()
    assert "| Share | 0.75 |" in clone.readme.read_text()
    reference = Reference.load(clone.reference)
    assert reference.chapters["ch04"]["seed"] == 0
    assert not check_run(clone, "book", again).failed
    assert not check_records(clone, clone.run("book") / "records").failed
    assert check_static(clone) == {}

    # An edit of a loaded module makes every key stale, and resuming runs the notebook again; the
    # same seed gives the same numbers.
    (clone.package / "repro" / "record.py").write_text("def record():\n    return 22\n")
    assert check_static(clone) == {"ch04": ["llmrec.repro.record"]}
    lines.clear()
    third = reproduce(clone, say=lines.append)
    assert "not run again" not in lines[0]
    stale = check_run(clone, "book", third)
    assert {row.verdict for row in stale.rows} == {"stale"}
    assert Reference.load(clone.run("book") / "results.json").entries == reference.entries

    # Another seed: keys are compared, values are not; and it is not to be published.
    other = reproduce(clone, seed=3, say=lines.append)
    report = check_run(clone, "book", other)
    assert not report.failed
    assert {row.verdict for row in report.rows} == {"reported"}
    with pytest.raises(ValueError, match="ran with seed 3, not its own 0"):
        publish(clone)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('profile = "book"', r"04_a\.ipynb has no parameter 'seed': .* declares profile"),
        ("x = 1", "has no parameter 'profile'"),
    ],
)
def test_an_undeclared_parameter_is_refused_before_anything_runs(
    clone, notebook, parameters, message
):
    notebook(clone.root / "notebooks" / "04_a.ipynb", parameters=parameters)
    with pytest.raises(ValueError, match=message):
        reproduce(clone, seed=1)
    assert not (clone.root / "_run").exists()


def test_parameters_and_their_defaults(notebook, tmp_path):
    cell = 'profile: str = "book"\nseed = 0\nks = (5, 10)\nn = 2 * seed'
    found = check_parameters(notebook(tmp_path / "04_a.ipynb", parameters=cell), {})
    assert found == {"profile": "book", "seed": 0, "ks": (5, 10), "n": None}


def test_a_notebook_without_a_parameters_cell_is_refused(clone, notebook):
    path = notebook(clone.root / "notebooks" / "04_a.ipynb")
    path.write_text(path.read_text().replace('"parameters"', '"other"'))
    with pytest.raises(ValueError, match="0 cells tagged 'parameters'"):
        reproduce(clone)


def test_bad_requests(clone, notebook):
    with pytest.raises(ValueError, match="there is no notebook"):
        reproduce(clone)
    notebook(clone.root / "notebooks" / "04_a.ipynb")
    with pytest.raises(ValueError, match=f"choose from {', '.join(PROFILES)}"):
        reproduce(clone, "quick")
    with pytest.raises(ValueError, match="jobs=0 must be at least 1"):
        reproduce(clone, jobs=0)
    with pytest.raises(ValueError, match="no notebook for chapter 05"):
        reproduce(clone, only=["05"])


def test_what_took_long_in_the_reference_run_begins_first(clone, notebook, lines, monkeypatch):
    for number in ("04", "05", "06"):
        notebook(clone.root / "notebooks" / f"{number}_a.ipynb", "1")
    known = {"ch04": {"seconds": 3.0}, "ch05": {"seconds": 9.0}}
    Reference("book", {}, known, {}).save(clone.reference)
    monkeypatch.setattr(runner, "_run_chapters", lambda w, jobs: lines.extend(w) or iter(()))
    reproduce(clone)
    assert [chapter for _, chapter, *_ in lines] == ["ch05", "ch04", "ch06"]

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
from llmrec.text import clean
clean("a")
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


@pytest.fixture
def good(clone, notebook):
    return notebook(clone.root / "notebooks" / "04_good.ipynb", GOOD)


def state(clone, chapter="ch04"):
    return clone.run("book") / "state" / f"{chapter}.json"


@pytest.fixture
def execute(monkeypatch, lines):
    """Replace the kernel: a notebook "runs" by what a function of its name writes."""

    def use(run):
        def execute(source, target, given, position):
            lines.append(source.stem)
            return run(source, target)

        monkeypatch.setattr(runner, "_execute", execute)
        monkeypatch.setattr(runner, "_run_chapters", in_this_process)

    return use


def in_this_process(waiting, jobs):
    for arguments in waiting:
        yield arguments[1], runner._run_chapter(*arguments)


def records(source, target):
    """Leave what `record` would have written."""
    entry = {"kind": "metric", "value": 0.75, "tolerance": 0.01}
    content = {"records": {"ch04.share": entry}, "skipped": {}}
    path = target.parent / "records" / f"ch{source.stem[:2]}.json"
    path.write_text(json.dumps(content if source.stem.startswith("04") else {"records": {}}))


# With real kernels, which take seconds each


def test_a_failing_cell_is_one_line_and_the_others_still_run(clone, notebook, good, lines):
    path = clone.root / "notebooks" / "05_bad.ipynb"
    bad = notebook(path, BAD, "1 / 0", "record('ch05.after', 1)")
    sources = {path: path.read_bytes() for path in (good, bad)}
    runs = reproduce(clone, only=["05", "04"], jobs=2, log=lines.append)
    assert runs["ch05"].error == "05_bad.ipynb, cell 4: ZeroDivisionError: division by zero"
    assert f"05_bad: {runs['ch05'].error}" in lines
    assert list(runs) == ["ch04", "ch05"]
    assert runs["ch04"].error is None
    assert runs["ch04"].seconds > 0
    assert runs["ch04"].peak_mb > 0
    assert {path: path.read_bytes() for path in sources} == sources
    assert "LLMREC_RECORDS" not in os.environ
    assert not (clone.run("book") / "results.json").exists()  # a run that failed is no result

    report = check_run(clone, "book", runs)
    assert report.failed
    assert "no reference yet" in report.note
    written = json.loads((clone.run("book") / "report.json").read_text())
    assert written["chapters"]["ch05"]["error"] == runs["ch05"].error
    assert written["claims"] == {"C1": "supported"}
    with pytest.raises(ValueError, match=r"not whole .05_bad failed."):
        publish(clone)


def test_kernels_are_pinned_and_a_run_is_published_and_checked(clone, good, lines):
    runs = reproduce(clone, log=lines.append)
    # The kernel is this interpreter, threads and hashes are pinned, parameters arrive.
    path = clone.run("book") / "records" / "ch04.json"
    values = {k: e["value"] for k, e in json.loads(path.read_text())["records"].items()}
    code = "print(hash('text'))"
    env = {**os.environ, "PYTHONHASHSEED": "0"}
    hashed = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)
    assert values["ch04.hash"] == int(hashed.stdout)
    assert values["ch04.python"] is True
    assert values["ch04.threads"].isdigit()
    assert (values["ch04.share"], values["ch04.seed"]) == (0.75, 0)

    publish(clone)
    assert "| Share | 0.75 |" in clone.readme.read_text()
    reference = Reference.load(clone.reference)
    assert reference.chapters["ch04"]["seed"] == 0
    assert reference.verdicts["C1"]["verdict"] == "supported"
    assert not check_run(clone, "book", runs).failed
    assert not check_run(clone, "book", runs, exact=True).failed
    assert not check_records(clone, path.parent).failed
    assert check_static(clone) == {}

    # Another seed: keys are compared, values are not; and it is not to be published.
    other = reproduce(clone, seed=3, log=lines.append)
    report = check_run(clone, "book", other)
    assert not report.failed
    assert {row.outcome for row in report.rows} == {"reported"}
    with pytest.raises(ValueError, match="ran with seed 3, not its own 0"):
        publish(clone)


# Without kernels


def test_what_is_finished_is_not_run_again_until_its_code_changes(clone, good, lines, execute):
    execute(records)
    first = reproduce(clone, log=lines.append)
    good.write_text(good.read_text().replace("# Title", "# A better title"))
    lines.clear()
    assert reproduce(clone, log=lines.append) == first
    assert lines == [f"04_good: finished before, not run again ({runner._took(first['ch04'])})"]
    lines.clear()
    reproduce(clone, log=lines.append, force=True)
    assert lines[0] == "04_good"

    (clone.root / "llmrec" / "text.py").write_text("def clean(text):\n    return 22\n")
    lines.clear()
    reproduce(clone, log=lines.append)
    assert lines[0] == "04_good"


def test_a_changed_definition_makes_every_key_of_its_chapter_stale(clone, good, lines, execute):
    execute(records)
    reproduce(clone, log=lines.append)
    runner.run_reference(clone, "book").save(clone.reference)
    (clone.root / "llmrec" / "text.py").write_text("def clean(text):\n    return 22\n")
    assert check_static(clone) == {"ch04": ["clean"]}
    rows = check_run(clone, "book", reproduce(clone, log=lines.append)).rows
    assert [(row.key, row.outcome) for row in rows] == [("ch04.share", "stale")]


def test_an_edit_made_while_a_notebook_runs_does_not_pass_for_what_ran(clone, good, lines, execute):
    def run(source, target):
        records(source, target)
        (clone.root / "llmrec" / "text.py").write_text("def clean(text):\n    return 3\n")

    execute(run)
    reproduce(clone, log=lines.append)
    lines.clear()
    reproduce(clone, log=lines.append)
    assert lines[0] == "04_good"  # what ran was the code before


def test_a_run_that_dies_leaves_nothing_that_looks_finished(clone, good, lines, execute):
    execute(records)
    reproduce(clone, log=lines.append)

    def dies(source, target):
        assert not state(clone).exists()
        assert not (target.parent / "records" / "ch04.json").exists()
        raise KeyboardInterrupt

    execute(dies)
    with pytest.raises(KeyboardInterrupt):
        reproduce(clone, log=lines.append, force=True)
    assert runner.finished_runs(clone, "book") == {}
    execute(records)
    lines.clear()
    reproduce(clone, log=lines.append)
    assert lines[0] == "04_good"


def test_no_results_are_written_when_a_notebook_fails(clone, notebook, good, lines, execute):
    execute(records)
    notebook(clone.root / "notebooks" / "05_bad.ipynb")
    reproduce(clone, log=lines.append)
    results = clone.run("book") / "results.json"
    assert set(Reference.load(results).chapters) == {"ch04", "ch05"}
    results.unlink()
    execute(lambda source, target: "05_bad.ipynb: broken" if "bad" in source.stem else None)
    reproduce(clone, log=lines.append, force=True)
    assert not results.exists()


def test_what_a_gone_notebook_left_does_not_count(clone, notebook, good, lines, execute):
    execute(records)
    gone = notebook(clone.root / "notebooks" / "05_gone.ipynb")
    reproduce(clone, log=lines.append)
    gone.unlink()
    reproduce(clone, log=lines.append)
    assert list(runner.finished_runs(clone, "book")) == ["ch04"]


@pytest.mark.parametrize("damaged", ["state", "records"])
@pytest.mark.parametrize("content", ["", '{"notebook": "04', "{}", "[]"])
def test_an_unreadable_state_or_record_is_not_run(clone, good, lines, execute, damaged, content):
    execute(records)
    reproduce(clone, log=lines.append)
    (clone.run("book") / damaged / "ch04.json").write_text(content)
    lines.clear()
    runs = reproduce(clone, log=lines.append)
    assert lines[0] == "04_good"
    assert [row.outcome for row in check_run(clone, "book", runs).rows] == ["extra"]


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


def test_the_longest_notebook_begins_first(clone, notebook, lines, monkeypatch):
    for number in ("04", "05", "06"):
        notebook(clone.root / "notebooks" / f"{number}_a.ipynb", "1")
    known = {"ch04": {"seconds": 3.0}, "ch05": {"seconds": 9.0}}
    Reference("book", {}, known, {}).save(clone.reference)
    monkeypatch.setattr(runner, "_run_chapters", lambda w, jobs: lines.extend(w) or iter(()))
    reproduce(clone)
    assert [chapter for _, chapter, *_ in lines] == ["ch05", "ch04", "ch06"]

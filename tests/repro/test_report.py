import io

from rich.console import Console

from llmrec.repro.reference import Records, Reference, compare
from llmrec.repro.report import SHOWN_ROWS, Report, shorten, table


def report(values, errors=()):
    """Compare values with a reference that says 0.5 ± 0.1 under each key."""
    entry = {"kind": "metric", "tolerance": 0.1}
    reference = Reference("book", {key: {**entry, "value": 0.5} for key in values})
    got = Records({key: {**entry, "value": value} for key, value in values.items()})
    chapters = {f"ch0{n}": {"notebook": f"0{n}_a", "error": e} for n, e in enumerate(errors)}
    return Report("Run", compare(reference, got), [], chapters, {"python": "3"})


def shown(found):
    out = io.StringIO()
    found.show(Console(file=out, width=40))
    return out.getvalue()


def test_a_clean_report(tmp_path):
    found = report({"ch04.a": 0.55, "ch04.b": 0.5})
    assert not found.failed
    assert found.counts == {"reproduced": 2}
    assert "keys: 2 reproduced" in shown(found)
    found.write(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "| ch04.a | 0.5 | 0.55 | 0.05 | 0.1 | reproduced |  |" in text
    assert "What failed" not in text


def test_a_drifted_key_is_one_line_whatever_the_width():
    found = report({"ch04.a": 0.75, "ch04.b": 0.5})
    assert found.failed
    line = "drifted ch04.a: reference 0.5, got 0.75, difference 0.25, tolerance 0.1"
    assert line in shown(found).splitlines()
    assert found.markdown().index("What failed") < found.markdown().index("## Claims")


def test_a_failed_notebook_fails_the_report():
    found = report({"ch04.a": 0.5}, errors=[None, "05_a.ipynb, cell 3: ValueError: [bold]"])
    assert found.failed
    assert "failed: 05_a.ipynb, cell 3: ValueError: [bold]" in shown(found)


def test_many_failures_are_counted():
    found = report({f"ch04.k{n}": 0.0 for n in range(SHOWN_ROWS + 3)})
    assert "and 3 more such keys" in shown(found)
    assert found.markdown().count("| drifted |") == SHOWN_ROWS + 3


def test_what_drifted_is_not_drowned_by_what_is_stale():
    entry = {"kind": "exact", "value": 1}
    reference = Reference("book", {"ch04.a": entry, "ch05.a": entry})
    got = Records({"ch04.a": entry, "ch05.a": {**entry, "value": 2}})
    names = [f"llmrec.module_{n}" for n in range(50)]
    rows = compare(reference, got, stale={"ch04": names})
    lines = shown(Report("Run", rows, [], {}, {})).splitlines()
    assert [line.split(":")[0] for line in lines[:2]] == ["drifted ch05.a", "stale ch04.a"]
    assert lines[1].endswith(" …")
    assert len(lines[1]) < 200


def test_cells_cannot_break_a_table():
    assert table(["a"], [["x|y\nz"]]).splitlines()[-1] == "| x\\|y z |"
    assert shorten(list(range(100))).endswith("…")
    assert (shorten(0.123456789), shorten(None), shorten(3)) == ("0.123457", "", "3")

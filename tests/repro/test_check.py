import io
import json

import pytest
from rich.console import Console

from llmrec.repro.check import (
    SHOWN_ROWS,
    Report,
    check_records,
    check_static,
    shorten,
    table,
)
from llmrec.repro.claims import load_claims
from llmrec.repro.environment import environment
from llmrec.repro.reference import Records, Reference, compare


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


def test_the_farthest_off_comes_first():
    lines = shown(report({"ch04.a": 0.65, "ch04.b": 0.9, "ch04.c": 0.7})).splitlines()
    assert [line.split(":")[0][-1] for line in lines[:3]] == ["b", "c", "a"]


@pytest.fixture
def share(clone):
    """A clone whose reference says share 0.502 ± 0.01; returns a check of another share."""
    entry = {"kind": "metric", "value": 0.502, "tolerance": 0.01}
    (claim,) = load_claims(clone.claims)
    verdicts = {"C1": claim.judged(Records({"ch04.share": entry}))}
    Reference("book", {"ch04.share": entry}, {}, environment(), verdicts).save(clone.reference)
    folder = clone.root / "records"
    folder.mkdir()

    def check(value=0.502, **options):
        content = {"records": {"ch04.share": {**entry, "value": value}}, "skipped": {}}
        (folder / "ch04.json").write_text(json.dumps(content))
        return check_records(clone, folder, **options)

    return check


def test_a_flipped_verdict_fails_though_every_number_is_within_its_tolerance(share):
    assert not share().failed
    assert not share(0.505).failed
    found = share(0.495)
    assert [(row.key, row.outcome) for row in found.rows] == [
        ("ch04.share", "reproduced"),
        ("C1", "flipped"),
    ]
    line = "flipped C1: reference supported, got refuted, ch04.share > 0.5 is now False, ch04.share"
    assert shown(found).startswith(line)


def test_a_comparison_that_flips_alone_is_reported(share):
    found = share(0.5)  # neither above nor below: partly
    assert [row.outcome for row in found.rows] == ["reproduced", "flipped"]


def test_exact_fails_for_a_difference_within_the_tolerance(share):
    assert share(0.503, exact=True).failed
    assert not share(exact=True).failed
    assert share(exact=True).note == ""


def test_an_absent_folder_is_named(clone):
    with pytest.raises(FileNotFoundError, match=r"no records folder .*: run notebooks with LLMREC"):
        check_records(clone, clone.root / "absent")


def test_exact_says_when_the_reference_is_another_machines(share, clone):
    reference = Reference.load(clone.reference)
    other = dict(reference.environment) | {"processor": "another"}
    Reference("book", reference.entries, {}, other, reference.verdicts).save(clone.reference)
    assert "another machine, whose last bits may differ: processor." in share(exact=True).note


CLAIM = """- id: C1
  section: 1
  claim: It is more than half.
  chapters: [4]
"""


@pytest.mark.parametrize(
    "rest",
    [
        "  keys: [ch04.share]\n  rule: {supported: ch04.share > 0.4, refuted: ch04.share < 0.4}\n",
        "  keys: [ch04.share]\n  rule: {supported: ch04.share < 0.5, refuted: ch04.share > 0.5}\n",
        "  keys: [ch04.other]\n  rule: {supported: ch04.other > 0.5, refuted: ch04.other < 0}\n",
        "",
    ],
)
def test_a_changed_rule_fails_the_check_and_the_static_one(share, clone, rest):
    assert check_static(clone) == {}
    clone.claims.write_text(CLAIM + rest)
    assert [row.key for row in share().rows if row.failed] == ["C1"]
    assert "its rule or its keys are not those of the reference" in check_static(clone)["C1"][0]


def test_the_static_check_reads_verdicts_and_tolerances(share, clone):
    content = json.loads(clone.reference.read_text())
    content["entries"]["ch04.share"]["tolerance"] = 1e9
    clone.reference.write_text(json.dumps(content))
    assert "would accept 0" in check_static(clone)["ch04"][0]
    content["entries"]["ch04.share"] = {"kind": "metric", "value": 0.4, "tolerance": 0.01}
    clone.reference.write_text(json.dumps(content))
    assert check_static(clone)["C1"][0].startswith("supported → refuted")
    content["verdicts"] = {}
    clone.reference.write_text(json.dumps(content))
    assert "None → refuted" in check_static(clone)["C1"][0]


def test_cells_cannot_break_a_table():
    assert table(["a"], [["x|y\nz"]]).splitlines()[-1] == "| x\\|y z |"
    assert shorten(list(range(100))).endswith("…")
    assert (shorten(0.123456789), shorten(None), shorten(3)) == ("0.123457", "", "3")

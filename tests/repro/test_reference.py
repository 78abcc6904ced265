import json
from pathlib import Path

import pytest

from llmrec.repro.layout import Layout
from llmrec.repro.record import flat
from llmrec.repro.reference import Records, Reference, compare, difference, read_records

ENTRIES = {
    "ch04.count": {"kind": "exact", "value": 943},
    "ch04.hash": {"kind": "exact", "value": "ab12"},
    "ch04.flag": {"kind": "exact", "value": True},
    "ch04.list": {"kind": "exact", "value": [1, [2, 3]]},
    "ch04.ndcg": {"kind": "metric", "value": 0.25, "tolerance": 0.01},
    "ch04.zero": {"kind": "metric", "value": 0.0, "tolerance": 1e-6},
    "ch04.curve": {"kind": "metric", "value": [0.9, -0.5], "tolerance": 0.02},
    "ch04.gap.low": {"kind": "difference", "value": -0.001, "tolerance": 0.005},
    "ch04.best": {"kind": "choice", "value": "EASE"},
    "ch04.seconds": {"kind": "time", "value": 3.0},
}
REPOSITORY = Path(__file__).parents[2]


def verdicts(reference, got, **options):
    rows = compare(Reference("book", reference), Records(got), **options)
    return {row.key: row.verdict for row in rows}


def shifted(entry):
    """The entry moved by twice its tolerance; an exact one changed in every one of its parts."""
    if isinstance(entry["value"], list):
        return {**entry, "value": [shifted({**entry, "value": x})["value"] for x in entry["value"]]}
    value = entry["value"]
    if isinstance(value, bool):
        return {**entry, "value": not value}
    if isinstance(value, str):
        return {**entry, "value": value + "x"}
    return {**entry, "value": value + 2 * entry.get("tolerance", 0.5)}


def assert_every_mutation_is_caught(entries):
    got = Records(entries)
    for key, entry in entries.items():
        rows = compare(Reference("book", {**entries, key: shifted(entry)}), got)
        wrong = [row.key for row in rows if row.failed]
        assert wrong == ([] if entry["kind"] in ("choice", "time") else [key])


def test_the_same_records_are_reproduced():
    assert set(verdicts(ENTRIES, ENTRIES).values()) == {"reproduced", "reported"}


def test_checker_fails_for_every_reference_shifted_by_twice_its_tolerance():
    assert_every_mutation_is_caught(ENTRIES)


def test_checker_fails_for_every_published_reference_shifted():
    path = Layout(REPOSITORY).reference
    if not path.is_file():
        pytest.skip("nothing is published yet")
    assert_every_mutation_is_caught(dict(Reference.load(path).entries))


def test_within_the_tolerance_is_reproduced_and_the_difference_is_the_largest():
    got = {"ch04.curve": {"kind": "metric", "value": [0.91, -0.515], "tolerance": 0.02}}
    (row,) = compare(Reference("book", {"ch04.curve": ENTRIES["ch04.curve"]}), Records(got))
    assert row.verdict == "reproduced"
    assert row.difference == pytest.approx(0.015)


@pytest.mark.parametrize("value", [[0.9], [0.9, "x"], 0.9, "0.9", [[0.9, -0.5]]])
def test_another_shape_drifts(value):
    got = {**ENTRIES, "ch04.curve": {"kind": "metric", "value": value, "tolerance": 0.02}}
    assert verdicts(ENTRIES, got)["ch04.curve"] == "drifted"


def test_another_choice_is_reported_and_the_same_reproduced():
    reference = Reference("book", {"ch04.best": ENTRIES["ch04.best"]})
    (same,) = compare(reference, Records(reference.entries))
    (other,) = compare(reference, Records({"ch04.best": {"kind": "choice", "value": "ALS"}}))
    assert (same.verdict, same.note) == ("reproduced", "")
    assert (other.verdict, other.note, other.failed) == ("reported", "another choice", False)


def test_the_reference_tolerance_counts_and_a_change_of_kind_drifts():
    wide = {"kind": "metric", "value": 0.35, "tolerance": 0.3}
    time = {"kind": "time", "value": 0.25}
    for entry in (wide, time):
        assert verdicts(ENTRIES, {**ENTRIES, "ch04.ndcg": entry})["ch04.ndcg"] == "drifted"


def test_missing_extra_and_not_run_here():
    got = {key: entry for key, entry in ENTRIES.items() if key != "ch04.count"}
    got["ch04.new"] = {"kind": "exact", "value": 1}
    assert verdicts(ENTRIES, got)["ch04.count"] == "missing"
    assert verdicts(ENTRIES, got)["ch04.new"] == "extra"

    reference = Reference(
        "book", {"ch04.far.x": ENTRIES["ch04.count"], "ch04.farther": ENTRIES["ch04.hash"]}
    )
    here = Records({}, {"ch04.far": "no data"})
    rows = {row.key: row for row in compare(reference, here)}
    assert rows["ch04.far.x"].verdict == "not run here"
    assert rows["ch04.far.x"].note == "no data"
    assert not rows["ch04.far.x"].failed
    assert rows["ch04.farther"].verdict == "missing"  # a prefix ends at a dot
    strict = {row.key: row for row in compare(reference, here, strict=True)}
    assert strict["ch04.far.x"].verdict == "missing"
    assert strict["ch04.far.x"].failed


def test_stale_says_what_changed_but_a_drift_stays_a_drift():
    got = {**ENTRIES, "ch04.count": {"kind": "exact", "value": 1}}
    rows = compare(Reference("book", ENTRIES), Records(got), stale={"ch04": ["llmrec.text"]})
    by_key = {row.key: row for row in rows}
    assert by_key["ch04.hash"].verdict == "stale"
    assert by_key["ch04.hash"].note == "changed: llmrec.text"
    assert by_key["ch04.hash"].failed
    assert by_key["ch04.count"].verdict == "drifted"
    assert by_key["ch04.seconds"].verdict == "reported"


def test_without_values_only_the_keys_count():
    got = {key: {**entry, "value": 7} for key, entry in ENTRIES.items() if key != "ch04.zero"}
    found = verdicts(ENTRIES, got, values=False)
    assert found.pop("ch04.zero") == "missing"
    assert set(found.values()) == {"reported"}


def test_difference():
    assert difference([1, [2.0, 5]], [1, [2.5, 3]]) == 2
    assert difference("a", "a") is None
    assert difference(1, [1]) is None
    assert list(flat([1, [2, [3]]])) == [1, 2, 3]


def test_saved_reference_is_stable_and_reads_back(tmp_path):
    path = tmp_path / "results" / "reference.json"
    Reference("book", ENTRIES, {"ch04": {"seconds": 1.0}}, {"python": "3"}).save(path)
    first = path.read_bytes()
    loaded = Reference.load(path)
    assert loaded.entries == ENTRIES
    Reference(
        loaded.profile, dict(reversed(list(ENTRIES.items()))), loaded.chapters, loaded.environment
    ).save(path)
    assert path.read_bytes() == first
    assert loaded.only(["ch05"]).entries == {}


def test_bad_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="llmrec publish"):
        Reference.load(tmp_path / "reference.json")
    (tmp_path / "reference.json").write_text('{"surprise": 1}')
    with pytest.raises(ValueError, match=r"reference\.json is not a reference file"):
        Reference.load(tmp_path / "reference.json")
    with pytest.raises(FileNotFoundError, match="LLMREC_RECORDS"):
        read_records(tmp_path / "absent")
    (tmp_path / "ch04.json").write_text(json.dumps({"records": {}}))
    with pytest.raises(ValueError, match=r"ch04\.json is not a file that record"):
        read_records(tmp_path)

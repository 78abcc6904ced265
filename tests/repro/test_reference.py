import json
from pathlib import Path

import pytest

from llmrec.repro.layout import Layout
from llmrec.repro.record import flat
from llmrec.repro.reference import Records, Reference, compare, difference, longest_first

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
EXACT = Records(ENTRIES)
REPOSITORY = Path(__file__).parents[2]


def outcomes(reference, got, **options):
    rows = compare(Reference("book", reference), Records(got), **options)
    return {row.key: row.outcome for row in rows}


def shifted(entry, times=1.01):
    """The entry moved by its tolerance and a little; an exact one changed in all its parts."""
    if isinstance(entry["value"], list):
        values = [shifted({**entry, "value": x}, times)["value"] for x in entry["value"]]
        return {**entry, "value": values}
    value = entry["value"]
    if isinstance(value, bool):
        return {**entry, "value": not value}
    if isinstance(value, str):
        return {**entry, "value": value + "x"}
    away = 1 if value >= 0 else -1  # from zero: nearer to it the tolerance would be too large
    return {**entry, "value": value + away * times * entry.get("tolerance", 0.5)}


def assert_every_mutation_is_caught(entries):
    got = Records(entries)
    for key, entry in entries.items():
        rows = compare(Reference("book", {**entries, key: shifted(entry)}), got)
        wrong = [row.key for row in rows if row.failed]
        assert wrong == ([] if entry["kind"] in ("choice", "time") else [key])


def test_the_same_records_are_reproduced():
    assert set(outcomes(ENTRIES, ENTRIES).values()) == {"reproduced", "reported"}


def test_checker_fails_for_every_reference_shifted_by_just_more_than_its_tolerance():
    assert_every_mutation_is_caught(ENTRIES)


def test_checker_passes_every_reference_shifted_by_just_less():
    near = {k: shifted(e, 0.99) if "tolerance" in e else e for k, e in ENTRIES.items()}
    assert not any(row.failed for row in compare(Reference("book", ENTRIES), Records(near)))


def test_exact_takes_the_last_bit_and_another_choice_for_a_drift():
    for key, entry in ENTRIES.items():
        other = "ALS" if key == "ch04.best" else shifted(entry, 1e-9)["value"]
        rows = compare(
            Reference("book", {**ENTRIES, key: {**entry, "value": other}}), EXACT, exact=True
        )
        assert [row.key for row in rows if row.failed] == ([] if entry["kind"] == "time" else [key])
    assert not any(row.failed for row in compare(Reference("book", ENTRIES), EXACT, exact=True))


@pytest.mark.parametrize("tolerance", [1e9, 0.2, 0.0101, 0.001])
def test_a_reference_with_another_tolerance_than_the_recorded_one_fails(tolerance):
    entry = {**ENTRIES["ch04.ndcg"], "tolerance": tolerance}
    assert outcomes({"ch04.ndcg": entry}, ENTRIES)["ch04.ndcg"] == "drifted"
    far = {**entry, "value": 0.26}
    assert outcomes({"ch04.ndcg": far}, ENTRIES)["ch04.ndcg"] == "drifted"


def test_a_tolerance_may_follow_the_value():
    ref = {"kind": "metric", "value": 0.01, "tolerance": 0.005}
    got = {"kind": "metric", "value": 0.012, "tolerance": 0.006}
    assert outcomes({"ch04.a": ref}, {"ch04.a": got}) == {"ch04.a": "reproduced"}


def test_a_reference_that_record_would_have_refused_fails():
    for entry in (
        {"kind": "metric", "value": 0.25, "tolerance": 0.25},
        {"kind": "metric", "value": 0.25},
        {"kind": "exact", "value": 3, "tolerance": 1.0},
    ):
        (row,) = compare(Reference("book", {"ch04.a": entry}), Records({"ch04.a": entry}))
        assert row.outcome == "drifted"
        assert row.note.startswith("the reference ")


def test_checker_fails_for_every_published_reference_shifted():
    path = Layout(REPOSITORY).reference
    if not path.is_file():
        pytest.skip("nothing is published yet")
    assert_every_mutation_is_caught(dict(Reference.load(path).entries))


def test_within_the_tolerance_is_reproduced_and_the_difference_is_the_largest():
    got = {"ch04.curve": {"kind": "metric", "value": [0.91, -0.515], "tolerance": 0.02}}
    (row,) = compare(Reference("book", {"ch04.curve": ENTRIES["ch04.curve"]}), Records(got))
    assert row.outcome == "reproduced"
    assert row.difference == pytest.approx(0.015)


@pytest.mark.parametrize("value", [[0.9], [0.9, "x"], 0.9, "0.9", [[0.9, -0.5]]])
def test_another_shape_drifts(value):
    got = {**ENTRIES, "ch04.curve": {"kind": "metric", "value": value, "tolerance": 0.02}}
    assert outcomes(ENTRIES, got)["ch04.curve"] == "drifted"


def test_another_choice_is_reported_and_the_same_reproduced():
    reference = Reference("book", {"ch04.best": ENTRIES["ch04.best"]})
    (same,) = compare(reference, Records(reference.entries))
    (other,) = compare(reference, Records({"ch04.best": {"kind": "choice", "value": "ALS"}}))
    assert (same.outcome, same.note) == ("reproduced", "")
    assert (other.outcome, other.note, other.failed) == ("reported", "another choice", False)


def test_the_reference_tolerance_counts_and_a_change_of_kind_drifts():
    wide = {"kind": "metric", "value": 0.35, "tolerance": 0.3}
    time = {"kind": "time", "value": 0.25}
    for entry in (wide, time):
        assert outcomes(ENTRIES, {**ENTRIES, "ch04.ndcg": entry})["ch04.ndcg"] == "drifted"


def test_missing_extra_and_not_run_here():
    got = {key: entry for key, entry in ENTRIES.items() if key != "ch04.count"}
    got["ch04.new"] = {"kind": "exact", "value": 1}
    assert outcomes(ENTRIES, got)["ch04.count"] == "missing"
    assert outcomes(ENTRIES, got)["ch04.new"] == "extra"

    reference = Reference(
        "book", {"ch04.far.x": ENTRIES["ch04.count"], "ch04.farther": ENTRIES["ch04.hash"]}
    )
    here = Records({}, {"ch04.far": "no data"})
    rows = {row.key: row for row in compare(reference, here)}
    assert rows["ch04.far.x"].outcome == "not run here"
    assert rows["ch04.far.x"].note == "no data"
    assert not rows["ch04.far.x"].failed
    assert rows["ch04.farther"].outcome == "missing"  # a prefix ends at a dot
    strict = {row.key: row for row in compare(reference, here, strict=True)}
    assert strict["ch04.far.x"].outcome == "missing"
    assert strict["ch04.far.x"].failed


def test_stale_says_what_changed_but_a_drift_stays_a_drift():
    got = {**ENTRIES, "ch04.count": {"kind": "exact", "value": 1}}
    rows = compare(Reference("book", ENTRIES), Records(got), stale={"ch04": ["llmrec.text"]})
    by_key = {row.key: row for row in rows}
    assert by_key["ch04.hash"].outcome == "stale"
    assert by_key["ch04.hash"].note == "changed: llmrec.text"
    assert by_key["ch04.hash"].failed
    assert by_key["ch04.count"].outcome == "drifted"
    assert by_key["ch04.seconds"].outcome == "reported"


def test_without_values_only_the_keys_count():
    got = {key: {**entry, "value": 7} for key, entry in ENTRIES.items() if key != "ch04.zero"}
    found = outcomes(ENTRIES, got, values=False)
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


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_an_unreadable_file_of_records_counts_as_not_written(tmp_path, content):
    (tmp_path / "ch04.json").write_text(content)
    (tmp_path / "ch05.json").write_text(json.dumps({"records": {"ch05.x": 1}, "skipped": {}}))
    assert Records.read(tmp_path) == Records({"ch05.x": 1})
    assert Records.read(tmp_path, ["ch04"]) == Records()


def test_the_slowest_notebook_of_any_published_run_begins_first(clone, notebook):
    for number in ("04", "05", "06", "08b"):
        notebook(clone.root / "notebooks" / f"{number}_a.ipynb", "1")
    chapters = {"ch04": {"seconds": 3.0, "slowest": 9.0}, "ch05": {"seconds": 5.0, "slowest": 6.0}}
    chapters["ch08b"] = {"seconds": 7.0}
    Reference("book", {}, chapters).save(clone.reference)
    assert [path.stem[:2] for path in longest_first(clone)] == ["04", "08", "05", "06"]

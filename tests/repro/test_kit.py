"""The helpers that all chapters share."""

from __future__ import annotations

import pytest

from llmrec.evaluation import Estimate
from llmrec.repro import kit
from llmrec.repro.record import record


@pytest.fixture(autouse=True)
def empty_records(monkeypatch):
    monkeypatch.delenv("LLMREC_RECORDS", raising=False)
    monkeypatch.setattr(record, "chapters", {})


def test_note_records_the_difference_and_its_bounds():
    kit.note("ch04.gain", Estimate(0.1, -0.1, 0.3, n=9), 0.01)
    assert record.chapters["ch04"]["records"] == {
        f"ch04.gain.{part}": {"kind": "difference", "value": value, "tolerance": 0.01}
        for part, value in (("difference", 0.1), ("low", -0.1), ("high", 0.3))
    }


def test_a_level_never_has_a_tolerance_that_accepts_zero():
    kit.level("ch04.small", 0.01, 0.02)
    kit.level("ch04.list", [0.2, -0.5], 0.02)
    kit.level("ch04.zero", 0.0, 0.02)
    records = record.chapters["ch04"]["records"]
    assert [records[f"ch04.{key}"]["tolerance"] for key in ("small", "list", "zero")] == [
        0.005,
        0.02,
        0.02,
    ]


def test_words():
    assert kit.signed(Estimate(-0.25, -0.5, 0.0, n=2), ".1f") == "-0.2 [-0.5, +0.0]"
    assert kit.sentence("a", "b.").data == "a b."
    assert kit.bullets(["a", "b"]).data == "- a\n- b"
    assert kit.by_profile("full", 1, smoke=0, full=9) == 9


def test_a_verdict_comes_from_the_records_so_far():
    assert kit.verdict_of("C6") == "not yet tested"
    with pytest.raises(KeyError, match="C99"):
        kit.verdict_of("C99")

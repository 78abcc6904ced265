from pathlib import Path

import pytest

from llmrec.repro.claims import Claim, current_verdicts, evaluate, keys_of, load_claims
from llmrec.repro.layout import chapter_of
from llmrec.repro.record import Recorder
from llmrec.repro.reference import Records

CLAIMS = Path(__file__).parents[2] / "book" / "claims.yml"
VALUES = {
    "ch04.x": 0.5,
    "ch04.x.low": -0.1,
    "ch04.x.high": 0.3,
    "ch04.ml-100k.n": 943,
    "ch04.s": "a",
}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("ch04.x > 0", True),
        ("low(ch04.x) > 0", False),
        ("high(ch04.x) - low(ch04.x) < 0.5 and not ch04.x == 1", True),
        ('k["ch04.ml-100k.n"] == 943', True),
        ('low(k["ch04.x"]) < 0 < high(ch04.x)', True),
        ("0 < low(ch04.x) or ch04.x >= 0.5", True),
        ("max(ch04.x, 2, -3) / 2 == 1", True),
        ("abs(ch04.x.low) <= 0.1 * min(1, 5)", True),
        ("ch04.s == 'a'", True),
        ("ch04.s != 'a'", False),
        ("True", True),
    ],
)
def test_rules_evaluate_as_python_would(rule, expected):
    assert evaluate(rule, VALUES) is expected


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("ch04.x >", "invalid syntax"),
        ("import os", "invalid syntax"),
        ("ch04.x + 1", "not a condition"),
        ("ch04.x / 0 > 1", "division by zero"),
        ("ch04.s > 1", "not supported"),
        ("open('x')", "name 'open' is not defined"),
        ("x > 0", "name 'x' is not defined"),
    ],
)
def test_a_bad_rule_is_one_clear_error(rule, message):
    with pytest.raises(ValueError, match=message):
        evaluate(rule, VALUES)


def test_keys_of_a_rule():
    assert keys_of("0 < 1 or low(ch04.x) > k['ch04.y-z'] - ch08b.w") == {
        "ch04.x.low",
        "ch04.y-z",
        "ch08b.w",
    }
    assert keys_of("'ch04.x' == ch04.s") == {"ch04.s"}
    with pytest.raises(KeyError, match=r"ch04\.y"):
        evaluate("ch04.y > 0", VALUES)


def claim(**fields):
    usual = {"claim": "Words.", "keys": ("ch04.a",)}
    usual |= {"supported": "ch04.a > 0", "refuted": "ch04.a < 0"}
    return Claim("C1", "1", chapters=(4,), **{**usual, **fields})


def test_verdicts():
    def records(value, **skipped):
        return Records({"ch04.a": {"kind": "exact", "value": value}}, skipped)

    assert claim().verdict(records(1)) == "supported"
    assert claim().verdict(records(0)) == "partly"
    assert claim().verdict(records(-1)) == "refuted"
    assert claim().verdict(Records()) == "not yet tested"
    assert claim().verdict(Records({}, {"ch04.a": "no data"})) == "not testable here"
    assert claim(untestable="needs live users").verdict(records(1)) == "not testable here"
    assert Claim("C2", "1", "Words.").verdict(records(1)) == "not yet tested"
    with pytest.raises(ValueError, match="support and refute it at once"):
        claim(refuted="ch04.a > 0.5").verdict(records(1))


def test_a_judgement_holds_each_comparison_and_a_hash_of_the_rule():
    def judged(value, **fields):
        records = Records({"ch04.a": {"kind": "exact", "value": value}})
        return claim(**fields).judged(records)

    one = judged(1)
    assert one["verdict"] == "supported"
    assert one["legs"] == {"ch04.a > 0": True, "ch04.a < 0": False}
    assert judged(0)["legs"] == {"ch04.a > 0": False, "ch04.a < 0": False}
    assert judged(-1)["rule"] == one["rule"]
    assert judged(1, claim="Other words.")["rule"] == one["rule"]
    for change in ({"refuted": "ch04.a < -1"}, {"keys": ("ch04.a", "ch04.b")}):
        assert judged(1, **change)["rule"] != one["rule"]
    assert judged(1, keys=("ch04.b",))["legs"] == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- {id: C1, section: 1, claim: x, mood: y}", "C1: unknown field mood"),
        ("- {id: C1, section: 1}", "C1: has no claim"),
        ("- {id: C1, section: 1, claim: x, rule: {supported: 0 < 1}}", "exactly the two parts"),
        (
            "- {id: C1, section: 1, claim: x, rule: {supported: ch04.a > 0, refuted: 1 < 0}}",
            r"uses ch04\.a, which its keys do not list",
        ),
        (
            "- {id: C1, section: 1, claim: x, rule: {supported: 1 <, refuted: 1 < 0}}",
            "not an expression",
        ),
        (
            "- {id: C1, section: 1, claim: x}\n- {id: C1, section: 1, claim: y}",
            "C1: its id is used twice",
        ),
    ],
)
def test_a_bad_claims_file_names_the_claim(tmp_path, text, message):
    path = tmp_path / "claims.yml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load_claims(path)


def test_the_book_lists_all_claims_of_the_article():
    claims = load_claims(CLAIMS)
    assert [claim.id for claim in claims] == [f"C{n}" for n in range(1, 25)]
    assert {claim.id for claim in claims if claim.supported} >= {
        "C4",
        "C5",
        "C6",
        "C7",
        "C12",
        "C14",
    }
    for claim in claims:
        chapters = {chapter_of(chapter) for chapter in claim.chapters}
        assert {key.partition(".")[0] for key in claim.keys} <= chapters
        assert bool(claim.supported) == bool(claim.keys)


@pytest.mark.parametrize(
    ("tau", "low", "high", "verdict"),
    [
        (1.0, -0.02, 0.01, "refuted"),
        (1.0, -0.02, -0.01, "refuted"),
        (1.0, 0.01, 0.02, "partly"),
        (0.4, -0.02, 0.01, "partly"),
        (0.4, 0.01, 0.02, "supported"),
    ],
)
def test_the_printed_program_is_judged_by_its_ranking(tau, low, high, verdict):
    c14 = load_claims(CLAIMS)[13]
    values = {"kendall_tau": tau, "difference": 0.0, "low": low, "high": high}
    entries = {
        f"ch06.claim.c14.{name}": {"kind": "exact", "value": v} for name, v in values.items()
    }
    assert c14.verdict(Records(entries)) == verdict


def test_a_notebook_reads_its_verdict_from_what_it_has_recorded(clone, monkeypatch):
    monkeypatch.chdir(clone.root / "book")
    monkeypatch.delenv("LLMREC_RECORDS", raising=False)
    own = Recorder()
    monkeypatch.setattr("llmrec.repro.claims.record", own)
    assert current_verdicts() == {"C1": "not yet tested"}
    own("ch04.share", 0.25)
    assert current_verdicts() == {"C1": "refuted"}

"""A run's controls, its steps and its promises, on the small worlds of the other tests."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest

from llmrec.cli import main
from llmrec.data import DataError, Dataset
from llmrec.models import Ensemble, ItemKNN, Popularity, TransitionKNN
from llmrec.study import Candidate, Served, load_study, served, study
from llmrec.study.report import notes, report_html
from llmrec.study.run import BOTH, SHUFFLED, Results, choose, steps_of
from llmrec.study.served import check_tables, everything
from llmrec.study.vectors import Vectors


def decided(values, lexical=False):
    """Tune and join as a run does, with these values on valid in place of fits."""
    results = Results()

    def settle(candidate):
        value = values[candidate.name]
        results.settle(candidate, {"value": value} if value else {"error": "no"})

    for name in ("EASE", "ALS"):
        settle(Candidate(name, name, "behaviour"))
    settle(Candidate("Bridge", "Bridge", "text", "language"))
    choose(results, lexical, settle)
    return results


VALUES = {"EASE": 0.3, "ALS": 0.2, "Bridge": 0.4, "Bridge, TF-IDF": 0.35}
VALUES |= {f"Bridge, {SHUFFLED}": 0.3, f"Bridge, TF-IDF, {SHUFFLED}": 0.3}
VALUES |= dict.fromkeys([*BOTH, f"{BOTH[1]}, {SHUFFLED}"], 0.45)
SINGLE = VALUES | dict.fromkeys(BOTH, 0.25)


def test_the_control_of_a_single_winner_is_its_class_with_shuffled_texts():
    results = decided(SINGLE)
    assert results.pair == ("EASE", "Bridge")
    assert results.controls == {
        "language": "Bridge",
        "words": "Bridge, TF-IDF",
        "shuffled": "Bridge, texts shuffled",
    }
    assert f"{BOTH[1]}, {SHUFFLED}" not in results.tuned
    assert "words" not in decided(SINGLE, lexical=True).controls


def test_the_control_of_a_joined_winner_is_joined_with_the_shuffled_member():
    results = decided(VALUES)
    assert results.pair == BOTH
    assert results.controls["shuffled"] == f"{BOTH[1]}, {SHUFFLED}"
    control = results.candidates[-1]
    assert control.members == ("EASE", "Bridge, texts shuffled")
    assert (control.knows, control.reads) == ("control", "shuffled")
    failed = decided(VALUES | {f"{BOTH[1]}, {SHUFFLED}": None})
    assert "shuffled" not in failed.controls


def test_where_tfidf_wins_its_control_is_shuffled_words():
    results = decided(VALUES | {"Bridge, TF-IDF": 0.5, BOTH[1]: 0.6})
    assert results.named(BOTH[1]).members == ("EASE", "Bridge, TF-IDF")
    assert results.named(results.controls["shuffled"]).reads == "shuffled words"
    assert results.controls["language"] == "Bridge"


def test_shuffled_words_are_the_same_vectors_in_another_order():
    vectors = Vectors(["a rose", "a tulip", "the sea"], "hash", 10, True, 0)
    words, shuffled = vectors.features("words").items, vectors.features("shuffled words").items
    assert sorted(map(tuple, words.tolist())) == sorted(map(tuple, shuffled.tolist()))
    assert not (words == shuffled).all(axis=1).any()


def test_both_splits_are_audited_and_the_winner_has_its_control(answered):
    done = load_study(answered["shop"][0])
    assert {row["split"] for row in done.results["audit"]} == {"test", "tuning"}
    asked = {row["part"]: row for row in done.answer.claims}
    assert asked["text"]["a"] == asked["right text"]["a"] == done.answer.with_text
    assert asked["right text"]["b"].endswith(SHUFFLED)
    assert done.results["split"]["able"] == done.results["split"]["users"]
    assert any("bestseller" in line for line in notes(done.results).limits)


def test_failed_checks_and_splits_at_random_are_said(answered, capsys):
    done = load_study(answered["library"][0])
    assert "The split is at random, because no event has a time" in " ".join(
        notes(done.results).warnings
    )
    assert "- The split is at random" in answered["library"][1]
    row = {"split": "tuning", "check": "twins", "status": "failure", "found": "x", "fix": "y"}
    done.results["audit"].append(row)
    assert notes(done.results).failed == ["Audit of the tuning split, twins: x. Fix: y."]


def test_the_command_tells_plan_and_steps_and_finds_them_again(shop, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})
    out = tmp_path / "out"
    command = ["study", str(shop), "--quick", "--encoder", "hash", "--output", str(out)]
    assert main(command) == 0
    printed = capsys.readouterr()
    done = load_study(out)
    assert printed.out.startswith(done.answer.sentence)
    lines = printed.err.splitlines()
    assert lines[0].startswith("Read ")
    assert lines[1].startswith("Split by time: ")
    n = steps_of(done.plan)
    assert f"About {n} steps; finished ones are kept." in lines
    assert any(line.endswith(" s") and "tune EASE" in line for line in lines)
    assert n - 1 <= int(lines[-1].split("/")[0][1:]) <= n + 2  # a joined winner has its control
    assert set(pd.read_parquet(out / "model" / "items.parquet")) == {"item", "title"}
    assert main(command) == 0
    assert "tune EASE, found finished" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_said_before_any_work(shop, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "out"
    assert main(["study", str(shop), "--output", str(place)]) == 2
    err = capsys.readouterr().err
    assert "cannot be written into" in err
    assert "--output" in err


def test_a_change_of_the_encoders_weights_is_another_study(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})

    def found():
        lines = []
        study(shop, quick=True, encoder="hash", output=tmp_path / "out", log=lines.append)
        return sum("found finished" in line for line in lines)

    assert found() == 0
    assert found() > 10
    monkeypatch.setattr(Vectors, "fingerprint", property(lambda self: "other"))
    assert found() == 0


def test_tables_that_cannot_be_saved_are_refused_before_the_work(shop):
    data = Dataset.from_folder(shop)
    mixed = data.items.assign(year=[1999, "MCM"] + [None] * 62, note=[[1], "x"] * 32)
    items = Served.of(None, Dataset("shop", data.interactions, mixed)).items
    assert items["year"].tolist()[:3] == ["1999", "MCM", ""]
    assert list(items) == ["item", "title", "year"]
    refused = data.interactions[["user", "item"]].head(2).assign(timestamp=[1, "x"])
    with pytest.raises(DataError, match="the table refused cannot be saved with a model"):
        check_tables(data, refused)


def test_a_member_gets_the_order_of_somebody_new():
    events = pd.DataFrame({"user": [0, 0, 0, 1, 1, 1], "item": [0, 1, 2, 1, 0, 3]})
    events = events.assign(timestamp=[1, 2, 3, 1, 2, 3], weight=1.0, action="took")
    data = Dataset("toy", events, pd.DataFrame({"item": range(5), "title": list("abcde")}))
    split = everything(data)
    both = Ensemble(
        {"order": TransitionKNN(recency=0.5), "best": Popularity()}, {"order": 1.0, "best": 0.0}
    ).fit(split)
    new = Served.of(both, data)
    one, _ = new.list_for_items(np.array([0, 1]), 1)
    other, _ = new.list_for_items(np.array([1, 0]), 1)
    assert (one.tolist(), other.tolist()) == ([2], [3])  # what follows the latest


def test_reasons_are_the_same_in_pieces(shop, monkeypatch):
    data = Dataset.from_folder(shop)
    known = Served.of(ItemKNN().fit(everything(data)), data)
    items, history = np.array([1, 2]), np.array([3, 6, 9, 12])
    whole = known.reasons(items, history)
    monkeypatch.setattr(served, "CELLS", 2 * data.n_items)
    assert known.reasons(items, history) == whole
    assert any(whole)


def test_the_report_explains_its_words(answered):
    html = (answered["shop"][0] / "report.html").read_text("utf-8")
    for said in ("Holm’s p", "<dt>recall@10</dt>", "<dt>EASE</dt>", ">valid</th>", " MB at most"):
        assert said in html, said


def test_without_a_text_nothing_is_said_to_read(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})
    folder = shutil.copytree(shop, tmp_path / "dumb", ignore=lambda *_: ["llmrec-study"])
    pd.DataFrame({"item": range(63), "title": ""}).to_csv(folder / "items.csv", index=False)
    done = study(folder, quick=True, output=tmp_path / "out")
    html = (done.write(tmp_path / "out") / "report.html").read_text("utf-8")
    assert "read by minilm" not in html
    assert json.loads((tmp_path / "out" / "results.json").read_text())["answer"]["gain"] is None


def test_many_events_without_a_row_and_unread_numbers_are_warned_of(answered):
    results = load_study(answered["shop"][0]).results
    about = results["profile"] | {
        "dropped": {"events on items without a row": results["profile"]["n_events"] // 2},
        "unread": {"price": True, "shop": False},
    }
    results = results | {"profile": about}
    told = " ".join(notes(results).warnings)
    assert "50% of the events are on items that the items table lacks" in told
    assert "Not read, but numbers: 'price' of the interactions" in told
    assert "shop" not in told
    page = report_html(results, [1])
    assert "column &#39;price&#39; of the interactions is not read: numbers</li>" in page
    assert "column &#39;shop&#39; of the interactions is not read</li>" in page


def test_a_study_that_tunes_on_a_sample_says_so(shop, monkeypatch):
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})
    monkeypatch.setattr("llmrec.study.plan.TUNING_EVENTS", 150)
    monkeypatch.setattr("llmrec.study.plan.CELLS", {"judged": 1, "tested": 1})
    monkeypatch.setattr("llmrec.study.plan.FEWEST", 5)
    done = study(shop, quick=True, encoder="hash")
    assert done.results["split"]["tuning"] < 200
    assert any("there they would look new" in line for line in notes(done.results).limits)

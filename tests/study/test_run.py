"""A run's controls, its steps and its promises, on the small worlds of the other tests."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import llmrec
from llmrec.cli import main, recommend
from llmrec.data import DataError, Dataset
from llmrec.models import Ensemble, ItemKNN, Popularity, TransitionKNN
from llmrec.studies import Served, load_study
from llmrec.studies.budget import Costs
from llmrec.studies.controls import BOTH, SHUFFLED, join_best, join_control, tune_controls
from llmrec.studies.found import Found
from llmrec.studies.plan import Candidate
from llmrec.studies.served import check_tables, everything
from llmrec.studies.steps import Steps
from llmrec.studies.warn import failed_checks, limits, warnings


class Lexical:
    lexical = False


def decided(values, text="", lexical=False):
    """Tune and join as a run does, with these values on valid in place of fits."""
    found = Found()

    def settle(candidate):
        value = values[candidate.name]
        found.tuned[candidate.name] = {"value": value} if value else {"error": "no"}
        if value:
            found.candidates.append(candidate)

    for name in ("EASE", "ALS"):
        settle(Candidate(name, name, "behaviour"))
    settle(Candidate("Bridge", "Bridge", "text", "language"))
    vectors = Lexical()
    vectors.lexical = lexical
    tune_controls(found, vectors, settle)
    join_best(found, settle)
    found.pair = "EASE", text
    join_control(found, settle)
    return found


VALUES = {"EASE": 0.3, "ALS": 0.2, "Bridge": 0.4, "Bridge, words counted": 0.35}
VALUES |= {f"Bridge, {SHUFFLED}": 0.3, f"Bridge, words counted, {SHUFFLED}": 0.3}
VALUES |= dict.fromkeys([*BOTH, f"{BOTH[1]}, {SHUFFLED}"], 0.45)


def test_the_control_of_a_single_winner_is_its_class_with_shuffled_texts():
    found = decided(VALUES, "Bridge")
    assert found.controls == {
        "language": "Bridge",
        "words": "Bridge, words counted",
        "shuffled": "Bridge, texts shuffled",
    }
    assert f"{BOTH[1]}, {SHUFFLED}" not in found.tuned


def test_the_control_of_a_joined_winner_is_joined_with_the_shuffled_member():
    found = decided(VALUES, BOTH[1])
    assert found.controls["shuffled"] == f"{BOTH[1]}, {SHUFFLED}"
    control = found.candidates[-1]
    assert control.members == ("EASE", "Bridge, texts shuffled")
    assert (control.knows, control.reads) == ("control", "shuffled")
    failed = decided(VALUES | {f"{BOTH[1]}, {SHUFFLED}": None}, BOTH[1])
    assert "shuffled" not in failed.controls


def test_where_counted_words_win_their_control_is_shuffled_words():
    found = decided(VALUES | {"Bridge, words counted": 0.5}, BOTH[1])
    by_name = {one.name: one for one in found.candidates}
    assert by_name[BOTH[1]].members == ("EASE", "Bridge, words counted")
    assert by_name[found.controls["shuffled"]].reads == "shuffled words"
    assert found.controls["language"] == "Bridge"


def test_shuffled_words_are_the_same_vectors_in_another_order():
    from llmrec.studies.vectors import Vectors

    vectors = Vectors(["a rose", "a tulip", "the sea"], "hash", 10, True, 0)
    words, shuffled = vectors.features("words").items, vectors.features("shuffled words").items
    assert sorted(map(tuple, words.tolist())) == sorted(map(tuple, shuffled.tolist()))
    assert not (words == shuffled).all(axis=1).any()


def test_both_splits_are_audited_and_the_winner_has_its_control(answered):
    study = load_study(answered["shop"][0])
    assert {row["split"] for row in study.results["audit"]} == {"test", "tuning"}
    asked = {row["part"]: row for row in study.answer.claims}
    assert asked["text"]["a"] == asked["right text"]["a"] == study.answer.with_text
    assert asked["right text"]["b"].endswith(SHUFFLED)
    assert study.results["split"]["able"] == study.results["split"]["users"]
    assert any("bestseller" in line for line in limits(study))


def test_failed_checks_and_splits_at_random_are_said(answered, capsys):
    study = load_study(answered["library"][0])
    assert "The split is at random, because no event has a time" in " ".join(warnings(study))
    assert "- The split is at random" in answered["library"][1]
    row = {"split": "tuning", "check": "twins", "status": "failure", "found": "x", "mend": "y"}
    study.results["audit"].append(row)
    assert failed_checks(study) == ["Audit of the tuning split, twins: x. Mend: y."]


def test_a_notebook_that_fails_costs_one_line(shop, tmp_path, monkeypatch, capsys):
    def broken(folder):
        raise RuntimeError("Kernel died\nbefore replying")

    monkeypatch.setattr("llmrec.studies.notebook.execute", broken)
    monkeypatch.setattr("llmrec.studies.plan.TRIALS", {True: 1, False: 1})
    out = tmp_path / "out"
    command = ["study", str(shop), "--quick", "--encoder", "hash", "--output", str(out)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert said.out.startswith(load_study(out).answer.sentence)
    assert "No notebook was executed: Kernel died before replying\n" in said.out
    lines = said.err.splitlines()
    assert lines[0].startswith("Read ")
    assert lines[1].startswith("Split by time: ")
    assert any(line.startswith("Expected: about 1 minute") for line in lines)
    assert any(line.endswith(" s") and "tune EASE" in line for line in lines)
    assert lines[-2].startswith("100%")
    assert set(pd.read_parquet(out / "model" / "items.parquet")) == {"item", "title"}
    # a second run finds all of it, the model without being read twice
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
    from llmrec.studies.vectors import Vectors

    monkeypatch.setattr("llmrec.studies.plan.TRIALS", {True: 1, False: 1})
    said = []

    def ask():
        said.clear()
        llmrec.study(shop, quick=True, encoder="hash", output=tmp_path / "out", say=said.append)
        return [line for line in said if "found finished" in line]

    assert ask() == []
    assert len(ask()) > 10
    monkeypatch.setattr(Vectors, "fingerprint", property(lambda self: "other"))
    assert ask() == []


def test_steps_weigh_and_what_is_found_says_nothing_of_the_speed(tmp_path):
    told = []
    steps = Steps(tmp_path, "a", 10.0, say=told.append)
    steps("one", lambda: 1, units=4.0)
    with steps.stage("two", 6.0):
        pass
    steps.close()
    assert [line[:9] for line in told] == [" 40%  one", "100%  two"]
    again = Steps(tmp_path, "a", 10.0, say=told.append)
    again("one", lambda: 1, units=4.0)
    again.close()
    assert told[-1] == " 40%  one, found finished"


def test_costs_add_up(answered):
    plan = load_study(answered["shop"][0]).plan
    costs = Costs(plan, 1000, 100, 60, 50)
    assert 0 < costs.total() < 120
    bridge = Candidate("Bridge", "Bridge", "text", "words")
    assert costs.fit(bridge, 1000) > costs.fit(Candidate("EASE", "EASE", "behaviour"), 1000)
    larger = Costs(plan, 1_000_000, 100_000, 60_000, 50_000)
    assert larger.total() > 10 * costs.total()


def test_tables_that_cannot_be_saved_are_refused_before_the_work(shop):
    data = Dataset.from_folder(shop)
    mixed = data.items.assign(year=[1999, "MCM"] + [None] * 62, note=[[1], "x"] * 32)
    served = Served.of(None, Dataset("shop", data.interactions, mixed))
    assert served.items["year"].tolist()[:3] == ["1999", "MCM", ""]
    assert list(served.items) == ["item", "title", "year"]
    refused = data.interactions[["user", "item"]].head(2).assign(timestamp=[1, "x"])
    with pytest.raises(DataError, match="the table refused cannot be saved with a model"):
        check_tables(data, refused)


def test_a_member_that_reads_order_gets_the_order_of_somebody_new():
    events = pd.DataFrame({"user": [0, 0, 0, 1, 1, 1], "item": [0, 1, 2, 1, 0, 3]})
    events = events.assign(timestamp=[1, 2, 3, 1, 2, 3], weight=1.0, action="took")
    data = Dataset("toy", events, pd.DataFrame({"item": range(5), "title": list("abcde")}))
    split = everything(data)
    both = Ensemble(
        {"order": TransitionKNN(recency=0.5), "best": Popularity()}, {"order": 1.0, "best": 0.0}
    ).fit(split)
    served = Served.of(both, data)
    one, _ = served.list_for_items(np.array([0, 1]), 1)
    other, _ = served.list_for_items(np.array([1, 0]), 1)
    assert (one.tolist(), other.tolist()) == ([2], [3])  # what follows the latest


def test_reasons_are_the_same_in_pieces(shop, monkeypatch):
    data = Dataset.from_folder(shop)
    model = ItemKNN().fit(everything(data))
    items, history = np.array([1, 2]), np.array([3, 6, 9, 12])
    whole = recommend.reasons(model, items, history)
    monkeypatch.setattr(recommend, "CELLS", 2 * data.n_items)
    assert recommend.reasons(model, items, history) == whole
    assert any(whole)


def test_the_report_explains_its_words(answered):
    html = (answered["shop"][0] / "report.html").read_text("utf-8")
    for said in ("Holm’s p", "<dt>recall@10</dt>", "<dt>EASE</dt>", ">valid</th>", " MB at most"):
        assert said in html, said


def test_without_a_text_nothing_is_said_to_read(shop, tmp_path, monkeypatch):
    monkeypatch.setattr("llmrec.studies.plan.TRIALS", {True: 1, False: 1})
    folder = shutil.copytree(shop, tmp_path / "dumb", ignore=lambda *_: ["llmrec-study"])
    pd.DataFrame({"item": range(63), "title": ""}).to_csv(folder / "items.csv", index=False)
    study = llmrec.study(folder, quick=True, output=tmp_path / "out")
    html = (study.write(tmp_path / "out", notebook=False) / "report.html").read_text("utf-8")
    assert "read by minilm" not in html
    assert json.loads((tmp_path / "out" / "results.json").read_text())["answer"]["gain"] is None


def test_many_events_without_a_row_and_unread_numbers_are_warned_of(answered):
    study = load_study(answered["shop"][0])
    about = study.results["profile"] | {
        "dropped": {"events on items without a row": study.profile.n_events // 2},
        "unread": {"price": True, "shop": False},
    }
    said = " ".join(warnings(replace(study, results=study.results | {"profile": about})))
    assert "of the events are on items that the items table lacks" in said
    assert "Not read, but numbers: 'price' of the interactions" in said
    assert "shop" not in said


def test_a_study_that_tunes_on_a_sample_says_so(shop, monkeypatch):
    monkeypatch.setattr("llmrec.studies.plan.TRIALS", {True: 1, False: 1})
    monkeypatch.setattr("llmrec.studies.plan.TUNING_EVENTS", 150)
    monkeypatch.setattr("llmrec.studies.plan.SCORES", {"judged": 1, "tested": 1})
    monkeypatch.setattr("llmrec.studies.plan.FEWEST", 5)
    study = llmrec.study(shop, quick=True, encoder="hash")
    assert study.results["split"]["tuning"] < 200
    assert any("there they would look new" in line for line in limits(study))

"""The answer by hand: who is compared with whom, what is shown, and which model is shipped."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from llmrec.data import Dataset
from llmrec.study.answer import answer
from llmrec.study.plan import (
    Candidate,
    StudyError,
    first_split,
    make_plan,
    make_splits,
    without_refused,
)
from llmrec.study.run import Results
from llmrec.study.tables import prepare, profile

N = 60
CANDIDATES = [
    Candidate("Popularity", "Popularity", "nothing"),
    Candidate("EASE", "EASE", "behaviour"),
    Candidate("TextEASE", "TextEASE", "text", "language"),
    Candidate("TextEASE, words", "TextEASE", "text", "words"),
    Candidate("TextEASE, shuffled", "TextEASE", "control", "shuffled"),
]


def toy(n_users=N, n_items=12, events=8, start=1000):
    """Each user takes items in turn, one a step of time."""
    rows = [
        (u, (u + 5 * s) % n_items, start + s * 100 + u)
        for s in range(events)
        for u in range(n_users)
    ]
    frame = pd.DataFrame(rows, columns=["user", "item", "timestamp"])
    frame = frame.assign(weight=1.0, action="took")
    items = pd.DataFrame({"item": range(n_items), "title": [f"Item {i}" for i in range(n_items)]})
    return Dataset("toy", frame, items)


def planned(dataset, **options):
    tables = prepare(dataset)
    about = profile(tables)
    split, why = first_split(tables.dataset, about, 0)
    chosen = {"encoder": "hash", "quick": True, "seed": 0} | options
    return make_plan(about, split, why, **chosen), split, tables


def with_new(share):
    """A split whose test part has this share of events on an item that is new."""
    plan, split, _ = planned(toy())
    item = split.test["item"].to_numpy().copy()
    item[: round(share * len(item))] = 11
    train = split.train[split.train["item"] != 11]
    item[round(share * len(item)) :] = 0
    return plan, replace(split, train=train, history=train, test=split.test.assign(item=item))


def results_with(gain, cold=None, n=N, wrong=0.0, cold_wrong=0.0):
    """Results in which TextEASE gains about ``gain`` on EASE, and ``cold`` on new items.

    With other items' texts it gains ``wrong``, on new items ``cold_wrong``.
    """
    users, noise = list(range(n)), np.tile([0.01, -0.01], n // 2)
    base = np.full(n, 0.3)
    means = {"Popularity": base - 0.1, "EASE": base, "TextEASE": base + gain + noise}
    means |= {"TextEASE, words": base + gain / 2, "TextEASE, shuffled": base + wrong}
    out = Results(candidates=CANDIDATES, pair=("EASE", "TextEASE"))
    out.controls = {"language": "TextEASE"}
    out.controls |= {kind: f"TextEASE, {kind}" for kind in ("words", "shuffled")}
    for name, values in means.items():
        parts = {}
        if cold is not None:
            gains = {"TextEASE": cold + noise, "TextEASE, shuffled": cold_wrong}
            ours = (base + gains.get(name, 0.0)).tolist()
            parts["cold"] = {"users": users, "values": {"ndcg@10": ours}}
        whole = {"users": users, "values": {"ndcg@10": values.tolist()}}
        out.tested[name] = {**whole, "slices": parts}
    return out


def test_a_gain_for_everybody_is_shown_with_its_numbers():
    plan, split, _ = planned(toy())
    said = answer(results_with(0.06), plan, split)
    gain = said.gain
    assert gain["before"] == pytest.approx(0.3)
    assert gain["after"] == pytest.approx(0.36)
    assert gain["difference"] == pytest.approx(0.06)
    assert gain["relative"] == pytest.approx(0.2)
    assert (gain["n"], gain["verdict"]) == (N, "shown better")
    assert [(row["a"], row["b"]) for row in said.claims] == [
        ("TextEASE", "EASE"),
        ("TextEASE", "TextEASE, words"),
        ("TextEASE", "TextEASE, shuffled"),
    ]
    assert said.claims[1]["difference"] == pytest.approx(0.03)
    assert said.ship == "TextEASE"
    assert said.sentence.startswith(
        "Yes, text helps. The best model with text (TextEASE) reaches 0.360 nDCG@10, the best"
        " without (EASE) 0.300: a difference of +0.060 ["
    )


@pytest.mark.parametrize(
    ("gain", "cold", "first", "ship"),
    [
        (0.0, None, "No gain from text is shown.", "EASE"),
        (0.0, 0.2, "No gain from text is shown.", "TextEASE"),  # better where items are new
        (0.0, -0.2, "No gain from text is shown.", "EASE"),
        (-0.06, 0.2, "No, text makes it worse.", "EASE"),
        (0.06, -0.2, "Yes, text helps.", "TextEASE"),
    ],
)
def test_which_model_is_shipped(gain, cold, first, ship):
    plan, split = with_new(0.5)
    said = answer(results_with(gain, cold), plan, split)
    assert said.sentence.startswith(first)
    assert said.ship == ship


@pytest.mark.parametrize(
    ("options", "first", "ship", "why"),
    [
        (
            {"gain": 0.06, "wrong": 0.06},
            "A gain, but other items’ texts give it too: with them the same model reaches 0.360",
            "EASE",
            "it is not shown that the right texts give the gain",
        ),
        ({"gain": 0.06}, "Yes", "TextEASE", "its gain over the best model without text is clear"),
        ({"gain": -0.06, "cold": 0.2}, "No, ", "EASE", "the best model with text is worse, clear"),
        ({"gain": -0.004, "cold": 0.2}, "No", "EASE", "overall a loss of 0.0"),
        ({"gain": 0.0, "cold": 0.2, "cold_wrong": 0.2}, "No g", "EASE", "so by the right texts"),
        ({"gain": 0.0, "cold": 0.2}, "No g", "TextEASE", "50.0% of the test events (1% would do)"),
    ],
)
def test_text_is_shipped_for_the_right_reason(options, first, ship, why):
    plan, split = with_new(0.5)
    results = results_with(**options)
    if options["gain"] == -0.004:  # not worse, clear of zero, but a loss that matters is possible
        noise = np.tile([0.03, -0.03], N // 2)
        values = np.array(results.tested["TextEASE"]["values"]["ndcg@10"]) + noise
        results.tested["TextEASE"]["values"]["ndcg@10"] = values.tolist()
    said = answer(results, plan, split)
    assert said.sentence.startswith(first)
    assert said.ship == ship
    assert why in said.why


def test_few_new_items_ship_nothing_and_a_missing_control_is_said():
    plan, split = with_new(0.0)
    said = answer(results_with(0.0, 0.2), plan, split)
    assert said.ship == "EASE"
    assert "they are 0.0% of the test events, and 1% would be needed" in said.why
    results = results_with(0.06)
    del results.controls["shuffled"]
    said = answer(results, plan, split)
    assert said.ship == "EASE"
    assert said.sentence.startswith("A gain, but its control with other items’ texts could not")


def test_groups_too_small_are_not_judged():
    plan, split, _ = planned(toy())
    results = results_with(0.06, 0.2)
    for result in results.tested.values():
        cold = result["slices"]["cold"]
        cold["users"] = cold["users"][:19]
        cold["values"] = {"ndcg@10": cold["values"]["ndcg@10"][:19]}
    said = answer(results, plan, split)
    assert "new items only" not in [row["claim"] for row in said.where]


def test_without_texts_there_is_nothing_to_compare():
    data = toy()
    plan, split, _ = planned(replace(data, items=data.items.assign(title="")))
    assert {one.knows for one in plan.candidates} == {"nothing", "behaviour"}
    results = results_with(0.0)
    results.pair = ("EASE", "")
    said = answer(results, plan, split)
    assert (said.ship, said.gain, said.claims) == ("EASE", None, ())
    assert "No item has a text" in said.sentence


def test_the_split_is_by_time_where_it_can_be():
    plan, split, _ = planned(toy())
    assert (plan.split, split.name) == ("time", "time")
    data = toy()
    undated = replace(data, interactions=data.interactions.assign(timestamp=0))
    plan, split, _ = planned(undated)
    assert (plan.split, plan.why_split) == ("random", "no event has a time")
    equal = replace(data, interactions=data.interactions.assign(timestamp=7))
    assert planned(equal)[0].why_split == "all events have the same time"
    some = data.interactions["timestamp"].where(data.interactions["user"] > 1, 0)
    gaps = replace(data, interactions=data.interactions.assign(timestamp=some))
    assert planned(gaps)[0].why_split == "16 of 480 events have no time, too many to leave out"
    at_once = data.interactions.assign(timestamp=np.repeat([5, 9], len(data.interactions) // 2))
    plan, _, _ = planned(replace(data, interactions=at_once))
    assert (plan.split, plan.why_split[:20]) == ("random", "too few different ti")
    with pytest.raises(StudyError, match="only 5 of 5 users have enough events"):
        planned(toy(n_users=5))


def test_both_splits_have_the_same_test_part_and_a_sample_bounds_the_tuning():
    plan, final, tables = planned(toy())
    splits = make_splits(tables.dataset, plan, final)
    assert splits.tuning.test.equals(splits.final.test)
    assert len(splits.tuning.train) + len(splits.tuning.valid) == len(splits.final.train)
    small = make_splits(tables.dataset, replace(plan, tuning_events=100, judged=20), final)
    assert len(small.tuning.train) <= 110
    assert small.tuning.train.equals(small.tuning.history)
    assert small.tuning.valid["user"].nunique() <= 20
    assert set(small.tuning.valid["user"]) <= set(small.tuning.train["user"])
    assert splits.items is None


def test_a_sample_makes_no_item_look_new():
    data = toy()
    plan, final, tables = planned(data)
    small = make_splits(tables.dataset, replace(plan, tuning_events=40, judged=5), final)
    full = make_splits(tables.dataset, plan, final)
    known = set(small.tuning.train["item"])
    cold = set(full.tuning.cold_items)
    assert set(small.items) == known | cold
    assert set(small.tuning.valid["item"]) <= known | cold


def test_what_was_refused_before_the_test_is_hidden_in_it():
    plan, final, tables = planned(toy())
    taken = {(u, i) for u, i in tables.dataset.interactions[["user", "item"]].to_numpy().tolist()}
    item = next(i for i in range(12) if (0, i) not in taken)
    late = next(i for i in range(12) if (1, i) not in taken)
    refused = pd.DataFrame({"user": [0, 1], "item": [item, late], "timestamp": [1, 10**9]})
    splits = make_splits(tables.dataset, plan, final, refused)
    history = splits.judged.matrix("history") - final.matrix("history")
    assert np.argwhere(history.toarray()).tolist() == [[0, item]]
    assert splits.final is final  # no model is fitted on what was refused
    random = replace(final, name="random")
    both = without_refused(random, refused).matrix("history") - final.matrix("history")
    assert np.argwhere(both.toarray()).tolist() == [[0, item], [1, late]]


def test_large_catalogues_get_other_models_and_say_why():
    plan, split, tables = planned(toy())
    about = profile(tables)
    assert {"EASE", "Bridge", "TextEASE"} <= {one.entry for one in plan.candidates}
    large = make_plan(
        replace(about, n_items=90_000), split, "", encoder="hash", quick=False, seed=0
    )
    names = {one.entry for one in large.candidates}
    assert {"ItemKNN", "ALS", "NeighbourBridge", "TextSimilarity"} <= names
    assert {"EASE", "Bridge", "TextEASE", "TextKNN"} <= set(large.left_out)
    assert not names & set(large.left_out)
    assert large.left_out["EASE"] == "its item-item matrix takes too long for 90,000 items"


def test_the_plan_asks_the_tables_and_not_the_machine(monkeypatch):
    """A dense model takes part up to a number of items, and has as many trials as steps allow."""
    _, split, tables = planned(toy())
    about = profile(tables)

    def of(n, quick):
        plan = make_plan(replace(about, n_items=n), split, "", encoder="hash", quick=quick, seed=0)
        return "EASE" in plan.left_out, plan.trials

    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 5, False: 20})
    assert (of(1_000, True), of(1_000, False)) == ((False, 5), (False, 20))
    assert (of(2_813, True)[0], of(2_815, True)[0]) == (False, True)
    assert (of(6_436, False)[0], of(6_438, False)[0]) == (False, True)
    assert of(4_000, False) == (False, 12)  # 2e12 / (2.5 * 4000³)


def test_text_that_harms_a_group_is_not_shipped_for_new_items_alone():
    plan, split = with_new(0.5)
    results = results_with(0.0, 0.2)
    for name, result in results.tested.items():
        loss = 0.1 if name == "TextEASE" else 0.0
        values = (np.full(N, 0.3) - loss + np.tile([0.01, -0.01], N // 2)).tolist()
        result["slices"]["warm"] = {"users": list(range(N)), "values": {"ndcg@10": values}}
    said = answer(results, plan, split)
    assert said.ship == "EASE"
    assert said.why.endswith("but worse, clear of zero, among items of the long tail")
    results = results_with(0.06, -0.2)
    said = answer(results, plan, split)
    assert said.ship == "TextEASE"
    assert said.why.endswith("yet it is worse, clear of zero, among new items only")

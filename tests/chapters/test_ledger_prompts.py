"""Published prompts: every title is read, none is invented; GPT-3's hits come out as published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chapters.ledger_prompts import _next_films, _questions, _split_titles, nir, tallrec
from llmrec import fetch
from llmrec.data import DataError


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("domain", "part", "rows", "yes"),
    [
        ("movie", "test", 1000, 528),
        ("movie", "valid", 1000, 658),
        ("book", "test", 2427, 1054),
        ("book", "valid", 2427, 1011),
    ],
)
def test_the_counts_of_tallrec(domain: str, part: str, rows: int, yes: int) -> None:
    frame = tallrec(domain)[part]
    assert (len(frame), frame["label"].sum()) == (rows, yes)
    raw = (fetch.get("tallrec") / domain / f"{part}.json").read_text(encoding="utf-8")
    read = frame["liked"].map(len).sum() + frame["disliked"].map(len).sum() + len(frame)
    if domain == "book":
        assert read == raw.count(" written by ")  # no title is lost
    else:
        assert read == sum(entry["input"].count('"') for entry in json.loads(raw)) / 2


@pytest.mark.mirror
def test_a_prompt_of_each_domain() -> None:
    assert tallrec("movie")["test"].iloc[1].to_dict() == {
        "liked": (
            "Rebel Without a Cause (1955)",
            "Return of the Pink Panther, The (1974)",
            "Ace Ventura: Pet Detective (1994)",
            "Magnificent Seven, The (1954)",
            "Star Trek: The Wrath of Khan (1982)",
            "Cat People (1982)",
            "Orlando (1993)",
            "Dave (1993)",
        ),
        "disliked": ("Kalifornia (1993)", "Perez Family, The (1995)"),
        "target": "Jurassic Park (1993)",
        "label": tallrec("movie")["test"]["label"][1],
    }
    book = tallrec("book")["test"].iloc[0]
    assert book["liked"][1] == "Sula, by Toni Morrison"
    assert book["disliked"] == ()
    assert book["target"].endswith("on My Family Farm, by David M. Masumoto")
    assert not book["label"]


@pytest.mark.mirror
def test_gpt_3_hits_114_of_943() -> None:
    frame = nir()
    assert len(frame) == 943
    assert frame["history"].map(len).mean() == pytest.approx(41.9, abs=0.05)
    asked = frame[frame["candidates"].map(len) > 0]
    assert len(asked) == 170
    assert set(asked["candidates"].map(len)) == {19}
    assert all(row.target in row.candidates for row in asked.itertuples())
    assert all(row.shown == row.history[-8:] for row in asked.itertuples())
    assert (frame.loc[frame["candidates"].map(len) == 0, "answer"] == "").all()
    hits = sum(row.target in row.answer for row in frame.itertuples())
    assert hits == 114
    assert hits / 943 == pytest.approx(0.1209, abs=5e-5)


def test_an_unknown_domain() -> None:
    with pytest.raises(ValueError, match="no domain 'music': choose from movie, book"):
        tallrec("music")


@pytest.mark.parametrize("change", [{"input": "Hello"}, {"output": "Maybe."}, {"input": None}])
def test_a_prompt_of_another_form_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    good = {
        "input": 'User Preference: \nUser Unpreference: "A, B", "C"\n'
        'Whether the user will like the target movie "D "E" (1990)"?',
        "output": "Yes.",
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps([good]))
    assert _questions(path, "movie").to_dict("records") == [
        {"liked": (), "disliked": ("A, B", "C"), "target": 'D "E" (1990)', "label": True}
    ]
    path.write_text(json.dumps([good, good | change]))
    with pytest.raises(DataError, match=r"test.json, row 2: not a prompt"):
        _questions(path, "movie")
    path.write_text("[")
    with pytest.raises(DataError, match=r"test.json is not JSON"):
        _questions(path, "movie")


def test_commas_inside_titles() -> None:
    known = {"Clockwork Orange, A", "Clockwork Orange", "Heat"}
    assert _split_titles("Heat, Clockwork Orange, A, Heat", known) == (
        "Heat",
        "Clockwork Orange, A",
        "Heat",
    )
    with pytest.raises(ValueError, match="no film is called 'Ran'"):
        _split_titles("Heat, Ran", known)


def test_an_answer_must_belong_to_a_user(tmp_path: Path) -> None:
    users, asked = tmp_path / "ml.json", tmp_path / "asked.json"
    users.write_text(json.dumps([["Heat | Ran", "Dave"]]))
    prompt = (
        "\nCandidate Set (candidate movies): Dave, Heat.\n"
        "The movies I have watched (watched movies): Ran.\nStep 1"
    )
    answer = {"PID": 0, "Input_1": prompt, "GT": "Dave", "Predictions": "1. Ran - Dave"}
    asked.write_text(json.dumps([answer]))
    assert _next_films(users, asked).to_dict("records") == [
        {
            "history": ("Heat", "Ran"),
            "target": "Dave",
            "candidates": ("Dave", "Heat"),
            "shown": ("Ran",),
            "answer": "1. Ran - Dave",
        }
    ]
    for change in ({"PID": 1}, {"GT": "Heat"}, {"Input_1": "Hello"}):
        asked.write_text(json.dumps([answer | change]))
        with pytest.raises(DataError, match=r"asked.json, row 1: no prompt for a user of ml.json"):
            _next_films(users, asked)

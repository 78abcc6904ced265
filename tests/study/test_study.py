"""Three folders of different shapes go through the command, unattended, and come out answered."""

import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup

import llmrec
from llmrec.cli import main
from llmrec.data import Dataset
from llmrec.models import ALS, Recommender
from llmrec.studies import Served, load_served, load_study
from llmrec.studies.served import everything


@pytest.mark.parametrize("name", ["shop", "cinema", "library"])
def test_every_file_is_there_and_says_the_same(answered, name):
    folder, said = answered[name]
    written = {path.name for path in folder.iterdir()} - {"study.ipynb"}
    assert written == {"model", "report.html", "results.json", "state"}
    study = load_study(folder)
    assert said.startswith(study.answer.sentence)
    assert f"Model to ship: {study.answer.ship}" in said
    page = BeautifulSoup((folder / "report.html").read_text(encoding="utf-8"), "lxml")
    assert study.answer.sentence in page.get_text()
    rows = page.select_one("#cost + .scroll").select("tbody tr")
    assert [row.th.get_text() for row in rows] == study.table.sort_values(
        "ndcg@10", ascending=False, kind="stable"
    ).index.tolist()
    assert page.select("tr.best th")[0].get_text() == study.answer.ship
    if name != "shop":
        assert "No notebook was executed: pip install 'llmrec[book]'" in said
        assert not (folder / "study.ipynb").exists()
        return
    assert "No notebook" not in said
    notebook = nbformat.read(folder / "study.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert study.answer.sentence in outputs[0]["text"]
    assert not any(output["output_type"] == "error" for output in outputs)


def test_planted_tastes_are_found(answered):
    for folder, _ in answered.values():
        table = load_study(folder).table["ndcg@10"]
        assert table.drop("Popularity").max() > 1.5 * table["Popularity"]
    where = {row["claim"]: row for row in load_study(answered["shop"][0]).answer.where}
    assert where["new items only"]["low"] > 0  # only their text tells their topic


def test_a_shop_with_times_is_split_by_time_and_profiled(answered):
    study = load_study(answered["shop"][0])
    about, plan = study.profile, study.plan
    assert (plan.split, about.feedback, about.script) == ("time", "events", "Latin")
    assert about.columns == ("title", "about")
    assert about.not_text == {"picture": "links or paths", "price": "numbers or dates"}
    assert about.merged == 7
    assert about.dropped == {
        "events on items without a row": 2,
        "items without a row": 1,
        "repeated events (kept)": 7,
    }
    assert about.never_taken >= 3
    assert about.one_event_users >= 2
    assert study.results["split"]["new_items"] > 0.02
    assert "new items only" in [row["claim"] for row in study.answer.where]
    assert "TransitionKNN" in study.table.index


def test_low_ratings_are_no_interest_and_never_listed(answered, cinema):
    study = load_study(answered["cinema"][0])
    assert (study.profile.feedback, study.profile.least) == ("ratings", 3.0)
    events = Dataset.from_folder(
        cinema,
        {"uid": "user", "movie": "item", "id": "item", "name": "title", "stars": "weight"}
        | {"when": "timestamp"},
    ).interactions
    low = events[events["weight"] < 3]
    assert study.profile.low == len(low) > 0
    served = study.served
    for user, items in low.groupby("user")["item"]:
        listed, _ = served.list_for(served.user(user), 60)
        assert not set(served.items["item"].iloc[listed]) & set(items)
    assert study.profile.columns == ("title", "genres")
    hidden = study.results["split"]["refused"]
    assert 0 < hidden < len(low)  # those of before the test
    title = served.items.set_index("item")["title"]
    before = low[low["timestamp"] < events["timestamp"].quantile(0.5)]
    for person in study.results["users"]:
        refused = set(title[before.loc[before["user"] == person["user"], "item"]])
        assert not refused & {one["title"] for one in person["list"]}


def test_chinese_counts_without_time_are_split_at_random(answered):
    folder, _ = answered["library"]
    study = load_study(folder)
    assert (study.plan.split, study.profile.feedback) == ("random", "counts")
    assert study.profile.script == "Chinese"
    assert "TransitionKNN" in study.plan.left_out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert re.search("[\u4e00-\u9fff]{4}", page)  # titles of the example users
    assert "Bring timestamps" in page


def test_an_english_encoder_is_warned_of_other_scripts(answered):
    from dataclasses import replace

    from llmrec.studies.warn import warnings

    study = load_study(answered["library"][0])
    assert not any("trained on English" in line for line in warnings(study))
    plan = study.results["plan"] | {"encoder": "minilm"}
    said = warnings(replace(study, results=study.results | {"plan": plan}))
    assert any("are in Chinese script, and minilm was trained on English" in s for s in said)


def test_titles_are_data(answered):
    html = (answered["shop"][0] / "report.html").read_text(encoding="utf-8")
    page = BeautifulSoup(html, "lxml")
    assert page.select("script, iframe, object, embed, form, link, [onload], [onerror]") == []
    addresses = [
        tag[name]
        for tag in page.select("[src], [href]")
        for name in ("src", "href")
        if tag.has_attr(name)
    ]
    assert all(address.startswith(("#", "data:image/svg+xml;base64,")) for address in addresses)
    assert "default-src 'none'" in page.select_one("meta[http-equiv]")["content"]


def test_the_same_study_gives_the_same_answer(answered, shop, tmp_path):
    before = load_study(answered["shop"][0])
    study = llmrec.study(shop, quick=True, encoder="hash")
    for key in ("profile", "split", "answer", "users", "audit"):
        assert study.results[key] == before.results[key], key
    users = np.arange(20)
    assert np.array_equal(study.model.score(users), before.model.score(users))


def test_results_of_another_version_are_refused(answered, tmp_path):
    folder = shutil.copytree(answered["shop"][0], tmp_path / "old")
    content = json.loads((folder / "results.json").read_text("utf-8"))
    content["profile"]["language"] = "English"
    (folder / "results.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match="written by another version of llmrec: run llmrec study"):
        load_study(folder)


def test_recommend_serves_the_saved_model(answered, shop, capsys):
    folder, _ = answered["shop"]
    served = load_served(folder)
    for place in (shop, folder, folder / "model"):
        assert main(["recommend", "--model", str(place), "--user", "7", "-k", "4"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"{served.card['model']} on shop, user 7 with ")
        assert [line[:4] for line in lines[2::2]] == ["  1.", "  2.", "  3.", "  4."]
    taken = set(served.history(served.user("7")))
    listed, _ = served.list_for(served.user("7"), 60)
    assert not taken & set(listed)
    assert len(listed) == len(served.items) - len(taken)
    assert main(["recommend", "--model", str(folder), "--items", "3", "6", "9", "-k", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "a new user with 3 items in the history" in lines[0]
    assert len(lines) == 6


@pytest.mark.parametrize("content", ["{", "[]", "{}", "\xff"])
def test_a_damaged_card_is_one_line(answered, tmp_path, capsys, content):
    folder = shutil.copytree(answered["shop"][0] / "model", tmp_path / "model")
    (folder / "card.json").write_text(content, encoding="latin-1")
    assert main(["recommend", "--model", str(folder), "--user", "7"]) == 2
    err = capsys.readouterr().err
    assert "card.json" in err
    assert "run llmrec study again" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "FOLDER", "--user", "nobody"], "no user 'nobody' in shop"),
        (["--model", "FOLDER", "--items", "3", "nosuch"], "no item 'nosuch' in shop"),
        (["--model", "FOLDER", "--user", "7", "--dataset", "ml-100k"], "leave out --dataset"),
        (["--model", "nosuch", "--user", "7"], "no model 'nosuch': choose from ease"),
        (["--model", "EMPTY", "--user", "7"], "has no card.json"),
    ],
)
def test_recommend_says_what_is_wrong(answered, tmp_path, capsys, arguments, message):
    places = {"FOLDER": str(answered["shop"][0]), "EMPTY": str(tmp_path)}
    assert main(["recommend", *[places.get(one, one) for one in arguments]]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_an_interrupted_study_goes_on_where_it_stopped(shop, tmp_path, monkeypatch):
    fits = []
    fit = Recommender.fit

    def counted(self, split, features=None):
        fits.append(type(self).__name__)
        if len(fits) == stop:
            raise KeyboardInterrupt
        return fit(self, split, features)

    monkeypatch.setattr(Recommender, "fit", counted)
    monkeypatch.setattr("llmrec.studies.plan.TRIALS", {True: 1, False: 1})
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "out"

    def ask(**more):
        return llmrec.study(shop, quick=True, encoder="hash", output=output, **more)

    stop = 9  # in the middle of the tuning
    with pytest.raises(KeyboardInterrupt):
        ask()
    first, fits[:] = len(fits) - 1, []
    finished = {path.name for path in (output / "state").iterdir()}
    assert finished
    assert not (output / "model").exists()
    stop = 0
    study = ask()
    second, fits[:] = len(fits), []
    assert finished <= {path.name for path in (output / "state").iterdir()}
    assert ask().results["answer"] == study.results["answer"]
    assert fits == []  # everything was found, the model to ship too
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "other"))
    ask(force=True)
    assert len(fits) == first + second  # nothing was fitted twice
    assert json.dumps(study.results["models"])


def test_the_function_is_there_before_anything_heavy_is():
    code = (
        "import sys, llmrec\n"
        "assert not {'numpy', 'pandas', 'torch', 'llmrec.studies'} & set(sys.modules)\n"
        "assert llmrec.__all__ == ['study']\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_another_seed_or_other_tables_are_another_study(shop, tmp_path):
    from llmrec.studies.steps import Steps

    ran = []
    for key in ("a", "b", "a"):
        steps = Steps(tmp_path, key)
        ran.append((steps("step", lambda: [1.5]), steps.found))
        steps.close()
    assert ran == [([1.5], []), ([1.5], []), ([1.5], ["step"])]
    for path in tmp_path.iterdir():
        path.write_text("{")  # damaged: run again
    steps = Steps(tmp_path, "a")
    assert steps("step", lambda: [2.5]) == [2.5]
    steps.close()


def test_serving_is_silent_whatever_the_threads(shop, tmp_path):
    dataset = Dataset.from_folder(shop)
    model = ALS(factors=6, seed=1).fit(everything(dataset))
    Served.of(model, dataset, card={"dataset": "shop", "model": "ALS"}).save(tmp_path)
    code = f"from llmrec.studies import load_served; load_served({str(tmp_path)!r})"
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Three folders of different shapes go through the command, unattended, and come out answered."""

import json
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bs4 import BeautifulSoup

from llmrec.cli import main
from llmrec.data import Dataset
from llmrec.data.folder import EARLY
from llmrec.models import ALS, Recommender
from llmrec.study import Served, load_served, load_study, study
from llmrec.study.report import notes
from llmrec.study.run import Steps
from llmrec.study.served import everything


@pytest.mark.parametrize("name", ["shop", "cinema", "library"])
def test_every_file_is_there_and_says_the_same(answered, name):
    folder, said = answered[name]
    written = {path.name for path in folder.iterdir()}
    assert written == {"model", "report.html", "results.json", "state.sqlite"}
    done = load_study(folder)
    assert said.startswith(done.answer.sentence)
    assert f"Model to ship: {done.answer.ship}" in said
    page = BeautifulSoup((folder / "report.html").read_text(encoding="utf-8"), "lxml")
    assert done.answer.sentence in page.get_text()
    rows = page.select_one("#cost + .scroll").select("tbody tr")
    assert [row.th.get_text() for row in rows] == done.table.sort_values(
        "ndcg@10", ascending=False, kind="stable"
    ).index.tolist()
    assert page.select("tr.best th")[0].get_text() == done.answer.ship


def test_planted_tastes_are_found(answered):
    for folder, _ in answered.values():
        table = load_study(folder).table["ndcg@10"]
        assert table.drop("Popularity").max() > 1.5 * table["Popularity"]
    where = {row["claim"]: row for row in load_study(answered["shop"][0]).answer.where}
    assert where["new items only"]["low"] > 0  # only their text tells their topic


def test_a_shop_with_times_is_split_by_time_and_profiled(answered):
    done = load_study(answered["shop"][0])
    about, plan = done.profile, done.plan
    assert (plan.split, about.feedback, about.script) == ("time", "events", "Latin")
    assert about.columns == ("title", "about")
    assert about.not_text == {"picture": "links or paths", "price": "numbers or dates"}
    assert about.merged == 7
    assert about.dropped == {
        "events on items without a row": 2,
        "items without a row": 1,
        "repeated events (kept)": 7,
        EARLY: 901,
    }
    assert about.never_taken >= 3
    assert about.one_event_users >= 2
    assert done.results["split"]["new_items"] > 0.02
    assert "new items only" in [row["claim"] for row in done.answer.where]
    assert "TransitionKNN" in done.table.index
    assert f"901 {EARLY}" in notes(done.results).warnings


def test_low_ratings_are_no_interest_and_never_listed(answered, cinema):
    done = load_study(answered["cinema"][0])
    assert (done.profile.feedback, done.profile.min_weight) == ("ratings", 3.0)
    events = Dataset.from_folder(
        cinema,
        {"uid": "user", "movie": "item", "id": "item", "name": "title", "stars": "weight"}
        | {"when": "timestamp"},
    ).interactions
    low = events[events["weight"] < 3]
    assert done.profile.low == len(low) > 0
    served = done.served
    for user, items in low.groupby("user")["item"]:
        listed, _ = served.list_for(served.user(user), 60)
        assert not set(served.items["item"].iloc[listed]) & set(items)
    assert done.profile.columns == ("title", "genres")
    hidden = done.results["split"]["refused"]
    assert 0 < hidden < len(low)  # those of before the test
    title = served.items.set_index("item")["title"]
    before = low[low["timestamp"] < events["timestamp"].quantile(0.5)]
    for person in done.results["users"]:
        refused = set(title[before.loc[before["user"] == person["user"], "item"]])
        assert not refused & {one["title"] for one in person["list"]}


def test_chinese_counts_without_time_are_split_at_random(answered):
    folder, _ = answered["library"]
    done = load_study(folder)
    assert (done.plan.split, done.profile.feedback) == ("random", "counts")
    assert done.profile.script == "Chinese"
    assert "TransitionKNN" in done.plan.left_out
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert re.search("[\u4e00-\u9fff]{4}", page)  # titles of the example users
    assert "Bring timestamps" in page


def test_an_english_encoder_is_warned_of_other_scripts(answered):
    results = load_study(answered["library"][0]).results
    assert not any("trained on English" in line for line in notes(results).warnings)
    told = notes(results | {"plan": results["plan"] | {"encoder": "minilm"}}).warnings
    assert any("are in Chinese script, and minilm was trained on English" in one for one in told)


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
    done = study(shop, quick=True, encoder="hash")
    for key in ("profile", "split", "answer", "users", "audit"):
        assert done.results[key] == before.results[key], key
    users = np.arange(20)
    assert np.array_equal(done.model.score(users), before.model.score(users))


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
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    output = tmp_path / "out"

    def ask(**more):
        return study(shop, quick=True, encoder="hash", output=output, **more)

    stop = 9  # in the middle of the tuning
    with pytest.raises(KeyboardInterrupt):
        ask()
    first, fits[:] = len(fits) - 1, []
    assert (output / "state.sqlite").exists()
    assert not (output / "model").exists()
    stop = 0
    done = ask()
    second, fits[:] = len(fits), []
    assert ask().results["answer"] == done.results["answer"]
    assert fits == []  # everything was found, the model to ship too
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "other"))
    ask(force=True)
    assert len(fits) == first + second  # nothing was fitted twice
    assert json.dumps(done.results["models"])


def test_the_function_is_there_before_anything_heavy_is():
    code = (
        "import sys, llmrec\n"
        "assert not {'numpy', 'pandas', 'torch', 'llmrec.study'} & set(sys.modules)\n"
        "assert llmrec.__all__ == ['study']\n"
        "import llmrec.study\n"
        "assert not {'numpy', 'pandas', 'torch'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_steps_are_found_again_by_all_that_they_depend_on(tmp_path):
    def run(key, value, *depends, force=False):
        lines = []
        steps = Steps(tmp_path / "state.sqlite", key, 2, force=force, log=lines.append)
        out = steps("step", lambda: [value], *depends), steps("last", lambda: {1}, keep=False)
        steps.close()
        assert lines[1].startswith("[2/2] last, 0.")
        return out[0], lines[0].endswith("step, found finished")

    assert run("a", 1.5) == ([1.5], False)
    assert run("a", 2.5) == ([1.5], True)
    assert run("b", 2.5) == ([2.5], False)
    assert run("a", 3.5, {"l2": 1}) == ([3.5], False)
    assert run("a", 4.5, force=True) == ([4.5], False)
    assert run("a", 0) == ([4.5], True)


def test_serving_is_silent_whatever_the_threads(shop, tmp_path):
    dataset = Dataset.from_folder(shop)
    model = ALS(factors=6, seed=1).fit(everything(dataset))
    Served.of(model, dataset, card={"dataset": "shop", "model": "ALS"}).save(tmp_path)
    code = f"from llmrec.study import load_served; load_served({str(tmp_path)!r})"
    threads = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code]
    done = subprocess.run(command, env={**os.environ, **threads}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

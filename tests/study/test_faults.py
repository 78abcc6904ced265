"""What strangers' folders, kills and damaged files may not do."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from llmrec.cli import main
from llmrec.data import Dataset
from llmrec.models import ItemKNN
from llmrec.models.saved import seal
from llmrec.study import Served, load_served, study
from llmrec.study.run import _tune
from llmrec.study.served import FILES, everything


@pytest.fixture(autouse=True)
def one_trial(monkeypatch):
    monkeypatch.setattr("llmrec.study.plan.TRIALS", {True: 1, False: 1})


@pytest.fixture
def tables(shop, tmp_path):
    """A copy of the shop's two tables alone."""
    return shutil.copytree(shop, tmp_path / "shop", ignore=lambda *_: ["llmrec-study"])


@pytest.fixture(scope="module")
def small(shop):
    dataset = Dataset.from_folder(shop)
    model = ItemKNN().fit(everything(dataset))
    return Served.of(model, dataset, card={"dataset": "shop", "model": "ItemKNN"})


def command(folder, *more):
    return main(["study", str(folder), "--quick", "--encoder", "hash", *more])


def one_line(capsys):
    err = capsys.readouterr().err
    assert err.startswith("llmrec: error: ")
    assert err.count("\n") == 1
    return err


# --- a folder from a stranger ---------------------------------------------------------------------


def test_no_file_of_a_data_folder_is_run(tables, tmp_path):
    out, pwned = tables / "llmrec-study", tmp_path / "pwned"
    for folder in (tables, out, out / "llmrec"):
        folder.mkdir(exist_ok=True)
        for name in ("pandas.py", "sitecustomize.py", "__init__.py", "jinja2.py"):
            (folder / name).write_text(f"open({str(pwned)!r}, 'w')")
    run = "import sys; from llmrec.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["study", str(tables), "--quick", "--encoder", "hash"]
    empty = tmp_path / "empty"
    empty.mkdir()
    done = subprocess.run([sys.executable, "-c", run, *arguments], cwd=empty, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists()
    assert not pwned.exists()


@pytest.mark.parametrize("name", ["results.json", "report.html", "state.sqlite", "model", "", "x"])
def test_links_that_came_with_the_tables_lead_nowhere(tables, tmp_path, name, capsys):
    """ "": the whole folder is a link; "x": the file that the first release probed with."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    out = tables / "llmrec-study"
    if name:
        out.mkdir()
    target = precious if name in ("", "model") else precious / "file"
    (out / {"x": ".writable"}.get(name, name)).symlink_to(target)
    code = command(tables)
    assert {path.name: path.read_text() for path in precious.iterdir()} == {"file": "mine"}
    if name == "x":
        assert code == 0
        assert (out / ".writable").read_text() == "mine"
    else:
        assert code == 2
        assert "is a link" in one_line(capsys)


def test_a_folder_of_the_users_own_is_not_replaced_by_the_model(tables, tmp_path, capsys):
    own = tmp_path / "out" / "model"
    own.mkdir(parents=True)
    (own / "thesis.tex").write_text("years")
    assert command(tables, "--output", str(own.parent)) == 2
    assert "holds thesis.tex, which is no part of a saved model" in one_line(capsys)
    assert (own / "thesis.tex").read_text() == "years"


def test_nothing_from_a_table_steers_the_terminal(tables, capsys):
    evil = "\x1b[31mred\x1b]0;title\x07\u202e"
    items = pd.read_csv(tables / "items.csv").assign(title="")
    items["item"] = [f"{evil}{i}" for i in items["item"]]
    events = pd.read_csv(tables / "interactions.csv").query("item != 999")
    events = events.assign(item=[f"{evil}{i}" for i in events["item"]])
    events["user"] = [f"{evil}{u}" for u in events["user"]]
    items.to_csv(tables / "items.csv", index=False)
    events.to_csv(tables / "interactions.csv", index=False)
    user = next(iter(Dataset.from_folder(tables).user_ids))
    served = ["recommend", "--dataset", str(tables), "--model", "itemknn"]
    assert main([*served, "--user", user]) == 0
    assert main([*served, "--user", "nobody"]) == 2
    events.rename(columns={"user": f"{evil}user"}).to_csv(tables / "interactions.csv", index=False)
    assert main([*served, "--user", user]) == 2
    printed = capsys.readouterr()
    assert "red" in printed.out
    assert "red" in printed.err
    assert not set("\x1b\x07\u202e") & set(printed.out + printed.err)


# --- kills, damage, several at once ---------------------------------------------------------------


def titles(folder):
    served = load_served(folder)
    return dict(zip(served.items["item"], served.items["title"], strict=True))


def test_a_kill_while_the_model_is_written_leaves_the_old_one_whole(
    tables, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "out"
    assert command(tables, "--output", str(out)) == 0
    before = titles(out)
    items = pd.read_csv(tables / "items.csv")
    items.assign(title=items["title"].to_numpy()[::-1]).to_csv(tables / "items.csv", index=False)
    write = pd.DataFrame.to_parquet

    def killed(frame, path, **options):
        if "model" in str(path) and "users" in str(path):
            raise KeyboardInterrupt
        return write(frame, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", killed)
        assert command(tables, "--output", str(out)) == 130
    assert titles(out) == before
    assert {path.name for path in out.iterdir()} >= {"model"}
    assert not list(out.glob(".model*"))
    assert command(tables, "--output", str(out)) == 0
    assert titles(out) != before
    items.to_csv(tables / "items.csv", index=False)
    assert command(tables, "--output", str(out)) == 0
    assert titles(out) == before


def test_every_file_of_a_model_is_checked_and_made_anew(tables, tmp_path, capsys):
    out = tmp_path / "out"
    assert command(tables, "--output", str(out)) == 0
    whole = shutil.copytree(out / "model", tmp_path / "whole")
    for name in (*FILES, "manifest.json"):
        for damage in (b"", None):
            data = bytearray((whole / name).read_bytes())
            data[len(data) // 2] ^= 1
            (out / "model" / name).write_bytes(data if damage is None else damage)
            capsys.readouterr()
            assert main(["recommend", "--model", str(out), "--user", "7"]) == 2
            assert "again" in one_line(capsys)
            shutil.copy(whole / name, out / "model" / name)
    order = pd.read_parquet(whole / "items.parquet").iloc[::-1]
    order.to_parquet(out / "model" / "items.parquet", index=False)
    capsys.readouterr()
    assert command(tables, "--output", str(out)) == 0
    assert "tune EASE, found finished" in capsys.readouterr().err
    assert titles(out) == titles(whole)


def test_another_year_is_another_list(tables, tmp_path):
    items = pd.read_csv(tables / "items.csv")
    for year in (1999, 2001):
        items.assign(year=year).to_csv(tables / "items.csv", index=False)
        assert command(tables, "--output", str(tmp_path / "out")) == 0
        assert set(load_served(tmp_path / "out").items["year"].iloc[:63].astype(int)) == {year}


def test_a_damaged_step_is_run_again(tables, tmp_path):
    def ask():
        return study(tables, quick=True, encoder="hash", output=tmp_path / "out")

    before = ask().results
    with sqlite3.connect(tmp_path / "out" / "state.sqlite") as db:
        for key, value in db.execute("SELECT key, value FROM entries").fetchall():
            turned = value.replace(b"0.1", b"0.9").replace(b"0.2", b"0.8")
            db.execute("UPDATE entries SET value = ? WHERE key = ?", (turned, key))
    with pytest.warns(RuntimeWarning, match="a damaged cache entry is computed again"):
        after = ask().results
    for key in ("answer", "users", "audit", "plan"):
        assert after[key] == before[key]


def test_only_a_models_own_error_leaves_it_out(monkeypatch):
    from types import SimpleNamespace

    plan = SimpleNamespace(trials=1, metric="ndcg@10", seed=0)
    parts = SimpleNamespace(tuning=None, items=None), SimpleNamespace(features=lambda reads: None)
    candidate = SimpleNamespace(entry="EASE", reads="")

    def fails(error):
        def tune(*args, **options):
            raise error

        monkeypatch.setattr("llmrec.study.run.tune", tune)
        return _tune(candidate, plan, *parts)

    no_fit = ValueError("tune: all 1 trials of EASE failed")
    assert fails(no_fit) == {"error": "tune: all 1 trials of EASE failed"}
    for error in (json.JSONDecodeError("cut", "{", 0), OSError("no space left")):
        with pytest.raises(type(error)):
            fails(error)


def test_several_may_save_one_model_at_once(small, tmp_path):
    folder = tmp_path / "model"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: small.save(folder), range(20)))
    assert load_served(folder).card == small.card
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    mask = os.umask(0)
    os.umask(mask)
    assert folder.stat().st_mode & 0o777 == 0o777 & ~mask


# --- small ----------------------------------------------------------------------------------------


def test_more_items_than_there_are_can_be_asked_for(small, tmp_path, capsys):
    small.save(tmp_path / "model")
    many = ["recommend", "--model", str(tmp_path / "model"), "-k", "1000000000"]
    assert main([*many, "--user", "7"]) == 0
    assert main([*many, "--items", "3"]) == 0
    assert capsys.readouterr().out.count("\n") > 100


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("card.json", lambda path: path.write_text("[" * 100_000), "card.json cannot be read"),
        ("card.json", lambda path: path.write_text("{}"), "card.json cannot be read"),
        ("config.json", lambda path: path.write_text("[" * 100_000), "cannot be read"),
        (
            "items.parquet",
            lambda path: pd.read_parquet(path).assign(item=1).to_parquet(path),
            "items.parquet holds an id twice",
        ),
        (
            "items.parquet",
            lambda path: pd.read_parquet(path)[["title"]].to_parquet(path),
            "items.parquet has no column 'item'",
        ),
        (
            "users.parquet",
            lambda path: pd.read_parquet(path).head(3).to_parquet(path),
            "they are of different studies",
        ),
    ],
)
def test_a_sealed_folder_of_nonsense_is_one_line(small, tmp_path, capsys, name, change, message):
    folder = small.save(tmp_path / "model")
    change(folder / name)
    seal(folder, FILES)
    assert main(["recommend", "--model", str(folder), "--user", "7"]) == 2
    assert message in one_line(capsys)


def test_a_seed_that_is_none_names_its_option(tables, capsys):
    assert command(tables, "--seed", "-1") == 2
    assert "'--seed'" in one_line(capsys)


def test_least_is_min_weight_still(tables, tmp_path, capsys):
    assert command(tables, "--least", "9") == 2
    assert "at least 9: lower min_weight" in one_line(capsys)

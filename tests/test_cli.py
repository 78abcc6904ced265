import json
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from llmrec import cli, tuning
from llmrec.cli import main
from llmrec.cli.own import load_data
from llmrec.fetch import available
from llmrec.repro import runner
from llmrec.repro.reference import Reference

COMMANDS = ("fetch", "reproduce", "publish", "check", "status", "recommend", "study", "tune")
COMMANDS += ("ledger",)


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys\nfrom llmrec.cli import main\n"
        "assert main(['--help']) == 0\n"
        "heavy = {'torch', 'pandas', 'numpy', 'yaml', 'rich', 'papermill'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


def test_python_m_llmrec_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "llmrec", "--version"], capture_output=True, text=True
    )
    assert done.stdout.startswith("llmrec ")


def assert_one_line_error(capsys, code, *parts):
    err = capsys.readouterr().err
    assert code == 2
    assert err.startswith("llmrec: error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for part in parts:
        assert part in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing command"),
        (["sing"], "No such command 'sing'"),
        (["reproduce", "--profile", "quick"], "'--profile'"),
        (["tune", "--regime", "hot"], "'--regime'"),
        (["study"], "Missing argument"),
        (["study", "x", "--colums", "a=b"], "No such option"),
    ],
)
def test_a_wrong_command_line_exits_2(arguments, message, capsys):
    assert_one_line_error(capsys, main(arguments), message)


def test_options_with_several_values_take_all_that_follow():
    words = ["recommend", "--items", "17", "-4", "99", "--model", "x", "--items", "3"]
    repeated = ["--items", "17", "--items", "-4", "--items", "99"]
    assert cli._repeated(words) == ["recommend", *repeated, "--model", "x", "--items", "3"]
    assert cli._repeated(["study", "a", "--quick"]) == ["study", "a", "--quick"]


def test_errors_are_one_line_and_debug_shows_the_traceback(clone_dir, capsys, monkeypatch):
    assert_one_line_error(capsys, main(["check"]), "RECORDS_DIR", "--static")
    assert_one_line_error(capsys, main(["check", "x"]), "no records folder x")
    assert_one_line_error(capsys, main(["publish"]), "no notebooks")
    assert_one_line_error(capsys, main(["fetch", "nosuch"]), "'nosuch'", *available())
    for arguments in (["--debug", "check"], ["check", "--debug"]):
        with pytest.raises(ValueError, match="RECORDS_DIR"):
            main(arguments)
    monkeypatch.setenv("LLMREC_DEBUG", "1")
    with pytest.raises(ValueError, match="RECORDS_DIR"):
        main(["check"])


def test_an_unexpected_error_names_its_type(monkeypatch, capsys):
    monkeypatch.setattr("llmrec.repro.environment.environment", lambda: {}["a\nb"])
    assert_one_line_error(capsys, main(["status"]), "a b")
    monkeypatch.setattr("llmrec.repro.environment.environment", lambda: len(3))
    assert_one_line_error(capsys, main(["status"]), "TypeError: ", "--debug")


def test_an_interrupt_is_no_traceback(monkeypatch, capsys):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("llmrec.repro.environment.environment", interrupt)
    assert main(["status"]) == 130
    assert "finished is kept" in capsys.readouterr().err


def test_outside_a_clone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert_one_line_error(capsys, main(["reproduce"]), "not inside a clone")


def test_fetch_lists_sources(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path))
    monkeypatch.delenv("LLMREC_MIRROR", raising=False)
    assert main(["fetch", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == list(available())
    assert {line.split()[0] for line in lines} == {"absent"}
    assert main(["fetch", "--list", "films"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_fetch_gets_sources_one_by_one(monkeypatch, capsys):
    got = []
    monkeypatch.setattr("llmrec.fetch.fetch_all", lambda names, **_: got.extend(names))
    assert main(["fetch"]) == 0
    assert got == list(available(optional=False)) != list(available())
    assert f"[{len(got)}/{len(got)}]" in capsys.readouterr().out


@pytest.fixture
def clone_dir(tmp_path, monkeypatch):
    """An empty clone, and the working folder in it."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.yml").write_text("[]")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "llmrec").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_status(clone_dir, monkeypatch, capsys):
    monkeypatch.setenv("LLMREC_CACHE", str(clone_dir / "cache"))
    assert main(["status"]) == 0
    out = capsys.readouterr().out
    assert str(clone_dir / "cache") in out
    assert "no runs yet" in out
    state = clone_dir / "_run" / "book" / "state" / "ch04.json"
    state.parent.mkdir(parents=True)
    run = {"profile": "book", "notebook": "04_a", "seconds": 3.2, "peak_mb": 99, "error": None}
    state.write_text(json.dumps(run | {"seed": 0, "provenance": {}}))
    state.with_name("ch05.json").write_text("")  # an unreadable one is none
    assert main(["status"]) == 0
    assert "3 s, 99 MB" in capsys.readouterr().out


def test_check_compares_a_folder_and_tells_stale_chapters(clone_dir, capsys):
    entry = {"kind": "metric", "value": 0.5, "tolerance": 0.1}
    provenance = {"code": "0", "definitions": {}, "data": {}}
    reference = Reference("book", {"ch04.x": entry})
    reference.save(clone_dir / "results" / "reference.json")
    records = clone_dir / "records"
    records.mkdir()

    def write(value, skipped=None):
        found = {} if value is None else {"ch04.x": {**entry, "value": value}}
        content = {"records": found, "skipped": skipped or {}}
        (records / "ch04.json").write_text(json.dumps(content))

    write(0.55)
    assert main(["check", "records"]) == 0
    assert main(["check", "records", "--exact"]) == 1
    assert "drifted ch04.x" in capsys.readouterr().out
    write(0.7)
    assert main(["check", "records"]) == 1
    assert "drifted" in capsys.readouterr().out
    write(None, {"ch04": "no data"})
    assert main(["check", "records"]) == 0
    assert main(["check", "records", "--strict"]) == 1

    assert main(["check", "--static"]) == 0
    known = {"ch04": {"provenance": provenance}}
    Reference("book", {"ch04.x": entry}, known).save(clone_dir / "results" / "reference.json")
    assert main(["check", "--static"]) == 1
    assert "ch04: the notebook is gone" in capsys.readouterr().out


# One user likes three films, the next only the first two, and so on: small enough to see through.
@pytest.fixture
def films(tmp_path, monkeypatch):
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "items.csv").write_text(
        "item,title,year\n" + "".join(f"{i},Film {c},199{i}\n" for i, c in enumerate("ABCDEF"))
    )
    taken = {1: [0, 1], 2: [0, 1, 2], 3: [1, 2], 4: [3, 4], 5: [3, 4, 5], 6: [0, 2], 7: [2, 5, 3]}
    rows = [f"{user},{item},100,1,viewed\n" for user, items in taken.items() for item in items]
    (folder / "interactions.csv").write_text("user,item,timestamp,weight,action\n" + "".join(rows))
    vectors = np.eye(6, dtype=np.float32)
    vectors[2, 1] = 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr("llmrec.cli.own.item_vectors", lambda dataset: vectors)
    return folder


@pytest.mark.parametrize("model", ["ease", "als", "itemknn", "text", "two-tower"])
def test_recommend_gives_titles_scores_and_reasons(films, capsys, model):
    assert (
        main(["recommend", "--dataset", str(films), "--user", "1", "-k", "2", "--model", model])
        == 0
    )
    heading, _, *lines = capsys.readouterr().out.splitlines()
    assert heading == f"{model} on films, user 1 with 2 items in the history"
    assert len(lines) == 4
    assert all("Film A" not in line and "Film B" not in line for line in lines[::2])
    if model in ("ease", "itemknn", "text"):  # the other two are started at random
        reason = "Film B (1991)" if model == "text" else "Film A (1990); Film B (1991)"
        assert lines[0].startswith("  1. Film C (1992)  [")
        assert lines[1] == f"     because of {reason}"


def test_recommend_by_popularity_says_so(films, capsys):
    command = ["recommend", "--dataset", str(films), "--user", "1", "--model", "popularity"]
    assert main([*command, "-k", "9"]) == 0
    lines = capsys.readouterr().out.splitlines()[2:]
    assert lines[0] == "  1. Film C (1992)  [0.571]"
    assert lines[1] == "     taken by 4 of 7 users"
    assert len(lines) == 8  # four films are left, however many were asked for


def test_recommend_to_somebody_new_reads_the_items_given(films, capsys):
    command = ["recommend", "--dataset", str(films), "--model", "itemknn", "-k", "1"]
    assert main([*command, "--items", "0", "1"]) == 0
    new = capsys.readouterr().out.splitlines()
    assert new[0] == "itemknn on films, a new user with 2 items in the history"
    assert main([*command, "--user", "1"]) == 0  # who took the same two
    assert capsys.readouterr().out.splitlines()[2:] == new[2:]
    assert_one_line_error(capsys, main([*command, "--items", "0", "9"]), "no item '9' in films")


@pytest.mark.parametrize("who", [[], ["--user", "1", "--items", "0"]])
def test_recommend_needs_a_user_or_items_not_both(films, who, capsys):
    code = main(["recommend", "--dataset", str(films), *who])
    assert_one_line_error(capsys, code, "--user", "--items")


def test_a_folder_named_like_a_dataset_does_not_stand_for_it(films, monkeypatch):
    films.rename(films.with_name("ml-100k"))
    monkeypatch.chdir(films.parent)
    loaded = []
    monkeypatch.setattr("llmrec.data.load", loaded.append)
    assert load_data("./ml-100k").n_items == 6
    load_data("ml-100k")
    assert loaded == ["ml-100k"]


def test_recommend_to_nobody_gives_the_valid_range(films, capsys):
    code = main(["recommend", "--dataset", str(films), "--user", "42"])
    assert_one_line_error(capsys, code, "no user '42' in films: its 7 users are 1 to 7")
    code = main(["recommend", "--dataset", str(films), "--user", "1", "-k", "0"])
    assert_one_line_error(capsys, code, "-k 0")
    code = main(["recommend", "--dataset", "nosuch", "--user", "1"])
    assert_one_line_error(capsys, code, "nosuch", "ml-100k")


@pytest.mark.component
def test_recommend_on_real_films(capsys):
    assert main(["recommend", "--user", "42", "-k", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "ease on ml-100k, user 42 with 183 items in the history"
    assert len(lines) == 12
    assert main(["recommend", "--user", "944"]) == 2
    assert "943 users are 1 to 943" in capsys.readouterr().err


def test_the_choices_offered_are_those_that_there_are():
    # written twice because --help must not import runner and tuning
    assert get_args(get_args(cli.Profile)[0]) == runner.PROFILES
    assert get_args(get_args(cli.Regime)[0]) == tuple(tuning.REGIMES)

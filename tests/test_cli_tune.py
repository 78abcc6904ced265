import numpy as np
import pytest
import yaml

from llmrec import tuning
from llmrec.cli import main
from llmrec.cli.own import TEMPLATES

SMALL = {"Popularity": {}, "EASE": {"l2": {"low": 1.0, "high": 1000.0, "log": True}}}


@pytest.fixture
def films(tmp_path, monkeypatch):
    """Forty users who like even or odd films."""
    rng = np.random.default_rng(5)
    folder = tmp_path / "films"
    folder.mkdir()
    titles = "".join(f"{i},Film {i}\n" for i in range(24))
    (folder / "items.csv").write_text("item,title\n" + titles)
    rows = [
        f"{user},{2 * item + user % 2},100\n"
        for user in range(40)
        for item in rng.permutation(12)[:8]
    ]
    (folder / "interactions.csv").write_text("user,item,timestamp\n" + "".join(rows))
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    vectors = np.tile(np.eye(2, dtype=np.float32), (12, 1))
    monkeypatch.setattr("llmrec.cli.own.item_vectors", lambda *given: vectors)
    monkeypatch.setattr(tuning, "spaces", lambda: SMALL)
    return folder


def test_what_was_chosen_is_written_in_a_stable_order(films, tmp_path, capsys):
    out = tmp_path / "tuned.yml"
    command = ["tune", "--dataset", str(films), "--budget", "3", "--output", str(out)]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Popularity")
    assert "nothing to tune" in lines[0]
    assert lines[1].startswith("EASE")
    assert "3 trials" in lines[1]
    assert lines[2] == f"wrote {out}"
    text = out.read_text(encoding="utf-8")
    assert text.startswith("# Written by `llmrec tune`")
    found = yaml.safe_load(text)["films"]["warm"]
    assert list(found) == ["EASE", "Popularity"]
    assert found["EASE"]["budget"] == 3
    assert found["Popularity"]["values"] == {}
    assert list(tmp_path.glob(".tuned*")) == []

    assert main([*command, "--models", "EASE", "--regime", "cold-items"]) == 0
    assert main(command) == 0  # from the cache: the same seconds, the same bytes
    again = out.read_text(encoding="utf-8")
    assert list(yaml.safe_load(again)["films"]) == ["cold-items", "warm"]
    assert yaml.safe_load(again)["films"]["warm"] == found
    assert main(command) == 0
    assert out.read_text(encoding="utf-8") == again


def test_cold_items_are_ranked_among_those_of_valid(films, tmp_path, monkeypatch):
    seen = []
    tune = tuning.tune

    def spy(model, split, features, budget, **options):
        seen.append((split.name, split, options["items"]))
        return tune(model, split, features, budget, **options)

    monkeypatch.setattr(tuning, "tune", spy)
    command = ["tune", "--dataset", str(films), "--models", "EASE", "--budget", "1"]
    for regime in ("warm", "cold-items"):
        assert main([*command, "--regime", regime, "--output", str(tmp_path / "t.yml")]) == 0
    (warm, _, everything), (cold, split, items) = seen
    assert (warm, cold, everything) == ("random", "cold-item", None)
    assert sorted(set(split.valid["item"])) == list(items)
    assert not set(items) & {*split.train["item"], *split.test["item"]}


def test_an_unknown_name_is_one_line(films, capsys):
    assert main(["tune", "--dataset", str(films), "--models", "EASY"]) == 2
    err = capsys.readouterr().err
    assert err == "llmrec: error: no search space 'EASY': choose from Popularity, EASE\n"


def test_the_films_text_is_chapter_4s():
    import json
    from pathlib import Path

    chapter = json.loads(
        (Path(__file__).parents[1] / "notebooks" / "04_algorithm.ipynb").read_text("utf-8")
    )
    code = "".join("".join(cell["source"]) for cell in chapter["cells"])
    assert f'item_template = "{TEMPLATES["ml-100k"]}"' in code

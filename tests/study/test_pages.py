"""The commands that the README and the book print run as they stand."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest

from llmrec.cli import main

ROOT = Path(__file__).parents[2]


def commands(page: str, word: str) -> list[list[str]]:
    """Return the arguments of each ``$ llmrec`` line of a page that has the word in it."""
    text = (ROOT / page).read_text(encoding="utf-8")
    lines = re.findall(r"^\$ llmrec (.+?)(?:  +#.*)?$", text, re.MULTILINE)
    return [shlex.split(line) for line in lines if word in line]


@pytest.mark.parametrize("page", ["README.md", "book/your-data.md"])
def test_the_commands_on_your_own_data_run(page, shop, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "mydata"
    folder.mkdir()
    theirs = {"user": "customer_id"} if page == "README.md" else {}
    events = pd.read_csv(shop / "interactions.csv").rename(columns=theirs)
    events.to_csv(folder / "interactions.csv", index=False)
    pd.read_csv(shop / "items.csv").to_csv(folder / "items.csv", index=False)
    monkeypatch.chdir(tmp_path)
    studied, *_ = (one for one in commands(page, "study mydata") if "--quick" in one)
    served = commands(page, "--model mydata")
    assert served
    assert main([*studied, "--encoder", "hash"]) == 0
    capsys.readouterr()
    for one in served:
        assert main([part for part in one if part != "99"]) == 0  # the shop has 63 items
        assert re.search(r"^  1\. .+\[", capsys.readouterr().out, re.MULTILINE)

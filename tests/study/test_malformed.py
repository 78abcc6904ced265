"""Tables that cannot be studied give one clear line."""

import pytest

from llmrec.cli import main
from llmrec.cli.own import column_names

ITEMS = "item,title\n" + "".join(f"{i},Film {i}\n" for i in range(12))
EVENTS = "user,item,timestamp\n" + "".join(
    f"{user},{(user + step) % 12},{100 + step}\n" for user in range(30) for step in range(6)
)
CASES = {
    "missing column": (EVENTS.replace("user,item", "who,item", 1), ITEMS, "has no column 'user'"),
    "empty file": ("", ITEMS, "interactions.csv is empty"),
    "no rows": ("user,item,timestamp\n", ITEMS, "has no rows"),
    "no id": (EVENTS.replace("7,8,101", ",8,101"), ITEMS, "column 'user', row 44: no user id"),
    "not UTF-8": (EVENTS, ITEMS.replace("Film 3", "Caf\xe9").encode("latin-1"), "is not UTF-8"),
    "no items": (EVENTS, None, "has neither items.csv nor items.parquet"),
    "no item rows": (EVENTS, "item,title\n", "items.csv has no rows"),
    "one user": (
        "user,item,timestamp\n" + "".join(f"1,{i},{100 + i}\n" for i in range(12)),
        ITEMS,
        "only 1 of 1 users have enough events",
    ),
    "one event each": (
        "user,item,timestamp\n" + "".join(f"{u},{u % 12},100\n" for u in range(50)),
        ITEMS,
        "only 0 of 50 users have enough events",
    ),
    "bad time": (EVENTS.replace("101", "soon", 1), ITEMS, "column 'timestamp', row 1"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_folder_gives_one_line(name, tmp_path, capsys):
    events, items, message = CASES[name]
    for stem, content in (("interactions", events), ("items", items)):
        if content is not None:
            data = content if isinstance(content, bytes) else content.encode()
            (tmp_path / f"{stem}.csv").write_bytes(data)
    assert main(["study", str(tmp_path), "--quick", "--encoder", "hash"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("llmrec: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("columns", "mapping", "message"),
    [
        (["item"], None, "--columns item: write ours=theirs"),
        (["item=movie", "user=movie"], None, "'movie' is to be 'item' and 'user'"),
        ([], "- item", "write one line a column"),
        ([], "item: [", "cannot be read"),
    ],
)
def test_a_wrong_mapping_gives_one_line(tmp_path, capsys, columns, mapping, message):
    options = ["--columns", *columns] if columns else []
    if mapping is not None:
        (tmp_path / "names.yml").write_text(mapping)
        options = ["--mapping", str(tmp_path / "names.yml")]
    assert main(["study", str(tmp_path), *options]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_columns_and_mapping_add_up(tmp_path):
    (tmp_path / "names.yml").write_text("item: [movie, id]\ntitle: name\n")
    names = column_names(["user=uid"], tmp_path / "names.yml")
    assert names == {"movie": "item", "id": "item", "name": "title", "uid": "user"}


def test_a_folder_that_is_none(capsys):
    assert main(["study", "nowhere"]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err

"""The table of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llmrec import fetch
from llmrec.fetch import sources


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"members": {"../x": {"size": 1, "sha256": "0" * 64}}}, "'../x' leaves its folder"),
        ({"members": {"/etc/x": {"size": 1, "sha256": "0" * 64}}}, "'/etc/x' leaves its folder"),
        ({"members": {"x": {"size": 1, "sha256": "abc"}}}, "x: sha256 'abc' is not 64"),
        ({"members": {"x": {"size": 1, "sha": "0" * 64}}}, "unexpected keyword argument 'sha'"),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"archive": {"folder": "f"}}, "give package and version, or url"),
        ({"archive": {"folder": "f", "package": "p", "version": "1"}}, "p==1: a wheel needs its"),
    ],
)
def test_a_faulty_table_names_the_source(place: Any, change: dict, match: str) -> None:
    place.entry |= change
    place.write()
    with pytest.raises(ValueError, match=rf"sources\.yml: source 'tiny': .*{match}"):
        fetch.available()


def test_a_source_without_archive_needs_addresses(place: Any) -> None:
    del place.entry["archive"]
    place.write()
    with pytest.raises(ValueError, match="without an archive every member needs a url"):
        fetch.status()


def test_the_shipped_table() -> None:
    table = sources.read_table(Path(sources.__file__).parents[1] / "sources.yml")
    needed = {name: source for name, source in table.items() if not source.optional}
    assert list(needed) == ["minilm", "smollm2", "movielens-100k", "films", "complete-journey"]
    # The default run must pass where only a package registry is reachable.
    assert all(source.archive and source.archive.package for source in needed.values())
    minilm = {member.path: member.sha256 for member in table["minilm"].members}
    assert minilm["model.safetensors"] == (
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    )
    assert "1_Pooling/config.json" in minilm
    paths = [member.path for source in table.values() for member in source.members]
    assert "promotions.parquet" not in paths
    assert all(member.size > 0 for source in table.values() for member in source.members)

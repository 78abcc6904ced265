import json

import pytest

from llmrec.shards import JsonShards, key_of


def test_what_is_added_is_read_back_by_another(tmp_path):
    one, two = JsonShards(tmp_path / "c"), JsonShards(tmp_path / "c")
    assert one.read() == {}
    one.add({"a": 1.5, "b": "é"})
    assert two.read() == {"a": 1.5, "b": "é"}
    two.add({"c": [1]})
    assert one.read() == two.read() == {"a": 1.5, "b": "é", "c": [1]}


def test_nothing_is_written_for_nothing(tmp_path):
    JsonShards(tmp_path / "c").add({})
    assert not (tmp_path / "c").exists()


def test_a_damaged_shard_is_dropped_with_a_warning(tmp_path):
    JsonShards(tmp_path).add({"a": 1})
    JsonShards(tmp_path).add({"b": 2})
    victim = next(p for p in tmp_path.glob("*.json") if "a" in json.loads(p.read_text()))
    victim.write_text('{"a": 9}')
    with pytest.warns(RuntimeWarning, match="damaged cache shard dropped"):
        assert JsonShards(tmp_path).read() == {"b": 2}
    assert not victim.exists()


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        JsonShards(tmp_path).add({"a": 1})
    assert list(tmp_path.iterdir()) == []


def test_keys_tell_apart_what_differs():
    keys = {key_of("a", (1, 2)), key_of("a", (1,), 2), key_of("a1", (2,)), key_of("b", (1, 2))}
    assert len(keys) == 4
    assert key_of("a", (1, 2)) == key_of("a", [1, 2])

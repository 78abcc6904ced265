import pytest

from llmrec import tuning
from llmrec.data import cold_item_split, load, random_split
from llmrec.tuning import REGIMES, SearchSpace, chosen, model_of, recorded, spaces, tuned

ENTRIES = [
    (dataset, regime, model)
    for dataset, regimes in recorded().items()
    for regime, found in regimes.items()
    for model in found
]


def test_what_is_recorded_is_read(tmp_path, monkeypatch):
    path = tmp_path / "tuned.yml"
    path.write_text("toys: {warm: {EASE: {values: {l2: 12.0}, budget: 3}}}\n", encoding="utf-8")
    assert recorded(path) == {"toys": {"warm": {"EASE": {"values": {"l2": 12.0}, "budget": 3}}}}
    monkeypatch.setattr(chosen, "recorded", lambda: recorded(path))
    assert tuned("toys", "warm", "EASE") == {"l2": 12.0}
    for names, message in (
        (("films", "warm", "EASE"), "no dataset 'films' is recorded, only toys: run llmrec tune"),
        (("toys", "cold", "EASE"), "no regime 'cold' is recorded, only warm: run .*--regime cold"),
        (("toys", "warm", "ALS"), "no model 'ALS' is recorded, only EASE: run .*--models ALS"),
    ):
        with pytest.raises(ValueError, match=message):
            tuned(*names)


def test_without_a_file_nothing_is_recorded(tmp_path):
    assert recorded(tmp_path / "none.yml") == {}
    (tmp_path / "empty.yml").write_text("# nothing yet\n", encoding="utf-8")
    assert recorded(tmp_path / "empty.yml") == {}


@pytest.mark.parametrize(("dataset", "regime", "model"), ENTRIES)
def test_the_recorded_values_belong_to_the_space_of_today(dataset, regime, model):
    entry = recorded()[dataset][regime][model]
    space = SearchSpace.of(model_of(model), spaces()[model], model)
    assert entry["space"] == space.hash, f"run llmrec tune --regime {regime} --models {model}"
    assert set(entry["values"]) == {*space.fixed, *space.free}
    assert entry["value"] >= entry["default"]
    built = model_of(model)(**tuned(dataset, regime, model))
    assert entry["values"].items() <= built.params.items()


def test_every_model_had_the_same_budget():
    for dataset, regimes in recorded().items():
        for regime, found in regimes.items():
            assert set(found) <= set(spaces()), (dataset, regime)
            budgets = {
                entry["budget"]
                for model, entry in found.items()
                if SearchSpace.of(model_of(model), spaces()[model]).free
            }
            assert len(budgets) == 1, (dataset, regime)
            assert len({(entry["metric"], entry["split"]) for entry in found.values()}) == 1


@pytest.mark.component
def test_the_regimes_share_their_test_part_with_the_splits_that_report():
    films = load("ml-100k")
    reports = {"warm": random_split(films), "cold-items": cold_item_split(films)}
    assert reports.keys() == REGIMES.keys()
    for regime, report in reports.items():
        split = REGIMES[regime](films)
        assert split.test.equals(report.test)
        assert len(split.train) + len(split.valid) == len(report.train)
        for entry in recorded()["ml-100k"][regime].values():
            assert entry["split"] == split.hash[:16]


def test_public_names():
    assert all(hasattr(tuning, name) for name in tuning.__all__)

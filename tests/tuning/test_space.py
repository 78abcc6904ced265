import inspect

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from llmrec import models
from llmrec.models import EASE, Bridge, ItemKNN, Recommender, TwoTower
from llmrec.tuning import SearchSpace, model_of, spaces

UNTUNED = {
    "Ensemble": "its weights are learned on validation already",
    "ReciprocalRankFusion": "it has no argument to tune",
    "PromptRanker": "it prompts a language model for each user",
    "GivenScores": "a table computed elsewhere: there is nothing to choose",
}


def test_an_entry_is_fixed_values_choices_and_ranges():
    entry = {
        "inputs": "text",
        "dim": {"low": 16, "high": 128, "log": True},
        "lr": {"low": 0.001, "high": 0.05, "log": True},
        "dropout": {"low": 0, "high": 0.8},
        "activation": ["identity", "gelu"],
    }
    space = SearchSpace.of(TwoTower, entry)
    assert space.fixed == {"inputs": "text"}
    assert space.free == {
        "dim": IntDistribution(16, 128, log=True),
        "lr": FloatDistribution(0.001, 0.05, log=True),
        "dropout": FloatDistribution(0.0, 0.8),  # written as 0, but the default is no whole number
        "activation": CategoricalDistribution(["identity", "gelu"]),
    }
    assert space.defaults == {"dim": 64, "lr": 0.01, "dropout": 0.5, "activation": "identity"}


def test_values_are_sorted_and_floats_keep_three_digits():
    space = SearchSpace.of(Bridge, {"keep_warm": True, "l2": {"low": 10.0, "high": 5000.0}})
    drawn = {"l2": 1234.567, "text_l2": 0.0123456}
    assert list(space.values(drawn).items()) == [
        ("keep_warm", True),
        ("l2", 1230.0),
        ("text_l2", 0.0123),
    ]


def test_the_hash_changes_with_the_space_and_not_with_the_order():
    def digest(entry):
        return SearchSpace.of(Bridge, entry).hash

    a, b = {"low": 10.0, "high": 5000.0}, {"low": 1.0, "high": 10.0}
    assert digest({"l2": a, "text_l2": b}) == digest({"text_l2": b, "l2": a})
    hashes = {digest({"l2": a}), digest({"l2": a | {"log": True}}), digest({"l2": 300.0})}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("model", "entry", "message"),
    [
        (EASE, {"lambda": [1.0]}, "search space of EASE: EASE has no 'lambda', it takes l2"),
        (EASE, {"l2": {"low": 1.0}}, r"EASE: l2: .* is no range \('high'\)"),
        (EASE, {"l2": {"low": 500.0, "high": 10.0}}, "EASE: l2: .* is no range"),
        (EASE, {"l2": {"low": 0.0, "high": 10.0, "log": True}}, "EASE: l2: .* is no range"),
        (EASE, {"l2": {"low": 1.0, "high": 9e3, "steps": 5}}, "unknown key 'steps'"),
        (EASE, {"l2": []}, "EASE: l2: .* is no range"),
        (Bridge, {"keep_warm": {"low": 0, "high": 1}}, "the default False is no number"),
        (EASE, {"l2": {"low": 1.0, "high": 10.0}}, "the default 300.0 is not in .* widen it"),
        (EASE, {"l2": [1.0, 10.0]}, "the default 300.0 is not in"),
        (ItemKNN, {"neighbours": {"low": 1.5, "high": 2.5}}, "neighbours: .* is no range"),
    ],
)
def test_a_wrong_entry_is_one_line_that_names_it(model, entry, message):
    with pytest.raises(ValueError, match=message) as error:
        SearchSpace.of(model, entry)
    assert "\n" not in str(error.value)


def test_a_name_leads_to_its_class():
    assert model_of("EASE") is EASE
    assert model_of("TwoTower-text") is TwoTower
    for name in ("Nothing", "Features", "top_k"):
        with pytest.raises(ValueError, match=f"search space of {name}: .* no recommender"):
            model_of(name)


def test_the_shipped_spaces_are_right():
    assert {"Popularity", "EASE", "TwoTower-both"} <= set(spaces())
    for name, entry in spaces().items():
        space = SearchSpace.of(model_of(name), entry, name)
        # the first trial is the default to the last digit, and runs
        assert space.values(space.defaults) == {**space.fixed, **space.defaults}, name
        assert "seed" not in entry, name
        model_of(name)(**space.values(space.defaults))
    towers = [name for name in spaces() if model_of(name) is TwoTower]
    assert [spaces()[name]["inputs"] for name in towers] == ["text", "identity", "both"]


def test_every_model_has_a_space_or_a_reason():
    classes = [getattr(models, name) for name in models.__all__]
    named = {c.__name__ for c in classes if inspect.isclass(c) and issubclass(c, Recommender)}
    assert named - {"Recommender", "FromHistory"} == {
        model_of(name).__name__ for name in spaces()
    } | set(UNTUNED)


def test_the_variants_say_how_they_differ():
    for name, entry in spaces().items():
        fixed = {key for key, value in entry.items() if not isinstance(value, (list, dict))}
        assert fixed <= set(inspect.signature(model_of(name)).parameters)
        assert ("-" in name) <= bool(fixed), f"{name} is a variant, but fixes nothing"

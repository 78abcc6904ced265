from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import optuna
import pandas as pd
import pytest

from llmrec.data import Dataset, Split
from llmrec.evaluation import evaluate
from llmrec.models import EASE, Bridge, Features, ItemKNN, Popularity, Recommender
from llmrec.tuning import tune

N_USERS, N_ITEMS, WANTED = 6, 20, 9
LOG = SimpleNamespace()  # what was seen by each fit of a test, and the error that a fit raises
SPACE = {"x": {"low": 1.0, "high": 1000.0, "log": True}}


class Toy(Recommender):
    """Puts the wanted item at a given place, so that nDCG@10 is 1 / log2(1 + place) for all."""

    def __init__(self, place: int = 9, x: float = 100.0) -> None:
        self.place = place
        self.x = x

    def _fit(self, split, features):
        if len(LOG.fits) in LOG.errors:
            raise LOG.errors[len(LOG.fits)]
        LOG.fits.append((len(split.train), len(split.valid), len(split.test), self.x))
        if self.place == 5:
            raise IndexError("no room\nfor five")
        if self.x < 10:
            raise FloatingPointError("the loss is nan")

    def score(self, users):
        scores = np.tile(-np.arange(1, N_ITEMS + 1, dtype=np.float32), (len(users), 1))
        scores[:, WANTED] = 0.5 - self.place
        if self.place == 6:
            scores[:] = np.nan
        return scores


def frame(pairs):
    pairs = np.asarray(pairs, np.int64).reshape(-1, 2)
    columns = {"user": pairs[:, 0], "item": pairs[:, 1], "timestamp": np.int64(0), "weight": 1.0}
    return pd.DataFrame({**columns, "action": "viewed"})


@pytest.fixture
def split():
    everyone = frame([(user, 19) for user in range(N_USERS)])
    items = pd.DataFrame({"item": range(N_ITEMS), "title": [f"item {i}" for i in range(N_ITEMS)]})
    rng = np.random.default_rng(0)
    train = frame([(u, i) for u in range(N_USERS) for i in 10 + rng.permutation(10)[:4]])
    valid = frame([(user, WANTED) for user in range(N_USERS)])
    test = frame([(user, 3) for user in range(N_USERS)])
    data = Dataset("toys", everyone, items)
    return Split(data, "planted", 0, train, valid, test, history=train)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TQDM_DISABLE", "1")
    LOG.fits, LOG.errors = [], {}
    return tmp_path / "cache"


def same(a, b):
    """Whether two results agree in all but the time they took."""
    left, right = (t.table().drop(columns="seconds") for t in (a, b))
    return left.equals(right) and a.values == b.values and a.value == b.value


def test_the_best_place_is_found_and_the_first_trial_is_the_default(split):
    found = tune(Toy, split, budget=12, space={"place": [9, 4, 1]})
    assert found.values == {"place": 1}
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.trials[0].values == {"place": 9}
    assert found.default == pytest.approx(1 / np.log2(10), abs=1e-12)
    assert (found.model, found.split, found.metric, found.budget) == (
        "Toy",
        "planted",
        "ndcg@10",
        12,
    )
    assert found.split_hash == split.hash
    assert found.seconds > 0
    assert tune(Toy, split, budget=12, metric="hit@3", space={"place": [9, 4, 1]}).default == 0.0


def test_a_setting_drawn_again_counts_but_is_not_run_again(split):
    found = tune(Toy, split, budget=12, space={"place": [9, 1]})
    assert len(found.trials) == 12
    assert len(LOG.fits) == 2


def test_of_equally_good_settings_the_earliest_wins(split):
    found = tune(Toy, split, budget=6, space={"x": {"low": 50.0, "high": 1000.0}})
    assert len({trial.value for trial in found.trials}) == 1
    assert found.values == {"x": 100.0}


def test_the_model_sees_neither_valid_nor_test(split):
    tune(Toy, split, budget=3, space={"x": {"low": 50.0, "high": 1000.0}})
    assert {(valid, test) for _, valid, test, _ in LOG.fits} == {(0, 0)}


def test_a_poisoned_test_part_changes_nothing(split):
    space = {"neighbours": [100, 1, 2], "shrinkage": {"low": 0.0, "high": 50.0}}
    valid = frame([(user, 10 + user) for user in range(N_USERS)])
    train = split.train[split.train["item"] != 10 + split.train["user"]]
    clean = replace(split, train=train, history=train, valid=valid)
    poison = frame([(10**6, -5)]).assign(weight=np.nan)
    runs = [tune(ItemKNN, s, budget=10, space=space) for s in (clean, replace(clean, test=poison))]
    assert same(*runs)
    assert runs[0].split_hash != runs[1].split_hash  # not one that came from the other's cache
    assert len({trial.value for trial in runs[0].trials}) > 1


def test_the_value_is_that_of_evaluate_on_valid(split):
    found = tune(EASE, split, budget=2, metric="recall@15", items=[3, 5, WANTED])
    again = evaluate(
        EASE().fit(split), split, (15,), ("recall",), items=[3, 5, WANTED], part="valid"
    )
    assert found.default == again.per_user("recall@15").mean()


def test_failed_trials_are_recorded_and_count(split):
    found = tune(Toy, split, budget=20, space={"place": [9, 5, 6]})
    table = found.table()
    assert list(table.columns) == ["value", "seconds", "error", "place"]
    assert table.index.name == "trial"
    assert len(table) == 20
    assert set(table.loc[table["place"] == 5, "error"]) == {"IndexError: no room for five"}
    assert table.loc[table["place"] == 6, "error"].str.contains("NaN").all()
    assert table.loc[table["place"] != 9, "value"].isna().all()
    assert found.values == {"place": 9}
    failed = (table["place"] != 9).sum()
    assert 0 < failed < 20
    assert found.entry()["failed"] == failed
    assert same(found, tune(Toy, split, budget=20, space={"place": [9, 5, 6]}))  # from the cache
    assert len(LOG.fits) == 3


def test_when_every_trial_fails_the_first_error_is_shown(split):
    with pytest.raises(
        ValueError, match="all 3 trials of Bridge failed; the first: ValueError: Bri"
    ):
        tune(Bridge, split, budget=3)


def test_a_longer_run_goes_on_where_a_shorter_one_ended(split, monkeypatch, cache):
    short = tune(Toy, split, budget=4, space=SPACE, seed=3)
    assert len(LOG.fits) == 4
    long = tune(Toy, split, budget=12, space=SPACE, seed=3)
    assert len(LOG.fits) == 12
    assert long.table()[:4].equals(short.table())
    again = tune(Toy, split, budget=4, space=SPACE, seed=3)
    assert again.table().equals(short.table())  # seconds, too
    assert len(LOG.fits) == 12
    monkeypatch.setenv("LLMREC_CACHE", str(cache.with_name("another")))
    assert same(tune(Toy, split, budget=12, space=SPACE, seed=3), long)
    assert len(LOG.fits) == 24
    assert len({trial.values["x"] for trial in long.trials}) == 12


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError("disk full")])
def test_a_run_that_is_cut_off_goes_on(split, monkeypatch, cache, error):
    whole = tune(Toy, split, budget=10, space=SPACE)
    monkeypatch.setenv("LLMREC_CACHE", str(cache.with_name("another")))
    LOG.errors = {14: error}
    with pytest.raises(type(error)):
        tune(Toy, split, budget=10, space=SPACE)
    LOG.errors = {}
    assert same(tune(Toy, split, budget=10, space=SPACE), whole)
    assert len(LOG.fits) == 20


def test_a_trial_without_room_counts_but_is_tried_again(split):
    space = {"x": {"low": 50.0, "high": 1000.0}}
    LOG.errors = {2: MemoryError("all taken")}
    found = tune(Toy, split, budget=4, space=space)
    assert [trial.error for trial in found.trials] == ["", "", *["MemoryError: all taken"] * 2]
    LOG.errors = {}
    again = tune(Toy, split, budget=4, space=space)
    assert again.trials[:2] == found.trials[:2]
    assert not any(trial.error for trial in again.trials)
    assert len(LOG.fits) == 4


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file[: len(file) // 2], "damaged cache file set aside"),
        (lambda file: b"garbage" * 999, "damaged cache file set aside"),
        (lambda file: file.replace(b'"value": 0.', b'"value": 1.'), "a damaged cache entry"),
    ],
)
def test_a_damaged_cache_is_searched_anew_with_a_warning(split, cache, damage, message):
    whole = tune(Toy, split, budget=5, space=SPACE)
    path = cache / "tuning.sqlite"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(RuntimeWarning, match=message):
        again = tune(Toy, split, budget=5, space=SPACE)
    assert same(again, whole)
    before = len(LOG.fits)
    third = tune(Toy, split, budget=5, space=SPACE)  # whole once more, and without a warning
    assert third.table().equals(again.table())
    assert len(LOG.fits) == before > 5


def test_what_is_written_down_is_what_ran(split):
    found = tune(Toy, split, budget=5, space=SPACE | {"place": 3})
    assert [x for *_, x in LOG.fits] == [trial.values["x"] for trial in found.trials]
    assert all(x == float(f"{x:.3g}") for *_, x in LOG.fits)
    assert found.values["place"] == 3


def test_trials_of_other_circumstances_are_not_used(split):
    vectors = np.eye(N_ITEMS, 4, dtype=np.float32)
    changed = replace(split, valid=split.valid.iloc[1:])
    space = {"x": {"low": 10.0, "high": 1000.0}}
    for s, features, options in (
        (split, None, {}),
        (split, Features(items=vectors), {}),
        (split, Features(items=2 * vectors), {}),
        (split, Features(users=vectors), {}),
        (changed, None, {}),
        (split, None, {"items": [3, WANTED]}),
        (split, None, {"metric": "hit@10"}),
    ):
        before = len(LOG.fits)
        tune(Toy, s, features, budget=2, space=space, **options)
        assert len(LOG.fits) == before + 2


def test_trials_of_other_code_are_not_used(split, monkeypatch):
    space = {"place": [9, 1]}
    old = tune(Toy, split, budget=6, space=space)
    score = Toy.score
    monkeypatch.setattr(Toy, "score", lambda self, users: -score(self, users))
    assert tune(Toy, split, budget=6, space=space).default != old.default
    assert len(LOG.fits) == 4


def test_one_setting_is_run_once_whatever_search_asks_for_it(split):
    """The defaults are every search's first trial: neither seed nor space nor name changes them."""
    space = {"x": {"low": 10.0, "high": 1000.0}}
    first = tune(Toy, split, budget=2, space=space)
    for options in ({"seed": 1}, {"name": "Other"}, {"space": {"x": [100.0, 20.0]}}):
        found = tune(Toy, split, budget=2, **{"space": space} | options)
        assert found.trials[0] == first.trials[0]
    assert [x for *_, x in LOG.fits].count(100.0) == 1


def test_another_seed_draws_other_settings_after_the_default(split):
    a, b = (tune(Toy, split, budget=4, space=SPACE, seed=seed) for seed in (0, 1))
    assert a.trials[0].values == b.trials[0].values
    assert not {t.values["x"] for t in a.trials[1:]} & {t.values["x"] for t in b.trials[1:]}


def test_nothing_to_tune_is_budget_zero(split):
    train = frame([(0, 10), (1, 10), (2, WANTED)])
    found = tune(Popularity, replace(split, train=train, history=train), budget=20)
    assert (found.budget, found.values, len(found.trials)) == (0, {}, 1)
    assert found.value == found.default > 0
    assert found.entry()["budget"] == 0


def test_optuna_is_silent_inside_and_as_before_outside(split, capfd):
    before = optuna.logging.get_verbosity()
    tune(Toy, split, budget=3, space={"place": [9, 5]})
    assert optuna.logging.get_verbosity() == before
    out, err = capfd.readouterr()
    assert out == ""
    assert all(part.startswith("Toy:") for part in err.strip().split("\r")), "more than the bar"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget=0 must be a whole number of at least 1"),
        ({"budget": 2.5}, "budget=2.5 must be a whole number"),
        ({"metric": "ndcg"}, "metric='ndcg@' must be one of ndcg"),
        ({"metric": "ndcg@0"}, "metric='ndcg@0'"),
        ({"metric": "auc@10"}, "metric='auc@10'"),
        ({"space": None}, "search_spaces.yml has no 'Toy': pass space="),
        ({"space": {"y": [1]}}, "search space of Toy: Toy has no 'y', it takes place, x"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_trial(split, options, message):
    with pytest.raises(ValueError, match=message):
        tune(Toy, split, **{"space": SPACE} | options)
    assert LOG.fits == []


def test_a_split_without_valid_is_refused(split):
    with pytest.raises(
        ValueError, match="planted split of 'toys' has no valid part, and test is not"
    ):
        tune(Toy, replace(split, valid=split.valid.iloc[:0]), space=SPACE)
    assert LOG.fits == []

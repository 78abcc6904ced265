"""A saved model gives the same scores, to the bit; a folder that cannot be trusted is refused."""

import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from threadpoolctl import threadpool_limits

from chapters.ledger_alpha_rec import AlphaRec
from llmrec.data import History, histories_of
from llmrec.models import (
    ALS,
    BPR,
    EASE,
    Bridge,
    Ensemble,
    FeatureALS,
    Features,
    ItemKNN,
    NeighbourBridge,
    Popularity,
    PureSVD,
    ReciprocalRankFusion,
    SavedModelError,
    TextEASE,
    TextKNN,
    TextSimilarity,
    TransitionKNN,
    load,
    save,
)
from llmrec.models.saved import KNOWN, seal, size

EVERYBODY = np.arange(30)
FILES = ["config.json", "manifest.json", "model.safetensors"]
MODELS = {
    "popularity": lambda f: Popularity(),
    "itemknn": lambda f: ItemKNN(neighbours=20, weighting="tfidf"),
    "transition": lambda f: TransitionKNN(shrinkage=0.0),
    "ease": lambda f: EASE(l2=5.0),
    "pure-svd": lambda f: PureSVD(factors=3),
    "als": lambda f: ALS(factors=6, l2=0.1, seed=1),
    "bpr": lambda f: BPR(factors=6, iterations=20, seed=1),
    "feature-als": lambda f: FeatureALS(factors=6, seed=1),
    "feature-als-content": lambda f: FeatureALS(factors=6, prior=np.inf, seed=1),
    "bridge": lambda f: Bridge(l2=5.0, text_l2=0.1),
    "text-ease": lambda f: TextEASE(l2=5.0, text_l2=0.1),
    "text": lambda f: TextSimilarity(centre=True),
    "text-knn": lambda f: TextKNN(neighbours=20, recency=0.9),
    "neighbour-bridge": lambda f: NeighbourBridge(text_l2=0.1),
    "ensemble": lambda f: Ensemble(
        {"z, last of the alphabet": EASE(l2=5.0), "als/inner": ALS(factors=6, seed=1)},
        weights={"z, last of the alphabet": 1.0, "als/inner": 2.0},
    ),
    "ensemble-own-text": lambda f: Ensemble(
        {"ease": EASE(l2=5.0), "text": TextSimilarity()}, {"ease": 1.0, "text": 2.0}, {"text": f}
    ),
    "rank-fusion": lambda f: ReciprocalRankFusion({"ease": EASE(l2=5.0), "text": TextKNN()}),
}


@pytest.fixture(params=sorted(MODELS))
def fitted(request, planted, features):
    return MODELS[request.param](features).fit(planted, features)


def test_every_known_class_is_tested(features):
    assert {type(make(features)).__name__ for make in MODELS.values()} == set(KNOWN)


def test_scores_are_equal_to_the_bit(fitted, planted, tmp_path):
    loaded = load(save(fitted, tmp_path))
    assert type(loaded) is type(fitted)
    assert np.array_equal(loaded.score(EVERYBODY), fitted.score(EVERYBODY))
    assert all(map(np.array_equal, loaded.recommend(EVERYBODY, 7), fitted.recommend(EVERYBODY, 7)))
    if not isinstance(fitted, BPR):  # it has no fold_in
        known = [*histories_of(planted, [27, 28, 3]), History([])]
        assert np.array_equal(loaded.fold_in(known), fitted.fold_in(known))


def test_arguments_and_state_come_back(fitted, tmp_path):
    loaded = load(save(fitted, tmp_path))
    if not isinstance(fitted, Ensemble | ReciprocalRankFusion):
        assert loaded.params == fitted.params
    assert repr(loaded).split("features=")[0] == repr(fitted).split("features=")[0]
    learned = {key for key in vars(fitted) if key not in fitted.params}
    assert learned == {key for key in vars(loaded) if key not in loaded.params}
    again = save(loaded, tmp_path / "again")
    for name in FILES:
        assert (again / name).read_bytes() == (tmp_path / name).read_bytes()


def test_user_vectors_shift_the_newcomer(planted, features, tmp_path):
    rng = np.random.default_rng(5)
    both = Features(features.items, rng.normal(size=(30, 4)).astype(np.float32))
    fitted = FeatureALS(factors=6, seed=1).fit(planted, both)
    loaded = load(save(fitted, tmp_path))
    histories = histories_of(planted, [27, 28])
    assert np.array_equal(loaded.fold_in(histories), fitted.fold_in(histories))


def test_size_counts_the_arrays(planted):
    model = Popularity().fit(planted)
    seen = model.seen_
    parts = (seen.data, seen.indices, seen.indptr, model.popularity_)
    assert size(model) == sum(part.nbytes for part in parts)


def test_what_is_more_than_arrays_is_refused(planted, features, tmp_path):
    network = AlphaRec(dim=4, epochs=1).fit(planted, features)
    with pytest.raises(ValueError, match=r"AlphaRec cannot be saved: .*choose one of ALS"):
        save(network, tmp_path)
    fused = ReciprocalRankFusion({"ease": EASE(), "net": AlphaRec(dim=4, epochs=1)})
    with pytest.raises(ValueError, match="AlphaRec cannot be saved"):
        save(fused.fit(planted, features), tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="EASE is not fitted"):
        save(EASE(), tmp_path)


@pytest.fixture(scope="module")
def whole(planted, features, tmp_path_factory):
    members = {"ease": EASE(l2=5.0), "text": TextSimilarity()}
    model = Ensemble(members, {"ease": 1.0, "text": 1.0}).fit(planted, features)
    return save(model, tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


def rewritten(folder, change):
    """Change the configuration and seal it, as an attacker or another version would have."""
    path = folder / "config.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    seal(folder, ("config.json", "model.safetensors"))


def refused(folder, message, kind=SavedModelError):
    with pytest.raises(kind) as error:
        load(folder)
    assert message in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


CHANGES = {
    "not described by class, params and state alone": lambda c: c.update(code="import os"),
    "no class 'AlphaRec'": lambda c: c.update({"class": "AlphaRec"}),
    "no class 'os.system'": lambda c: c.update({"class": "os.system"}),
    "Ensemble has no 'verbose'": lambda c: c["params"].update(verbose=1),
    "Ensemble has no 'score'": lambda c: c["state"].update(score={"kind": "plain", "value": 1}),
    "Ensemble has no '__class__'": lambda c: c["state"].update(
        __class__={"kind": "plain", "value": 1}
    ),
    "seen_, what every user took, is not there": lambda c: c["state"].update(
        seen_={"kind": "plain", "value": 1}
    ),
    "is of kind 'pickle', which is none": lambda c: c["state"].update(seen_={"kind": "pickle"}),
    "lacks 'extra_'": lambda c: c["state"].update(extra_={"kind": "dense", "turned": False}),
    "which nothing asks for": lambda c: c["state"]["members_"]["members"].pop(),
    "described by class, params": lambda c: c["state"]["members_"]["members"][0].__setitem__(1, 7),
    "'members_'": lambda c: c["state"].pop("members_"),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_config_that_says_more_or_less_is_refused(folder, message):
    rewritten(folder, CHANGES[message])
    refused(folder, message)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_damaged_files_are_refused(folder, name):
    whole = (folder / name).read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[:-1] + b"~", b""):
        (folder / name).write_bytes(damaged)
        refused(folder, f"{name} is not the file that was written")
    seal(folder, FILES[::2])  # half a file that somebody sealed
    refused(folder, "config.json")


def test_a_manifest_of_another_format_or_none_is_refused(folder, tmp_path):
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"format": 3}))
    refused(folder, "its format is 3, this llmrec reads 2")
    for damaged in ("[]", "{", json.dumps({"format": 2, "sha256": 7})):
        path.write_text(damaged)
        refused(folder, "is damaged: save the model again")
    for hashes in ({}, manifest["sha256"] | {"../x": "0"}):
        path.write_text(json.dumps(manifest | {"sha256": hashes}))
        refused(folder, "does not name")
    path.unlink()
    refused(folder, "or by an older version: save the model again", FileNotFoundError)
    refused(tmp_path / "nowhere", "has no manifest.json", FileNotFoundError)


def test_a_missing_file_is_named(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, "has no model.safetensors", FileNotFoundError)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [("seen_.indices", 50, "ind"), ("members_/0/weights_", np.nan, "holds NaN")],
)
def test_arrays_that_would_mislead_are_refused(folder, key, value, message):
    arrays = load_file(folder / "model.safetensors")
    arrays[key].flat[0] = value
    save_file(arrays, folder / "model.safetensors")
    rewritten(folder, lambda c: None)
    refused(folder, message)


def test_writing_again_replaces_and_leaves_nothing_aside(folder, planted):
    save(Popularity().fit(planted), folder)
    assert isinstance(load(folder), Popularity)
    assert sorted(path.name for path in folder.iterdir()) == FILES


def test_als_is_loaded_without_a_warning_of_threads(planted, tmp_path, monkeypatch):
    save(ALS(factors=6, seed=1).fit(planted), tmp_path)
    monkeypatch.setattr("implicit.utils._checked_blas_config", False)  # it warns but once
    with threadpool_limits(2, "blas"):  # warnings are errors here
        load(tmp_path)

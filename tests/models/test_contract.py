"""One contract, inherited by every model, on a rectangular matrix with a known right answer."""

import inspect
import zlib

import numpy as np
import pytest
from scipy import sparse

from chapters.ch06_article import ArticleModel
from chapters.ch08_personal_frequency import PersonalFrequency
from chapters.ch08_recent_popularity import RecentPopularity
from chapters.ch10_sasrec import SASRec
from chapters.ch11_multi_interest import MultiInterest
from chapters.ch11_shared_map import SharedMap
from chapters.ledger_alpha_rec import AlphaRec
from llmrec.data import History, histories_of
from llmrec.language_model import Likelihood
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
    PromptRanker,
    PureSVD,
    ReciprocalRankFusion,
    TextEASE,
    TextKNN,
    TextSimilarity,
    TransitionKNN,
    TwoTower,
)

N_USERS, N_ITEMS = 30, 50
COLD_ITEMS, COLD_USERS = [47, 48, 49], [27, 28, 29]
SMALL = {"dim": 8, "epochs": 20, "batch_size": 8, "lr": 0.02, "dropout": 0.0, "weight_decay": 0.1}
GRAPH = {"dim": 8, "epochs": 20, "batch_size": 8, "lr": 0.02}
SEQUENCE = {"dim": 8, "layers": 1, "max_len": 10, "epochs": 25, "batch_size": 8, "lr": 0.02}


class Fluent:
    """Stands in for a language model: any fixed number for a prompt and a title."""

    def log_likelihood(self, prompts, continuations):
        pairs = zip(prompts, continuations, strict=True)
        total = [zlib.crc32(f"{prompt}{title}".encode()) / 2**32 for prompt, title in pairs]
        return Likelihood(np.array(total), np.ones(len(total), int))

    def __repr__(self):
        return "Fluent()"


FLUENT = Fluent()
FACTORIES = {
    "popularity": lambda: Popularity(),
    "recent-popularity": lambda: RecentPopularity(),
    "personal-frequency": lambda: PersonalFrequency(),
    "itemknn": lambda: ItemKNN(neighbours=20),
    "itemknn-tfidf": lambda: ItemKNN(neighbours=20, weighting="tfidf"),
    "itemknn-bm25": lambda: ItemKNN(neighbours=20, weighting="bm25"),
    "transition": lambda: TransitionKNN(shrinkage=0.0),
    "neighbour-bridge": lambda: NeighbourBridge(text_l2=0.1),
    "text-knn": lambda: TextKNN(neighbours=20),
    "ensemble": lambda: Ensemble(
        {"ease": EASE(l2=5.0), "text": TextSimilarity()}, weights={"ease": 1.0, "text": 2.0}
    ),
    "rank-fusion": lambda: ReciprocalRankFusion({"ease": EASE(l2=5.0), "text": TextSimilarity()}),
    "ease": lambda: EASE(l2=5.0),
    "pure-svd": lambda: PureSVD(factors=3),
    "als": lambda: ALS(factors=6, l2=0.1, seed=1),
    "bpr": lambda: BPR(factors=6, lr=0.1, l2=0.001, iterations=200, seed=1),
    "article": lambda: ArticleModel(dim=4, epochs=2, seed=1),
    "text": lambda: TextSimilarity(),
    "multi-interest": lambda: MultiInterest(distance=0.5),
    "multi-interest-soft": lambda: MultiInterest(distance=0.5, temperature=0.1, centre=True),
    "shared-map": lambda: SharedMap(l2=5.0, text_l2=0.1),
    "feature-als": lambda: FeatureALS(factors=6, l2=0.1, prior=0.3, text_l2=0.1, seed=1),
    "bridge": lambda: Bridge(l2=5.0, text_l2=0.1),
    "bridge-keep": lambda: Bridge(l2=5.0, text_l2=0.1, keep_warm=True),
    "text-ease": lambda: TextEASE(l2=5.0, text_l2=0.1),
    "alpharec": lambda: AlphaRec(**GRAPH, seed=1),
    "alpharec-mlp": lambda: AlphaRec(**GRAPH, map="mlp", seed=1),
    "prompt": lambda: PromptRanker(EASE(l2=5.0), FLUENT, shortlist=3),
    "prompt-yes-no": lambda: PromptRanker(EASE(l2=5.0), FLUENT, "yes-no", shortlist=3),
    "prompt-listwise": lambda: PromptRanker(EASE(l2=5.0), FLUENT, "listwise", shortlist=3),
    "sasrec": lambda: SASRec(**SEQUENCE, seed=1),
    "sasrec-bce": lambda: SASRec(**SEQUENCE | {"epochs": 60}, loss="bce", seed=1),
    "sasrec-started": lambda: SASRec(**SEQUENCE, inputs="text-initialised", seed=1),
    "sasrec-text": lambda: SASRec(**SEQUENCE, inputs="text", seed=1),
    "tower-text": lambda: TwoTower(**SMALL, inputs="text", seed=1),
    "tower-identity": lambda: TwoTower(**SMALL | {"lr": 0.05}, inputs="identity", seed=1),
    "tower-both": lambda: TwoTower(**SMALL, inputs="both", seed=1),
    "tower-bpr": lambda: TwoTower(**SMALL, inputs="text", loss="bpr", seed=1),
    "tower-bce": lambda: TwoTower(**SMALL, inputs="text", loss="bce", activation="gelu", seed=1),
}
IMPERSONAL = {"popularity", "recent-popularity", "article"}
OWN_FIRST = {"personal-frequency"}  # what was taken before, then one order for everybody
NO_FOLD_IN = {"bpr", "tower-identity"}
READS_ORDER = {"transition", "prompt", "prompt-yes-no", "prompt-listwise"}
READS_ORDER |= {"sasrec", "sasrec-bce", "sasrec-started", "sasrec-text"}
# `score` of a user without train rows is that of nobody, or of the mean user.
KNOWS_MORE = {"als", "feature-als", "article"}
READS_TEXT = {"feature-als", "text-ease", "text-knn", "ensemble", "rank-fusion"}
READS_TEXT |= {"alpharec", "alpharec-mlp", "sasrec-text"}
READS_TEXT |= {"multi-interest", "multi-interest-soft", "shared-map"}
READS_TEXT |= {
    "text",
    "bridge",
    "bridge-keep",
    "tower-text",
    "tower-both",
    "tower-bpr",
    "tower-bce",
}
# What scores an item without a text and without train rows 0, and what learns a constant for it.
SILENT = {"text", "text-knn", "multi-interest", "multi-interest-soft", "shared-map", "alpharec"}
SILENT |= {"bridge", "bridge-keep", "text-ease", "neighbour-bridge", "sasrec-text"}
LEARNS_FROM_TEXT = {"feature-als", "alpharec-mlp", "sasrec-started"}
LEARNS_FROM_TEXT |= {"tower-text", "tower-both", "tower-bpr", "tower-bce"}
UNCENTRED = {"text", "text-knn", "multi-interest"}
EVERYBODY = np.arange(N_USERS)
WARM_USERS = np.setdiff1d(EVERYBODY, COLD_USERS)


@pytest.fixture(scope="module", params=FACTORIES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def model(name, planted, features):
    return FACTORIES[name]().fit(planted, features)


def test_init_only_stores_its_arguments(name):
    model = FACTORIES[name]()
    assert vars(model) == model.params
    assert list(model.params) == list(inspect.signature(type(model)).parameters)
    assert repr(model) == repr(FACTORIES[name]())
    assert repr(model).startswith(f"{type(model).__name__}(")
    assert type(model)(**model.params).params == model.params


def test_fit_returns_self_and_leaves_the_arguments_alone(name, planted, features):
    model = FACTORIES[name]()
    before = dict(model.params)
    assert model.fit(planted, features) is model
    assert model.params == before
    learned = set(vars(model)) - set(before)
    assert all(key.endswith("_") or key.startswith("_") for key in learned)


def test_scores_are_finite_float32_of_the_right_shape(model):
    scores = model.score(EVERYBODY)
    assert scores.shape == (N_USERS, N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()  # cold users and cold items too
    assert model.score(np.array([], np.int64)).shape == (0, N_ITEMS)


def test_batch_equals_single(model):
    batch = model.score(EVERYBODY)
    single = np.vstack([model.score(np.array([user])) for user in EVERYBODY])
    np.testing.assert_allclose(batch, single, rtol=1e-5, atol=1e-6)
    items, _ = model.recommend(EVERYBODY, 5)
    for user in (0, 13, 26):
        scores = batch[user, items[user]]
        gaps = np.diff(np.sort(batch[user]))
        if gaps[gaps > 0].min() > 1e-5:  # rounding may not reorder these
            assert model.recommend(np.array([user]), 5)[0].tolist() == [items[user].tolist()]
        assert (np.diff(scores) <= 0).all()


def test_order_of_users_does_not_matter(model):
    order = np.random.default_rng(0).permutation(N_USERS)
    np.testing.assert_allclose(
        model.score(order), model.score(EVERYBODY)[order], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_allclose(
        model.score(np.array([4, 4])), model.score(EVERYBODY)[[4, 4]], rtol=1e-5, atol=1e-6
    )


def test_seen_items_are_never_recommended_and_all_others_are(model, planted):
    items, scores = model.recommend(EVERYBODY, N_ITEMS + 2)
    assert items.dtype == np.int64
    assert scores.dtype == np.float32
    for user in EVERYBODY:
        seen = planted.history.loc[planted.history["user"] == user, "item"]
        listed = items[user][items[user] >= 0]
        assert sorted(listed) == sorted(set(range(N_ITEMS)) - set(seen))
        padding = slice(len(listed), None)
        assert (items[user][padding] == -1).all()
        assert np.isneginf(scores[user][padding]).all()
        assert (np.diff(scores[user][: len(listed)]) <= 0).all()


def test_same_seed_same_bits(name, model, planted, features):
    again = FACTORIES[name]().fit(planted, features)
    assert np.array_equal(again.score(EVERYBODY), model.score(EVERYBODY))


def test_planted_group_is_recovered(name, model, planted):
    items, _ = model.recommend(WARM_USERS, 3)
    if name in IMPERSONAL:  # the right answer: one order for everybody
        full = model.score(EVERYBODY)
        order = np.argsort(-full[0], kind="stable")
        assert (np.diff(full[:, order], axis=1) <= 0).all()
    elif name in OWN_FIRST:
        seen = planted.matrix("history").toarray() > 0
        full = model.score(EVERYBODY)
        worst_own = np.where(seen, full, np.inf).min(axis=1)
        assert (worst_own > np.where(seen, -np.inf, full).max(axis=1)).all()
    else:
        share = (items % 3 == WARM_USERS[:, None] % 3).mean()
        assert share > 0.95, f"{share:.2f} of the lists lie in the user's group (chance: 0.33)"


def test_cold_items_are_found_by_models_that_read_text(name, model):
    cold = model.score(WARM_USERS)[:, COLD_ITEMS]
    right = np.array(COLD_ITEMS)[cold.argmax(axis=1)] % 3 == WARM_USERS % 3
    if name in READS_TEXT:
        assert right.mean() > 0.95


@pytest.mark.parametrize("reader", sorted(SILENT | LEARNS_FROM_TEXT))
def test_the_text_of_an_item_without_one_says_nothing(reader, planted, features):
    """Rows 0 (warm) and 49 (cold) have no text: no direction may be made up for them."""
    silent = [0, 49]
    fits = []
    for shift in (0.0, 2.0):  # what all texts share; it would be the direction made up
        rows = features.items + np.float32(shift)
        rows[silent] = 0
        model = FACTORIES[reader]().fit(planted, Features(items=rows))
        scores = model.score(EVERYBODY)
        assert reader not in SILENT or not scores[:, 49].any()
        fits.append(scores - scores.mean(axis=1, keepdims=True))  # a user's constant is no order
    if reader not in UNCENTRED:
        np.testing.assert_allclose(*fits, atol=1e-2 * np.abs(fits[0]).max())


def test_fold_in_serves_users_unseen_in_training(name, model, planted):
    known = histories_of(planted, COLD_USERS)
    if name in NO_FOLD_IN:
        with pytest.raises(NotImplementedError, match="cannot score users unseen in training"):
            model.fold_in(known)
        return
    scores = model.fold_in(known)
    assert scores.shape == (len(COLD_USERS), N_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()
    empty = model.fold_in([History([]), History([])])
    assert np.isfinite(empty).all()
    assert model.fold_in([]).shape == (0, N_ITEMS)
    if name not in KNOWS_MORE:  # the score of a user is what the history says
        np.testing.assert_allclose(scores, model.score(np.array(COLD_USERS)), rtol=1e-5, atol=1e-6)
    if name not in IMPERSONAL | OWN_FIRST:
        scores[planted.matrix("history")[COLD_USERS].nonzero()] = -np.inf
        assert (scores.argmax(axis=1) % 3 == np.array(COLD_USERS) % 3).all()


def test_a_history_in_another_order_is_another_only_where_order_is_read(name, model, planted):
    if name in NO_FOLD_IN:
        return
    known = [History(row.items) for row in histories_of(planted, WARM_USERS)]
    turned = [History(row.items[::-1]) for row in known]
    same = np.allclose(model.fold_in(known), model.fold_in(turned), rtol=1e-5, atol=1e-6)
    assert same == (name not in READS_ORDER)


def test_unknown_and_malformed_users_are_refused(model):
    with pytest.raises(ValueError, match=r"unknown user code 30: .* 0 to 29"):
        model.score(np.array([0, 30]))
    with pytest.raises(ValueError, match="unknown user code -1"):
        model.recommend(np.array([-1]))
    with pytest.raises(ValueError, match="integer user codes"):
        model.score(np.array([[0, 1]]))
    with pytest.raises(ValueError, match="integer user codes"):
        model.score(np.array(["u1"]))


@pytest.mark.parametrize("k", [0, -3, 2.5])
def test_bad_k_is_refused(model, k):
    with pytest.raises(ValueError, match=f"k={k} must be a whole number of at least 1"):
        model.recommend(np.array([0]), k)


def test_unfitted_model_says_so(name):
    model = FACTORIES[name]()
    with pytest.raises(ValueError, match=r"is not fitted: call fit\(split\) first"):
        model.score(np.array([0]))
    with pytest.raises(ValueError, match="is not fitted"):
        model.recommend(np.array([0]), 3)
    assert not hasattr(model, "seen_")
    with pytest.raises(ValueError, match="is not fitted"):
        model.fold_in([History([0])]) if name not in NO_FOLD_IN else model.seen_


def test_empty_train_part_is_refused(name, split_of, features):
    with pytest.raises(ValueError, match="'planted' has no train interactions"):
        FACTORIES[name]().fit(split_of([], N_USERS, N_ITEMS), features)


def test_bad_histories_are_refused(name, model):
    if name == "bpr":  # refuses every history, see test_fold_in
        return
    with pytest.raises(ValueError, match="history 1 holds item 50, but codes run from 0 to 49"):
        model.fold_in([History([1]), History([2, 50])])
    with pytest.raises(ValueError, match=r"a list of .*History\(items\), got csr_matrix"):
        model.fold_in([sparse.csr_matrix((1, 50))])


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (None, r"needs items vectors: pass fit\(split, Features\(items="),
        (np.ones((49, 8)), r"shape \(49, 8\), expected \(50, d\)"),
        (np.ones(50), r"shape \(50,\), expected \(50, d\)"),
        (np.full((50, 2), "x"), "expected numbers"),
        (np.where(np.arange(50)[:, None] == 7, np.nan, np.ones((50, 2))), "row 7 hold NaN"),
    ],
)
@pytest.mark.parametrize("reader", sorted(READS_TEXT))
def test_bad_item_vectors_are_refused(reader, planted, vectors, message):
    if reader == "feature-als" and vectors is None:  # without text it is plain iALS
        return
    with pytest.raises(ValueError, match=message):
        FACTORIES[reader]().fit(planted, Features(items=vectors))

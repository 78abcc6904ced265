import numpy as np
import pytest

from chapters.ch11_shared_map import SharedMap, departure, learned_maps
from llmrec.models import Features, TextSimilarity
from llmrec.models.ease import ease_weights


def warm_part(split, model):
    """What the map is learned from: text and EASE weights of the warm items."""
    warm = np.setdiff1d(np.arange(split.n_items), split.cold_items)
    weights = ease_weights(split.matrix("train"), model.l2)[np.ix_(warm, warm)]
    return model.items_[warm].astype(float), weights


def test_no_other_map_has_a_smaller_loss(planted, features):
    model = SharedMap(l2=5.0, text_l2=0.3).fit(planted, features)
    text, weights = warm_part(planted, model)
    alike = text @ text.T
    off = ~np.eye(len(text), dtype=bool)
    scale = (weights * alike)[off].sum() / np.square(alike[off]).sum()
    target = np.where(off, weights, scale * alike)  # the diagonal as cI has it

    def loss(m):
        misfit = np.square(target - text @ m @ text.T).sum()
        return misfit + 0.3 * np.square(m - scale * np.eye(8)).sum()

    rng, best = np.random.default_rng(0), loss(model.map_.astype(float))
    for size in (1e-2, 1e-1):
        assert all(loss(model.map_ + size * rng.normal(size=(8, 8))) > best for _ in range(20))


def test_a_strong_prior_is_plain_reading(planted, features):
    """α → ∞ leaves cI, and the identity is centred text similarity."""
    users = np.arange(planted.n_users)
    plain = TextSimilarity(centre=True).fit(planted, features)
    lengths = np.linalg.norm(planted.matrix("history") @ plain.items_, axis=1, keepdims=True)
    identity = SharedMap(map=np.eye(8)).fit(planted, features)
    np.testing.assert_allclose(identity.score(users), plain.score(users) * lengths, atol=1e-5)
    strong = SharedMap(l2=5.0, text_l2=1e9).fit(planted, features)
    scale = strong.map_[0, 0]
    assert scale > 0
    np.testing.assert_allclose(strong.map_, scale * np.eye(8), atol=1e-6)


def test_its_own_map_brought_along_gives_the_same_scores(planted, features):
    own = SharedMap(l2=5.0, text_l2=0.3).fit(planted, features)
    again = SharedMap(map=own.map_).fit(planted, features)
    users = np.arange(planted.n_users)
    np.testing.assert_array_equal(again.score(users), own.score(users))
    larger = SharedMap(map=8 * own.map_).fit(planted, features)
    np.testing.assert_array_equal(larger.recommend(users, 3)[0], own.recommend(users, 3)[0])


def test_a_map_serves_a_catalogue_it_has_never_seen(split_of):
    """Taste follows the first axis only: learned here, it sorts the items of another shop."""
    rng = np.random.default_rng(0)
    here = rng.normal(size=(40, 8)).astype(np.float32)
    cells = [(u, i) for u in range(30) for i in range(40) if (here[i, 0] > 0) == (u % 2 == 0)]
    taught = SharedMap(l2=1.0, text_l2=0.1).fit(split_of(cells, 30, 40), Features(here))
    there = rng.normal(size=(60, 8)).astype(np.float32)
    likes = np.flatnonzero(there[:, 0] > 0)
    elsewhere = split_of([(0, i) for i in likes[:3]] + [(1, i) for i in range(60)], 2, 60)
    hits = []
    for bridge in (taught.map_, np.eye(8)):
        model = SharedMap(map=bridge).fit(elsewhere, Features(there))
        hits.append(np.isin(model.recommend(np.array([0]), 15)[0], likes).mean())
    assert hits[0] == 1.0
    assert hits[1] < 0.9


def test_an_item_without_text_says_nothing(planted, features):
    text = features.items.copy()
    text[[0, 48]] = 0
    model = SharedMap(l2=5.0, text_l2=0.3).fit(planted, Features(text))
    assert not model.score(np.arange(planted.n_users))[:, [0, 48]].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_l2": 0}, "SharedMap: text_l2=0 must be positive"),
        ({"map": np.eye(3)}, r"map has shape \(3, 3\), expected finite numbers \(8, 8\)"),
        ({"map": np.full((8, 8), np.nan)}, "expected finite numbers"),
    ],
)
def test_bad_values_are_named(planted, features, options, message):
    with pytest.raises(ValueError, match=message):
        SharedMap(**options).fit(planted, features)


def test_several_strengths_from_one_decomposition(planted, features):
    maps = learned_maps(planted, features, 5.0, [0.3, 1e9])
    for alpha, found in zip([0.3, 1e9], maps, strict=True):
        own = SharedMap(l2=5.0, text_l2=alpha).fit(planted, features).map_
        np.testing.assert_array_equal(found.astype(np.float32), own)
    with pytest.raises(ValueError, match="text_l2=0 must be positive"):
        learned_maps(planted, features, 5.0, [1.0, 0])


def test_departure_from_plain_reading():
    """diag(3, 1) is 2 I plus diag(1, -1): as far from it as √2 is from 2√2."""
    assert departure(np.diag([3.0, 1.0])) == pytest.approx(0.5)
    assert departure(-7 * np.eye(4)) == 0
    assert departure(np.array([[1.0, 1.0], [-1.0, 1.0]])) == pytest.approx(1)
    assert departure(np.diag([1.0, -1.0])) == np.inf
    with pytest.raises(ValueError, match=r"shape \(2, 3\) is not square"):
        departure(np.ones((2, 3)))

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from llmrec.data import History, histories_of, load, random_split
from llmrec.evaluation import evaluate
from llmrec.models import ALS, FeatureALS, Features

WARM_ITEMS, WARM_USERS = np.arange(47), np.arange(27)
SMALL = {"factors": 4, "l2": 0.5, "unobserved": 0.4, "seed": 1}


@pytest.fixture(scope="module")
def both_sides(features):
    """Features of both sides; the users' are the group's direction plus noise."""
    users = np.eye(3, 5)[np.arange(30) % 3] + 0.1 * np.random.default_rng(5).normal(size=(30, 5))
    return Features(items=features.items, users=users.astype(np.float32))


def loss_of(p, q, x, unobserved, l2):
    c = np.where(x > 0, 1.0, unobserved)
    return (c * (x - p @ q.T) ** 2).sum() + l2 * ((p**2).sum() + (q**2).sum())


def with_constant(vectors, warm):
    f = vectors.astype(np.float64)
    return np.hstack([f - f[warm].mean(axis=0), np.ones((len(f), 1))])


def map_of(prior, vectors, warm):
    """The map B behind prior means F B; F has more rows than columns."""
    f = with_constant(vectors, warm)
    b, *_ = np.linalg.lstsq(f, prior.astype(np.float64), rcond=None)
    np.testing.assert_allclose(f @ b, prior, atol=1e-4)  # linear in the features, cold rows too
    return f[warm], b


def gradients(x, other, own, unobserved):
    """Half the gradient of Σ c (x − ⟨own, other⟩)² in own, with dense matrices."""
    c = np.where(x > 0, 1.0, unobserved)
    return -(c * (x - own @ other.T)) @ other


def test_without_features_it_is_ials_as_implicit_minimises_it(planted):
    """c = α on observed cells and 1 elsewhere is c = 1 and 1/α, with λ/α, up to the factor α."""
    x = planted.matrix("train").toarray()
    ours = FeatureALS(3, l2=0.5, unobserved=0.4, iterations=50).fit(planted)
    theirs = ALS(3, l2=0.5 / 0.4, confidence=1 / 0.4, iterations=50).fit(planted)
    mine, reference = (  # cold rows are zero in both and add nothing but constants
        loss_of(m.user_factors_.astype(float), m.item_factors_.astype(float), x, 0.4, 0.5)
        for m in (ours, theirs)
    )
    assert mine == pytest.approx(reference, rel=1e-3)
    np.testing.assert_allclose(
        ours.score(WARM_USERS)[:, WARM_ITEMS], theirs.score(WARM_USERS)[:, WARM_ITEMS], atol=0.02
    )
    assert not ours.item_prior_.any()
    assert not ours.item_factors_[47:].any()


def test_it_reaches_the_ndcg_of_implicit_on_movielens():
    split = random_split(load("ml-100k"))
    with threadpool_limits(1, "blas"):
        ours, theirs = (
            evaluate(model.fit(split), split, metrics=("ndcg",)).values["ndcg@10"].mean()
            for model in (
                FeatureALS(16, l2=10.0, unobserved=0.5, iterations=10),
                ALS(16, l2=20.0, confidence=2.0, iterations=10),
            )
        )
    assert ours == pytest.approx(theirs, rel=0.01)


@pytest.mark.parametrize("prior", [0.2, 2.0])
def test_all_gradients_vanish_at_the_fixed_point(planted, both_sides, prior):
    options = SMALL | {"factors": 3, "iterations": 200}
    model = FeatureALS(**options, prior=prior, text_l2=3.0).fit(planted, both_sides)
    p, q = model.user_factors_.astype(float), model.item_factors_.astype(float)
    x = planted.matrix("train").toarray()[np.ix_(WARM_USERS, WARM_ITEMS)]
    sides = (
        (x, p, q, model.user_prior_, both_sides.users, WARM_USERS, WARM_ITEMS),
        (x.T, q, p, model.item_prior_, both_sides.items, WARM_ITEMS, WARM_USERS),
    )
    for cells, own, other, mean, vectors, warm, others in sides:
        away = own[warm] - mean[warm]
        at = gradients(cells, other[others], own[warm], 0.4) + prior * away
        assert np.abs(at).max() < 1e-3
        f, b = map_of(mean, vectors, warm)
        assert np.abs(-prior * f.T @ away + 3.0 * b).max() < 1e-3
        assert np.abs(away).max() > 0.05  # not a trivial solution


def test_an_infinite_prior_weight_leaves_content_only(planted, features):
    model = FeatureALS(**SMALL, prior=np.inf, text_l2=0.3, iterations=15).fit(planted, features)
    assert np.array_equal(model.item_factors_, model.item_prior_)
    assert (model.shrinkage_ == 1).all()
    assert not model.departure_.any()
    # B is the best map: the gradient of the data's loss and the ridge in B vanishes
    f, b = map_of(model.item_factors_, features.items, WARM_ITEMS)
    x = planted.matrix("train").toarray()[np.ix_(WARM_USERS, WARM_ITEMS)]
    p, q = model.user_factors_[WARM_USERS].astype(float), model.item_factors_[WARM_ITEMS]
    assert np.abs(f.T @ gradients(x.T, p, q.astype(float), 0.4) + 0.3 * b).max() < 1e-3


def test_a_large_prior_weight_comes_near_an_infinite_one(planted, features):
    large, infinite = (
        FeatureALS(**SMALL, prior=prior, iterations=30).fit(planted, features)
        for prior in (1e7, np.inf)
    )
    np.testing.assert_allclose(large.score(WARM_USERS), infinite.score(WARM_USERS), atol=1e-3)


def test_a_map_of_zero_is_plain_ials(planted, features):
    """An infinite ridge holds the map, and with it every prior mean, at zero."""
    flat = FeatureALS(**SMALL, prior=0.5, text_l2=1e12).fit(planted, features)
    plain = FeatureALS(**SMALL).fit(planted)
    np.testing.assert_allclose(flat.score(WARM_USERS), plain.score(WARM_USERS), atol=1e-5)


def test_one_curve_from_cold_to_hot(planted, features):
    priors = [0.1, 1.0, 10.0, 100.0]
    models = [FeatureALS(**SMALL, prior=k).fit(planted, features) for k in priors]
    departures = [model.departure_[WARM_ITEMS].mean() for model in models]
    weights = [model.shrinkage_[WARM_ITEMS].mean() for model in models]
    assert (np.diff(departures) < 0).all()
    assert (np.diff(weights) > 0).all()
    for model in models:
        assert np.array_equal(model.item_factors_[47:], model.item_prior_[47:])  # cold: by text
        assert (model.shrinkage_[47:] == 1).all()
        assert (model.shrinkage_[WARM_ITEMS] < 1).all()
        np.testing.assert_allclose(
            model.departure_,
            np.linalg.norm(model.item_factors_ - model.item_prior_, axis=1),
            atol=1e-5,
        )


def test_more_takers_leave_the_prior_less_weight(split_of):
    """Item j was taken by the first 2 (j + 1) of 20 users: H grows with j."""
    split = split_of([(u, j) for j in range(8) for u in range(2 * (j + 1))], 20, 10)
    vectors = np.random.default_rng(0).normal(size=(10, 3))
    model = FeatureALS(**SMALL | {"factors": 2}, prior=1.0).fit(split, Features(items=vectors))
    assert (np.diff(model.shrinkage_[:8]) < 0).all()
    p = model.user_factors_[:16].astype(float)
    h = 0.4 * p.T @ p + 0.6 * p[:6].T @ p[:6]
    # The last step solved for items with these very users.
    assert model.shrinkage_[2] == pytest.approx(
        np.trace(np.linalg.inv(np.eye(2) + h)) / 2, rel=1e-4
    )


def test_fold_in_finds_a_trained_users_factors(planted, features):
    options = SMALL | {"factors": 2, "iterations": 100}
    model = FeatureALS(**options, prior=1.0).fit(planted, features)
    folded = model.fold_in(histories_of(planted, WARM_USERS))
    np.testing.assert_allclose(folded, model.score(WARM_USERS), atol=1e-3)
    thrice = [History(np.repeat(row.items, 3)) for row in histories_of(planted, WARM_USERS)]
    assert np.array_equal(model.fold_in(thrice), folded)  # an item counts once


def test_a_newcomer_starts_from_the_mean_user(planted, both_sides):
    model = FeatureALS(**SMALL, prior=1e9).fit(planted, both_sides)
    folded = model.fold_in(histories_of(planted, [27]))
    expected = model.user_prior_[WARM_USERS].mean(axis=0) @ model.item_factors_.T
    np.testing.assert_allclose(folded[0], expected, atol=1e-4)
    assert np.array_equal(model.user_factors_[27:], model.user_prior_[27:])


def test_only_dot_products_of_the_features_matter(planted, features):
    """A rotation into more dimensions than items changes nothing, though another path is taken."""
    wide = np.linalg.qr(np.random.default_rng(2).normal(size=(80, 8)))[0].T  # (8, 80)
    narrow, rotated = (
        FeatureALS(**SMALL, prior=1.0).fit(planted, Features(items=vectors)).score(WARM_USERS)
        for vectors in (features.items, features.items.astype(np.float64) @ wide)
    )
    np.testing.assert_allclose(narrow, rotated, atol=1e-4)


@pytest.mark.parametrize("name", ["factors", "l2", "prior", "text_l2", "unobserved"])
def test_bad_arguments(planted, name):
    with pytest.raises(ValueError, match=f"FeatureALS: {name}=-1 must be positive"):
        FeatureALS(**{name: -1}).fit(planted)


def test_bad_user_vectors(planted):
    with pytest.raises(ValueError, match=r"users vectors have shape \(29, 2\), expected \(30, d\)"):
        FeatureALS().fit(planted, Features(users=np.ones((29, 2))))

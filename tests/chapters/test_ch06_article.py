import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from chapters.ch06_article import ArticleModel
from llmrec.models import Popularity


@pytest.fixture(scope="module")
def model(planted):
    return ArticleModel(dim=4, epochs=3, seed=2).fit(planted)


def test_the_score_is_the_network_and_is_a_sum(model):
    users, items = np.divmod(np.arange(30 * 50), 50)
    with torch.no_grad():
        logits = model.net_(torch.from_numpy(users), torch.from_numpy(items)).numpy()
    scores = model.score(np.arange(30))
    np.testing.assert_allclose(scores.ravel(), logits, atol=1e-5)
    total = model.user_effect_[:, None] + model.item_effect_ + model.intercept_
    np.testing.assert_allclose(scores, total, atol=1e-6)


def test_an_additive_score_has_rank_at_most_two_and_no_interaction(model):
    s = model.user_effect_[:, None] + model.item_effect_ + model.intercept_
    interaction = s - s.mean(0) - s.mean(1, keepdims=True) + s.mean()
    assert np.abs(interaction).max() < 1e-12


def test_every_user_gets_the_same_ranking(model):
    scores = model.score(np.arange(30))
    order = np.argsort(-model.item_effect_, kind="stable")
    for user in range(30):
        assert (np.diff(scores[user, order]) <= 0).all()
        tau = kendalltau(scores[user], model.item_effect_).statistic
        assert tau == pytest.approx(1.0, abs=1e-3)  # float32 may merge two scores, never swap
        assert np.argsort(-scores[user], kind="stable").tolist() == order.tolist()


def test_the_one_ranking_is_about_popularity(split_of):
    """With enough training the item effect orders items by how often they were taken."""
    rng = np.random.default_rng(0)
    share = np.linspace(0.9, 0.1, 12)
    split = split_of(np.argwhere(rng.random((60, 12)) < share), 60, 12)
    model = ArticleModel(dim=4, epochs=20, lr=0.05, batch_size=128, seed=0).fit(split)
    popularity = Popularity().fit(split).popularity_
    assert kendalltau(model.item_effect_, popularity).statistic > 0.8


def test_loss_falls(model):
    assert len(model.history_) == 3
    assert model.history_[-1] < model.history_[0]


def test_bad_dim(planted):
    with pytest.raises(ValueError, match="dim=0 must be at least 1"):
        ArticleModel(dim=0).fit(planted)

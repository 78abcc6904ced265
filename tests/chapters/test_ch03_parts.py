"""Chapter 3 beside the notebook: user kNN, behaviour vectors, exchanges, figures."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from chapters import ch03_figures, ch03_parts
from chapters.ch03_southern_women import southern_women, swap_marks
from llmrec.data import Split
from llmrec.encoders import get_encoder
from llmrec.evaluation import Evaluation
from llmrec.models import Popularity
from llmrec.plots import use_style
from llmrec.repro import record


def evaluation(values, users):
    return Evaluation("m", (10,), np.array(users), {"ndcg@10": np.array(values, float)})


@pytest.fixture
def runs():
    """The decoder was asked about users 2 and 3 only."""
    values = {
        "item kNN": [0.1, 0.2, 0.3, 0.4],
        "item model from text": [0.2, 0.2, 0.5, 0.4],
        "user model from text": [0.1, 0.2, 0.5, 0.4],
        "learnt algorithm": [0.4, 0.4, 0.7, 0.6],
    }
    out = {name: evaluation(row, range(4)) for name, row in values.items()}
    out["decoder as algorithm"] = evaluation([0.1, 0.2], [2, 3])
    return out | {"decoder, another's history": evaluation([0.1, 0.4], [2, 3])}


@pytest.fixture(scope="module")
def women():
    events = southern_women().coded
    return Split(southern_women(), "all", 0, events, events[:0], events[:0], events)


def test_user_knn_is_item_knn_of_the_transposed_table(women):
    x = women.matrix("train").toarray()
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = (unit @ unit.T - np.eye(18)) @ x
    np.testing.assert_allclose(ch03_parts.user_knn_scores(women), expected, atol=1e-4)


def test_scores_are_judged_as_the_model_that_gave_them(planted):
    warm = np.setdiff1d(planted.test_users, planted.cold_users)
    scores = Popularity().fit(planted).score(np.arange(planted.n_users))
    by_scores = ch03_parts.judge(scores, planted, users=warm)
    by_model = ch03_parts.judge(Popularity(), planted, users=warm)
    np.testing.assert_array_equal(by_scores.per_user("ndcg@10"), by_model.per_user("ndcg@10"))


def test_only_users_who_are_asked_have_a_behaviour_vector(split_of):
    split = split_of([(0, 11), (1, 12), (2, 13)], 3, 14)
    vectors = ch03_parts.behaviour_vectors(split, [0, 2], get_encoder("hash"), budget=64)
    assert vectors[[0, 2]].any(axis=1).all()
    assert not vectors[1].any()
    assert (vectors[0] != vectors[2]).any()


def test_no_other_item_can_be_shortlisted():
    scores = np.array([[0.9, -0.5, 0.1]], np.float32)
    restricted = ch03_parts.restricted(scores, np.array([1, 2]))
    assert np.argsort(-restricted[0]).tolist() == [2, 1, 0]
    assert ch03_parts.restricted(scores, None) is scores


def test_an_exchange_is_paired_over_the_users_of_both(runs):
    changes = ch03_parts.exchanges(runs)
    assert changes["item model: columns → text"].difference == pytest.approx(0.075)
    decoder = changes["algorithm: dot → decoder"]
    assert (decoder.n, decoder.difference) == (2, pytest.approx(-0.3))


def test_records_keep_their_keys(runs, monkeypatch):
    monkeypatch.setattr(record, "chapters", {})
    ch03_parts.record_levels("ch03.seats", {"new films": runs})
    ch03_parts.record_exchanges("new films", runs)
    found = record.chapters["ch03"]["records"]
    level = found["ch03.seats.new-films.algorithm-seat-anothers-history.ndcg10"]
    assert (level["value"], level["tolerance"]) == (0.25, 0.012)
    assert found["ch03.swap.new-films.own-history.difference"]["value"] == pytest.approx(-0.1)
    assert found["ch03.swap.new-films.item.low"]["tolerance"] == 0.005


def test_swapped_marks_keep_every_sum_and_move_many(women):
    x = women.matrix("train").toarray()
    mixed = swap_marks(x, np.random.default_rng(0))
    np.testing.assert_array_equal(mixed.sum(axis=0), x.sum(axis=0))
    np.testing.assert_array_equal(mixed.sum(axis=1), x.sum(axis=1))
    assert (mixed != x).sum() > 20


def test_figures_show_what_they_are_given(runs):
    use_style()
    x, names = np.eye(18, 14), [f"Woman {n}" for n in range(18)]
    dots = np.arange(36.0).reshape(18, 2)
    grid = ch03_figures.table(x, names).axes[0]
    assert [label.get_text() for label in grid.get_yticklabels()] == names
    plane = ch03_figures.plane(dots, dots[:14], names).axes[0]
    labels = [text.get_text() for text in plane.texts]
    assert labels[-1] == "13, 14"
    assert len(labels) == 18 - len(ch03_figures.UNNAMED) + 13
    six = ch03_figures.score_grids({f"model {n}": n + x for n in range(6)}, x, names)
    assert [ax.get_title(loc="left") for ax in six.axes] == [f"model {n}" for n in range(6)]
    swaps = ch03_figures.exchanges({regime: ch03_parts.exchanges(runs) for regime in "ab"})
    assert [text.get_text() for text in swaps.axes[1].texts][:1] == ["+0.075"]
    real = ch03_figures.real_data(dict.fromkeys("abc", runs), dict.fromkeys(runs, "id"))
    assert [ax.get_title(loc="left") for ax in real.axes] == ["a", "b", "c"]
    plt.close("all")

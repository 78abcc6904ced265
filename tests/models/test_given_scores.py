import numpy as np
import pytest

from llmrec.models import GivenScores


@pytest.fixture
def split(split_of):
    return split_of([(0, 0), (1, 2)], 2, 3)


def test_the_given_table_is_ranked_without_what_was_seen(split):
    model = GivenScores(np.array([[9.0, 1.0, 2.0], [0.5, 0.25, 9.0]])).fit(split)
    assert model.score(np.array([1, 0])).tolist() == [[0.5, 0.25, 9.0], [9.0, 1.0, 2.0]]
    assert model.score(np.array([1])).dtype == np.float32
    assert model.recommend(np.array([0, 1]), 2)[0].tolist() == [[2, 1], [0, 1]]


def test_a_table_of_another_shape_or_with_gaps_is_refused(split):
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(2, 3\)"):
        GivenScores(np.zeros((3, 2))).fit(split)
    with pytest.raises(ValueError, match="NaN or infinity"):
        GivenScores(np.array([[0, np.nan, 0], [0, 0, 0]])).fit(split)


def test_unknown_users_and_histories_are_refused(split):
    model = GivenScores(np.zeros((2, 3))).fit(split)
    with pytest.raises(ValueError, match="unknown user code 2"):
        model.score(np.array([2]))
    with pytest.raises(NotImplementedError, match="cannot score users unseen in training"):
        model.fold_in(split.matrix("history"))


def test_repr_tells_the_shape_not_the_numbers():
    assert repr(GivenScores(np.zeros((2, 3)))) == "GivenScores(scores=(2, 3))"

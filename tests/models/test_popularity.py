import numpy as np

from llmrec.data import History
from llmrec.models import Popularity


def test_share_of_users_counts_repeats_once(split_of):
    split = split_of([(0, 1), (0, 1), (1, 1), (2, 0)], 4, 3)
    model = Popularity().fit(split)
    assert model.popularity_.tolist() == [0.25, 0.5, 0.0]
    assert model.score(np.array([3, 0])).tolist() == [[0.25, 0.5, 0.0]] * 2
    assert model.fold_in([History([])]).tolist() == [[0.25, 0.5, 0.0]]

import warnings

import numpy as np
import pytest
from scipy import sparse

from llmrec.models import ItemKNN
from llmrec.models.neighbours import keep_largest


def brute_force(x, neighbours, shrinkage):
    n = x.shape[1]
    out = np.zeros((n, n))
    for i in range(n):
        scored = []
        for j in range(n):
            dot = float(x[:, i] @ x[:, j])
            if i != j and dot > 0:
                length = np.sqrt(x[:, i].sum() * x[:, j].sum())
                scored.append((-dot / (length + shrinkage), j))
        for value, j in sorted(scored)[:neighbours]:
            out[j, i] = -value
    return out


@pytest.mark.parametrize("shrinkage", [0.0, 3.5])
@pytest.mark.parametrize("neighbours", [1, 4, 100])
def test_equals_brute_force(split_of, neighbours, shrinkage):
    x = (np.random.default_rng(1).random((25, 14)) < 0.3).astype(float)
    x[:, 5] = 0  # a cold item
    split = split_of(np.argwhere(x), *x.shape)
    model = ItemKNN(neighbours, shrinkage).fit(split)
    expected = brute_force(x, neighbours, shrinkage)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, atol=1e-6)
    np.testing.assert_allclose(model.score(np.arange(25)), x @ expected, atol=1e-5)


def test_hand_example(split_of):
    # item 0: users 0, 1; item 1: users 0, 1, 2; item 2: user 2. cos(0,1) = 2/√6, cos(1,2) = 1/√3
    split = split_of([(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (2, 2)], 3, 3)
    scores = ItemKNN().fit(split).score(np.array([2]))
    np.testing.assert_allclose(scores, [[2 / 6**0.5, 1 / 3**0.5, 1 / 3**0.5]], rtol=1e-6)


@pytest.mark.parametrize("bad", [{"neighbours": 0}, {"shrinkage": -1.0}])
def test_bad_arguments(planted, bad):
    with pytest.raises(ValueError, match="must be at least 1 and"):
        ItemKNN(**bad).fit(planted)


# Users 0 … 3 took 2, 1, 3 and 1 of the 3 items; items have 3, 2 and 2 users.
CELLS = [(0, 0), (0, 1), (1, 2), (2, 0), (2, 1), (2, 2), (3, 0)]


def test_tfidf_by_hand(split_of):
    model = ItemKNN(weighting="tfidf", shrinkage=0.1).fit(split_of(CELLS, 4, 3))
    # ln(3 / (1 + n)): 0 for user 0, ln(3/2) for users 1 and 3, ln(3/4) < 0 for user 2.
    one, all_ = np.log(3 / 2) ** 2, np.log(3 / 4) ** 2
    lengths = np.sqrt([all_ + one, all_, one + all_])
    expected = all_ / (np.outer(lengths, lengths) + 0.1)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-6)


def test_bm25_by_hand(split_of):
    model = ItemKNN(weighting="bm25").fit(split_of(CELLS, 4, 3))
    mean = 7 / 3
    factor = [2.2 / (1.2 * (0.25 + 0.75 * n / mean) + 1) for n in (3, 2, 2)]
    expected = (
        np.outer(factor, factor) * np.log(3 / 4) ** 2
    )  # user 2 alone links them: 0's idf is 0
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(model.similarity_.toarray(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("weighting", "peer"),
    [("none", "CosineRecommender"), ("tfidf", "TFIDFRecommender"), ("bm25", "BM25Recommender")],
)
def test_weightings_equal_those_of_implicit(split_of, weighting, peer):
    nearest = pytest.importorskip("implicit.nearest_neighbours")
    x = np.random.default_rng(2).random((40, 15)) < 0.3
    split = split_of(np.argwhere(x), *x.shape)
    theirs = getattr(nearest, peer)(K=15, num_threads=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the COO matrix that it makes itself
        theirs.fit(split.matrix("train").astype(np.float64), show_progress=False)
    expected = theirs.similarity.toarray()
    np.fill_diagonal(expected, 0)  # they keep an item as its own neighbour
    ours = ItemKNN(neighbours=15, weighting=weighting).fit(split).similarity_.toarray()
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_a_user_whose_idf_is_0_divides_nothing_by_0(split_of):
    model = ItemKNN(weighting="tfidf").fit(split_of([(0, 0), (0, 1)], 1, 3))
    assert model.similarity_.nnz == 0


def test_unknown_weighting(planted):
    with pytest.raises(ValueError, match="weighting='idf' is none of none, tfidf, bm25"):
        ItemKNN(weighting="idf").fit(planted)
    with pytest.raises(ValueError, match=r"shrinkage=2.0 has no denominator .* leave it at 0"):
        ItemKNN(weighting="bm25", shrinkage=2.0).fit(planted)


def test_keep_largest_equals_a_sort_of_every_column():
    rng = np.random.default_rng(0)
    dense = rng.integers(-2, 4, (40, 30)) * (rng.random((40, 30)) < 0.5)
    kept = keep_largest(sparse.csc_matrix(dense.astype(float)), 6).toarray()
    for column, found in zip(dense.T, kept.T, strict=True):
        rows = [row for row in np.argsort(-column, kind="stable") if column[row]][:6]
        expected = np.zeros(40)
        expected[rows] = column[rows]
        np.testing.assert_array_equal(found, expected)

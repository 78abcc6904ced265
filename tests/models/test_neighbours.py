import numpy as np
import pytest

from llmrec.models import ItemKNN


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

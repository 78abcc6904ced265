import numpy as np
import pandas as pd
import pytest

from llmrec.data import load
from llmrec.encoders import column_vectors

FILMS = pd.DataFrame(
    {
        "genres": ["Drama, Action", "Drama", "", None, "Drama, Drama"],
        "year": pd.array([1990, 1995, 2000, None, 1992], dtype="Int64"),
        "title": list("abcde"),
    }
)


def test_labels_are_unit_rows_over_sorted_labels():
    half = np.float32(0.5**0.5)
    expected = np.array([[half, half], [0, 1], [0, 0], [0, 0], [0, 1]], np.float32)
    assert np.array_equal(column_vectors(FILMS, ["genres"]), expected)


def test_numbers_lie_between_their_two_knots():
    hats = column_vectors(FILMS, numbers=["year"], knots=3)  # knots: 1990, 1993.5, 2000
    expected = [[1, 0, 0], [0, 10 / 13, 3 / 13], [0, 0, 1], [0, 0, 0], [3 / 7, 4 / 7, 0]]
    np.testing.assert_allclose(hats, expected, atol=1e-6)
    there = hats.any(axis=1)
    np.testing.assert_allclose(hats[there] @ [1990, 1993.5, 2000], [1990, 1995, 2000, 1992])


def test_blocks_stand_side_by_side_and_equal_quantiles_merge():
    both = column_vectors(FILMS, ["genres"], ["year"], knots=3)
    assert both.dtype == np.float32
    assert np.array_equal(both[:, :2], column_vectors(FILMS, ["genres"]))
    same = pd.DataFrame({"year": [1995, 1995, 1995, 1996]})
    assert column_vectors(same, numbers=["year"], knots=4).shape == (4, 2)


def test_movielens_has_its_eighteen_genres():
    vectors = column_vectors(load("ml-100k").items, ["genres"])
    assert vectors.shape == (1682, 18)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "name at least one column"),
        ({"labels": ["genres"], "knots": 1}, ValueError, "at least 2 knots"),
        ({"labels": ["genre"]}, KeyError, "no column 'genre'; it has genres, year, title"),
        ({"numbers": ["title"]}, ValueError, "'title' holds more than numbers; name it in labels"),
    ],
)
def test_bad_arguments(options, error, message):
    with pytest.raises(error, match=message):
        column_vectors(FILMS, **options)


def test_a_column_without_numbers_is_refused():
    with pytest.raises(ValueError, match="'year' has no number; leave it out"):
        column_vectors(pd.DataFrame({"year": [None, np.nan]}), numbers=["year"])

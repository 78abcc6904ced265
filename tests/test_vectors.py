import numpy as np
import pytest

from llmrec.vectors import centred, decay, unit_rows


def test_unit_rows_keep_zero_rows():
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [
        [0.6000000238418579, 0.800000011920929],
        [0, 0],
    ]


def test_a_row_without_text_is_in_no_mean_and_stays_zero():
    rows = np.array([[1.0, 2.0], [3.0, 6.0], [0.0, 0.0], [5.0, 1.0]])
    assert centred(rows).tolist() == [[-2, -1], [0, 3], [0, 0], [2, -2]]
    warm = np.array([True, True, True, False])
    assert centred(rows, warm=warm).tolist() == [[-1, -2], [1, 2], [0, 0], [3, -3]]
    assert centred(rows, np.array([1.0, 1.0])).tolist() == [[0, 1], [2, 5], [0, 0], [4, 0]]
    assert rows[0].tolist() == [1, 2]


def test_centred_keeps_the_precision_and_rows_without_a_mean():
    assert centred(np.ones((2, 3), np.float32)).dtype == np.float32
    rows = np.array([[0.0, 0.0], [1.0, 2.0]])
    assert centred(rows, warm=np.array([True, False])) is rows


def test_decay_halves_with_every_half_life():
    assert decay([0, 2, 4], 2).tolist() == [1, 0.5, 0.25]
    assert decay(np.array([[0.0, 1e9]]), np.inf).tolist() == [[1, 1]]
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"half_life=.* must be positive"):
            decay([1.0], wrong)

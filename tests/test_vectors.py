import numpy as np

from llmrec.vectors import unit_rows


def test_unit_rows_keep_zero_rows():
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist() == [
        [0.6000000238418579, 0.800000011920929],
        [0, 0],
    ]

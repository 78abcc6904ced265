import dataclasses

import numpy as np
import pytest

from llmrec.data import History, histories_of


def test_events_are_ordered_by_time_then_row(split_of):
    split = split_of([(2, 5), (0, 6), (2, 7), (0, 8), (2, 9)], 4, 10, weights=[1, 2, 3, 4, 5])
    known = split.history.assign(timestamp=[30, 0, 10, 0, 10])
    known = dataclasses.replace(split, history=known)
    found = histories_of(known)
    assert [row.items.tolist() for row in found] == [[6, 8], [], [7, 9, 5], []]
    assert found[2].times.tolist() == [10, 10, 30]
    assert found[2].weights.tolist() == [3, 5, 1]
    assert [len(row) for row in histories_of(known, [2, 2, 1])] == [3, 3, 0]


def test_numbers_are_whole_codes_and_floats():
    history = History([3, 1, 3], times=[1, 1, 2])
    assert history.items.dtype == np.int64
    assert history.times.dtype == np.float64
    assert history.weights is None
    assert len(History([])) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, -1],), "items must list item codes"),
        (([[1]],), "items must list item codes"),
        (([0.5],), "items must list item codes"),
        (([1, 2], [1]), "times must hold one finite number for each item"),
        (([1, 2], [2, 1]), "times decrease; list the events oldest first"),
        (([1], None, [np.nan]), "weights must hold one finite number"),
    ],
)
def test_bad_histories(arguments, message):
    with pytest.raises(ValueError, match=message):
        History(*arguments)

import pandas as pd

from llmrec.data import in_order, sequences

EVENTS = pd.DataFrame(
    {
        "user": [2, 0, 2, 0, 2, 0, 2],
        "item": [5, 6, 7, 8, 9, 10, 7],
        "timestamp": [30, 0, 10, 0, 10, 0, 20],
    }
)


def test_order_is_by_user_then_time_then_row():
    ordered = in_order(EVENTS)
    assert ordered["user"].tolist() == [0, 0, 0, 2, 2, 2, 2]
    assert ordered["item"].tolist() == [6, 8, 10, 7, 9, 7, 5]


def test_every_user_has_a_sequence_and_the_empty_too():
    got = [items.tolist() for items in sequences(EVENTS, 4)]
    assert got == [[6, 8, 10], [], [7, 9, 7, 5], []]


def test_an_item_taken_twice_can_stay_where_it_was_first_or_last():
    assert sequences(EVENTS, 4, keep="first")[2].tolist() == [7, 9, 5]
    assert sequences(EVENTS, 4, keep="last")[2].tolist() == [9, 7, 5]
    assert sequences(EVENTS, 4, keep="last")[0].tolist() == [6, 8, 10]

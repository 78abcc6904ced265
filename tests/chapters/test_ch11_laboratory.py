import numpy as np
import pandas as pd
import pytest

from chapters.ch11_laboratory import laboratory
from llmrec.data import Dataset


@pytest.fixture
def shop():
    """Items a, b, c, d taken by 3, 3, 2 and 1 of four users; user 3 took b twice."""
    pairs = [(0, "a"), (0, "b"), (0, "c"), (1, "a"), (1, "b"), (2, "a"), (2, "c"), (3, "b")]
    pairs += [(3, "b"), (3, "d")]
    events = pd.DataFrame(pairs, columns=["user", "item"]).assign(timestamp=range(1, 11))
    events = events.assign(weight=1.0, action="take")
    return Dataset("shop", events, pd.DataFrame({"item": list("abcd"), "title": list("ABCD")}))


def test_the_most_taken_items_with_a_text_are_kept(shop):
    lab, texts = laboratory(
        shop, ["", "bread", "cheese", "dill"], n_items=2, n_users=9, min_events=1
    )
    assert texts == ["bread", "cheese"]
    assert lab.items["title"].tolist() == texts
    assert lab.item_ids.tolist() == [1, 2]  # codes of the dataset
    # Users 0 (b, c), 1 (b), 2 (c) and 3 (b, of two events the later one).
    assert sorted(zip(lab.coded["user"], lab.coded["item"], strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 1),
        (3, 0),
    ]
    assert lab.interactions.query("user == 3")["timestamp"].tolist() == [9]


def test_users_with_too_few_items_are_left_out(shop):
    lab, _ = laboratory(shop, list("abcd"), n_items=3, n_users=9, min_events=2)
    assert lab.user_ids.tolist() == [0, 1, 2]


def test_users_are_drawn_by_the_seed_and_an_item_that_nobody_takes_is_no_item(shop):
    cut = [laboratory(shop, list("abcd"), 4, 2, min_events=1, seed=s)[0] for s in (0, 0, 1, 2, 3)]
    users = [tuple(lab.user_ids) for lab in cut]
    assert users[0] == users[1]
    assert len(set(users)) > 1
    assert all(len(one) == 2 for one in users)
    assert laboratory(shop, ["a", "", "", ""], 4, 9, min_events=1)[0].n_items == 1


def test_what_cannot_be_cut_is_said(shop):
    with pytest.raises(ValueError, match="3 texts for 4 items"):
        laboratory(shop, list("abc"), 2, 2)
    with pytest.raises(ValueError, match="no user has taken 4 of the 2 items"):
        laboratory(shop, list("abcd"), 2, 2, min_events=4)
    assert np.all(shop.item_ids == list("abcd"))

"""PersonalFrequency: decayed own counts, then everybody's, in hand-computed fractions."""

import numpy as np
import pandas as pd
import pytest

from chapters.ch08_personal_frequency import PersonalFrequency
from llmrec.data import Dataset, History, Split

DAY = 86_400


def split_of_days(train, n_users, n_items, history=()):
    """Rows are (user, item, day)."""

    def frame(rows):
        rows = np.asarray(list(rows), np.int64).reshape(-1, 3)
        return pd.DataFrame(
            {
                "user": rows[:, 0],
                "item": rows[:, 1],
                "timestamp": rows[:, 2] * DAY,
                "weight": 1.0,
                "action": "bought",
            }
        )

    items = pd.DataFrame({"item": range(n_items), "title": "thing"})
    everyone = frame([(user, 0, 1) for user in range(n_users)])
    known = pd.concat([frame(train), frame(history)], ignore_index=True)
    return Split(
        Dataset("days", everyone, items),
        "time",
        0,
        frame(train),
        frame(()),
        frame(()),
        history=known,
    )


def test_counts_are_halved_every_half_life_and_backed_off():
    # User 0 took item 0 today and one half-life ago (1 + 1/2), item 1 two half-lives ago (1/4).
    # User 1 took item 2 today (1). All in all: 3/2, 1/4, 1 of 11/4: 6/11, 1/11, 4/11.
    split = split_of_days([(0, 0, 9), (0, 0, 7), (0, 1, 5), (1, 2, 9)], 3, 4)
    model = PersonalFrequency(half_life_days=2.0, backoff=1.0).fit(split)
    np.testing.assert_allclose(model.popularity_, [6 / 11, 1 / 11, 4 / 11, 0], rtol=1e-6)
    first, second, nobody = model.score(np.arange(3))
    total = 7 / 4 + 1
    wanted = [(3 / 2 + 6 / 11) / total, (1 / 4 + 1 / 11) / total, 4 / 11 / total, 0]
    np.testing.assert_allclose(first, wanted, rtol=1e-6)
    np.testing.assert_allclose(second, np.array([6, 1, 4 + 11, 0]) / 22, rtol=1e-6)
    np.testing.assert_allclose(nobody, [6 / 11, 1 / 11, 4 / 11, 0], rtol=1e-6)
    np.testing.assert_allclose(model.score(np.arange(3)).sum(axis=1), 1, rtol=1e-6)


def test_an_infinite_half_life_counts_events():
    split = split_of_days([(0, 0, 1), (0, 0, 50), (0, 1, 100)], 1, 2)
    model = PersonalFrequency(half_life_days=np.inf, backoff=3.0).fit(split)
    assert model.counts_.toarray().tolist() == [[2, 1]]
    np.testing.assert_allclose(model.score(np.array([0])), [[2 / 3, 1 / 3]], rtol=1e-6)


def test_history_beyond_train_counts_for_its_user_and_not_for_the_crowd():
    split = split_of_days([(0, 0, 9)], 2, 2, history=[(1, 1, 11)])
    model = PersonalFrequency(half_life_days=2.0, backoff=1.0).fit(split)
    assert model.popularity_.tolist() == [1, 0]
    assert model.counts_.toarray().tolist() == [[0.5, 0], [0, 1]]
    assert model.score(np.array([1])).tolist() == [[0.5, 0.5]]


def test_fold_in_counts_back_from_the_latest_event_of_training():
    split = split_of_days([(0, 0, 9), (1, 1, 9)], 2, 2)
    model = PersonalFrequency(half_life_days=2.0, backoff=1.0).fit(split)
    days = DAY * np.array([7, 9, 11])
    folded = model.fold_in([History([0, 0, 0]), History([]), History([0, 0, 1], days)])
    np.testing.assert_allclose(folded, [[3.5 / 4, 0.5 / 4], [0.5, 0.5], [2 / 3.5, 1.5 / 3.5]])


@pytest.mark.parametrize("bad", [{"half_life_days": 0.0}, {"backoff": 0.0}, {"backoff": np.inf}])
def test_bad_arguments_are_refused(bad):
    with pytest.raises(ValueError, match="must be positive"):
        PersonalFrequency(**bad).fit(split_of_days([(0, 0, 1)], 1, 1))

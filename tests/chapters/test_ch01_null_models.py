"""What the null models of chapter 1 keep and break."""

from __future__ import annotations

import numpy as np
import pytest

from chapters.ch01_null_models import focused_choices, shuffled_choices


def at(*degrees: float) -> np.ndarray:
    """Unit vectors of the plane: their cosines are those of the angles between them."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


@pytest.fixture
def choices() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    taken = rng.random((40, 30)) < rng.random(40)[:, None] * rng.random(30)
    users, items = np.nonzero(taken)
    return users, items


def test_a_shuffle_keeps_activity_and_popularity_and_makes_no_pair_twice(choices) -> None:
    users, items = choices
    shuffled = shuffled_choices(users, items, np.random.default_rng(0))
    assert sorted(shuffled) == sorted(items)
    assert len(set(zip(users, shuffled, strict=True))) == len(users)
    assert (shuffled != items).mean() > 0.2
    np.testing.assert_array_equal(
        shuffled, shuffled_choices(users, items, np.random.default_rng(0))
    )
    assert (shuffled != shuffled_choices(users, items, np.random.default_rng(1))).any()
    np.testing.assert_array_equal(items, choices[1])  # the input stays as it is
    np.testing.assert_array_equal(
        items, shuffled_choices(users, items, np.random.default_rng(0), sweeps=0)
    )


def test_every_table_with_these_margins_is_reached_equally_often() -> None:
    """Three users with one item each: six tables; none may be favoured."""
    rng = np.random.default_rng(0)
    tables = [tuple(shuffled_choices(range(3), range(3), rng)) for _ in range(1200)]
    counts = [tables.count(table) for table in set(tables)]
    assert len(counts) == 6
    assert min(counts) > 150  # 200 expected, standard deviation 13


def test_a_shuffle_breaks_taste() -> None:
    """Two camps with their own items: after a shuffle half of the items are the other camp's."""
    users, items = np.divmod(np.arange(40 * 10), 10)
    items = items + 10 * (users >= 20)
    users, items = users[items % 10 < 9], items[items % 10 < 9]
    # A camp of everyone who takes everything cannot move: leave each user one item out.
    keep = (items + users) % 9 != 0
    users, items = users[keep], items[keep]
    shuffled = shuffled_choices(users, items, np.random.default_rng(0))
    own = ((shuffled >= 10) == (users >= 20)).mean()
    assert own == pytest.approx(0.5, abs=0.08)


def test_one_interest_is_the_neighbourhood_of_an_item() -> None:
    rows = 3 * at(0, 50, 40, 200, 10)
    assert focused_choices(rows, [1, 3], 3).tolist() == [[1, 2, 4], [3, 1, 0]]
    # The item comes first even where another row has the same vector.
    assert focused_choices(at(5, 5), [1], 2).tolist() == [[1, 0]]


def test_bad_input_is_named() -> None:
    for call, message in [
        (lambda: shuffled_choices([1, 1], [2, 2], None), "holds an item twice"),
        (lambda: shuffled_choices([1, 1], [2], None), "two equal columns"),
        (lambda: focused_choices(at(1, 2), [0], 3), "n=3: the catalogue has 2 rows"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()

"""MovieLens-100K: titles, the join with the films table, and the dataset's known numbers."""

from __future__ import annotations

import pandas as pd
import pytest

from llmrec.data import Dataset, load
from llmrec.data.loaders.ml_100k import _join, split_title


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Godfather, The (1972)", "The Godfather", 1972),
        ("Smile Like Yours, A (1997)", "A Smile Like Yours", 1997),
        ("Enfer, L' (1994)", "L'Enfer", 1994),
        ("Misérables, Les (1995)", "Les Misérables", 1995),
        ("Tin Drum, The (Blechtrommel, Die) (1979)", "The Tin Drum (Die Blechtrommel)", 1979),
        ("Seven (Se7en) (1995)", "Seven (Se7en)", 1995),
        ("Heidi Fleiss: Hollywood Madam (1995) ", "Heidi Fleiss: Hollywood Madam", 1995),
        ("Land Before Time III: x (1995) (V)", "Land Before Time III: x", 1995),
        ("Bye Bye, Love (1995)", "Bye Bye, Love", 1995),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Beans of Egypt, Maine, The (1994)", "The Beans of Egypt, Maine", 1994),
        ("unknown", "unknown", None),
    ],
)
def test_titles_are_split_and_their_articles_put_in_front(
    raw: str, title: str, year: int | None
) -> None:
    assert split_title(raw) == (title, year)


def test_the_join_takes_nearest_year_then_main_title_then_first_row() -> None:
    facts = pd.DataFrame(
        [
            ("Alien Café", 1990),
            ("Alien Cafe!", 1991),
            ("alien cafe", 1991),
            ("Other", 1990),
            ("Main & One", 1990),
            ("Late", 1999),
        ],
        columns=["Title", "Year"],
    )
    items = pd.DataFrame(
        [
            ("Alien Cafe", 1991),  # two of that year: the first row
            ("Alien Cafe", 1989),  # only 1990 is within a year
            ("Other (Alien cafe)", 1990),  # both at hand: the main title
            ("No Such (Main and One)", 1990),  # by the title in brackets
            ("Late", 1997),  # two years off
            ("Late", None),
            ("", 1990),
        ],
        columns=["title", "year"],
    ).astype({"year": "Int64"})
    assert _join(items, facts) == [1, 0, 3, 4, -1, -1, -1]


@pytest.fixture(scope="module")
def ml_100k() -> Dataset:
    return load("ml-100k")


@pytest.mark.component
def test_the_known_numbers(ml_100k: Dataset) -> None:
    assert (ml_100k.n_users, ml_100k.n_items, len(ml_100k.interactions)) == (943, 1682, 100_000)
    counts = ml_100k.interactions["weight"].value_counts().sort_index()
    assert counts.to_dict() == {1.0: 6110, 2.0: 11370, 3.0: 27145, 4.0: 34174, 5.0: 21201}
    assert set(ml_100k.interactions["action"]) == {"rated"}
    assert ml_100k.interactions["timestamp"].agg(["min", "max"]).tolist() == [874724710, 893286638]
    assert ml_100k.users is not None
    assert list(ml_100k.users) == ["user", "age", "gender", "occupation", "zip_code"]
    assert ml_100k.users["gender"].value_counts().to_dict() == {"M": 670, "F": 273}


@pytest.mark.component
def test_the_join_covers_1385_films(ml_100k: Dataset) -> None:
    items = ml_100k.items
    assert ml_100k.dropped == {
        "films under a second id (kept)": 18,
        "films without a row in the films table (kept)": 297,
    }
    assert (items["country"] != "").sum() == 1385 == 1682 - 297
    godfather = items.set_index("title").loc["The Godfather"]
    assert godfather["year"] == 1972
    assert godfather["genres"] == "Action, Crime, Drama"
    assert godfather["director"] == "Francis Ford Coppola"
    assert "Marlon Brando" in godfather["cast"]
    assert godfather["runtime"] == 175
    assert items.loc[items["title"] == "unknown", "year"].isna().all()
    assert items["year"].isna().sum() == 1
    texts = items[["title", "genres", "director", "cast", "country"]]
    assert not texts.isna().any(axis=None)
    assert (items["title"] == items["title"].str.strip()).all()

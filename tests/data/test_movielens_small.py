"""MovieLens latest small: the published counts, titles, tags, its template, other columns."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from llmrec.data import DataError, Dataset, load
from llmrec.data.loaders import read_columns
from llmrec.text import behaviour_text, item_text


@pytest.fixture(scope="module")
def films() -> Dataset:
    return load("ml-latest-small")


@pytest.mark.mirror
def test_the_published_counts(films: Dataset) -> None:
    events = films.interactions
    assert (films.n_users, films.n_items, len(events)) == (610, 9_742, 100_836)
    assert events.groupby("user").size().min() == 20
    assert sorted(set(events["weight"])) == [0.5 * step for step in range(1, 11)]
    day = pd.to_datetime(events["timestamp"], unit="s").dt.strftime("%Y-%m-%d")
    assert (day.min(), day.max()) == ("1996-03-29", "2018-09-24")
    assert dict(films.dropped) == {
        "films that nobody rated (kept)": 9_742 - 9_724,
        "films without a year (kept)": int(films.items["year"].isna().sum()),
        "films without a genre (kept)": 34,
    }
    assert films.items["year"].isna().sum() < 20


@pytest.mark.mirror
def test_titles_and_both_templates(films: Dataset) -> None:
    items = films.items
    assert items["title"].iloc[0] == "Toy Story"
    assert items.set_index("item")["title"].loc[858] == "The Godfather"
    genres = "Adventure, Animation, Children, Comedy, Fantasy"
    assert item_text(items.head(1), "ml-latest-small") == [f"Toy Story (1995). Genres: {genres}."]
    event = films.coded[films.coded["item"] == 0].head(1)
    text = behaviour_text(event, items, template="ml-latest-small")
    assert text == f"The user rated Toy Story (1995) {event['weight'].iloc[0]:g} out of 5."


def test_a_missing_column(tmp_path: Path) -> None:
    path = tmp_path / "movies.csv"
    path.write_text("movieId,name\n1,NA\n")
    with pytest.raises(DataError, match=r"movies\.csv has no column 'title'"):
        read_columns(path, ("movieId", "title"))
    assert read_columns(path, ("name",))["name"].tolist() == ["NA"]

"""MovieLens-100K: 100,000 ratings with demographics, and film facts joined from Wikidata."""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from contextlib import closing

import pandas as pd

from llmrec import fetch
from llmrec.data.dataset import Dataset
from llmrec.data.loaders import events_of

ARTICLES = "The|A|An|La|Le|Les|L'|Il|Das|Der|Die|Det|O"
FACTS = {"Director": "director", "Cast": "cast", "Country": "country", "Runtime": "runtime"}


def load() -> Dataset:
    """Return MovieLens-100K: 943 users, 1,682 films, 100,000 ratings from 1 to 5 (``weight``).

    Items: ``title`` ("The Godfather"), ``year``, ``genres`` (comma-separated), and, for the films
    that the films table has, ``director``, ``cast`` (alphabetical), ``country`` and ``runtime`` in
    minutes. Users: ``age``, ``gender``, ``occupation``, ``zip_code``. Some films occur under two
    ids; they are kept, and counted in ``dropped``.

    References
    ----------
    Harper and Konstan 2015, "The MovieLens datasets: history and context", ACM TiiS 5(4).
    """
    folder = fetch.get("movielens-100k")
    ratings, films, people = (
        pd.read_parquet(folder / f"MovieLens100k_{table}.parquet.brotli")
        for table in ("data", "items", "users")
    )
    interactions = events_of(ratings, "rated", user="user_id", item="movie_id", weight="rating")
    items, without = _items(films)
    counts = {
        "films under a second id (kept)": int(items.duplicated(["title", "year"]).sum()),
        "films without a row in the films table (kept)": without,
    }
    users = people.rename(columns={"user_id": "user"})
    return Dataset("ml-100k", interactions, items, users, counts)


def _items(films: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the items table and how many films have no facts."""
    names = [split_title(title) for title in films["movie_title"]]
    genres = list(films.loc[:, "Action":"Western"].columns)  # 18 columns of 0 and 1
    flags = films[genres].to_numpy(bool)
    items = pd.DataFrame(
        {
            "item": films["movie_id"],
            "title": [title for title, _ in names],
            "year": pd.array([year for _, year in names], dtype="Int64"),
            "genres": [
                ", ".join(genre for genre, has in zip(genres, row, strict=True) if has)
                for row in flags
            ],
        }
    )
    facts = _read_facts()
    rows = _join(items, facts)
    found = facts.reindex(rows).reset_index(drop=True)
    for name in ("director", "cast", "country"):
        items[name] = found[name].fillna("")
    items["runtime"] = found["runtime"].round().astype("Int64")
    return items, rows.count(-1)


def split_title(raw: str) -> tuple[str, int | None]:
    """Return title and year, articles in front: "Godfather, The (1972)" → ("The Godfather", 1972).

    Another title in brackets stays: "Tin Drum, The (Blechtrommel, Die) (1979)" → "The Tin Drum
    (Die Blechtrommel)".
    """
    match = re.fullmatch(r"(.*?)\s*\((\d{4})\)(?: \(V\))?", raw.strip())
    title, year = (match[1], int(match[2])) if match else (raw.strip(), None)
    main, other = _titles(title)
    return (f"{main} ({other})" if other else main), year


def _titles(title: str) -> tuple[str, str]:
    """Main title and the one in brackets (or ""), each with its article in front."""
    match = re.fullmatch(r"(.+?) \((.+)\)", title)
    main, other = match.groups() if match else (title, "")
    return _article_first(main), _article_first(other)


def _article_first(title: str) -> str:
    match = re.fullmatch(rf"(.+), ({ARTICLES})", title)
    if not match:
        return title
    return match[2] + ("" if match[2].endswith("'") else " ") + match[1]


def _read_facts() -> pd.DataFrame:
    """Read the films table, ordered by IMDb id so that the choice among equals is settled."""
    database = (fetch.get("films") / "movies.db").as_uri()
    columns = ", ".join(f'"{column}"' for column in ("Title", "Year", *FACTS))
    with closing(sqlite3.connect(f"{database}?mode=ro&immutable=1", uri=True)) as connection:
        facts = pd.read_sql(f"select {columns} from omdb order by imdbID, ID", connection)
    return facts.rename(columns=FACTS)


def _join(items: pd.DataFrame, facts: pd.DataFrame) -> list[int]:
    """Return for each item its row in ``facts``, -1 if none.

    Titles are equal once case, accents and punctuation are gone, years differ by at most one; the
    nearest year wins, then the main title over the one in brackets, then the lower IMDb id.
    """
    places: dict[str, list[int]] = {}
    for place, title in enumerate(facts["Title"]):
        places.setdefault(_plain(title), []).append(place)
    years = facts["Year"].to_numpy()
    rows = []
    for title, year in zip(items["title"], items["year"], strict=True):
        candidates = [
            (abs(int(years[place]) - year), order, place)
            for order, name in enumerate(_titles(title))
            for place in places.get(_plain(name), [])
            if name and not pd.isna(year) and abs(int(years[place]) - year) <= 1
        ]
        rows.append(min(candidates)[2] if candidates else -1)
    return rows


def _plain(title: str) -> str:
    bare = unicodedata.normalize("NFKD", title.lower().replace("&", " and ").replace("'", ""))
    kept = "".join(char for char in bare if not unicodedata.combining(char))
    return re.sub(r"[^a-z0-9]+", " ", kept).strip()

"""Does a decoder use what was said far back? Questions that no word count can answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from llmrec.data import Dataset
from llmrec.language_model import LanguageModel

GENRES = ("comedy", "western", "thriller", "musical", "drama", "documentary")


def famous_films(dataset: Dataset) -> pd.DataFrame:
    """Return the films with a year, most often rated first, one a title."""
    ratings = np.bincount(dataset.coded["item"], minlength=dataset.n_items)
    films = dataset.items.iloc[np.argsort(-ratings, kind="stable")].drop_duplicates("title")
    quoted = films["title"].str.contains('"')
    return films.loc[films["year"].notna() & ~quoted]


def questions(
    films: pd.DataFrame, n_pairs: int, distances: Sequence[int], rng: np.random.Generator
) -> pd.DataFrame:
    """Return the test: two films get a genre each, and after ``distance`` sentences one is asked.

    Each pair stands twice at each distance, with the genres exchanged (``swapped``), so that both
    words occur in both prompts; at the last distance also without the first two sentences (``far``
    False). ``between`` are the sentences in between, ``right`` and ``wrong`` the genres of the
    ``film`` asked and of the other.
    """
    drawn = films.head(200).iloc[rng.permutation(200)]
    pairs = drawn["title"].to_numpy()[: 2 * n_pairs].reshape(-1, 2)
    rest = drawn.iloc[2 * n_pairs :]
    fillers = [
        f'"{title}" came out in {year}. '
        for title, year in zip(rest["title"], rest["year"], strict=True)
    ]
    rows = []
    for pair, films_of in enumerate(pairs):
        genres = rng.choice(GENRES, size=2, replace=False)
        asked = pair % 2  # the first film of a pair, then the second, in turn
        film = films_of[asked]
        for distance in distances:
            between = "".join(
                fillers[(pair * 11 + place) % len(fillers)] for place in range(distance)
            )
            for swapped in (0, 1):
                first, second = genres[::-1] if swapped else genres
                facts = f'"{films_of[0]}" is a {first}. "{films_of[1]}" is a {second}. '
                right, wrong = (second, first) if asked else (first, second)
                common = (pair, distance, swapped)
                prompt = f'{between}"{film}" is a'
                rows.append((*common, True, between, film, facts + prompt, right, wrong))
                if distance == distances[-1]:
                    rows.append((*common, False, between, film, prompt, right, wrong))
    columns = ["pair", "distance", "swapped", "far", "between", "film", "prompt", "right", "wrong"]
    return pd.DataFrame(rows, columns=columns)


def hits(lm: LanguageModel, asked: pd.DataFrame) -> np.ndarray:
    """Return for each question 1 if the right word is likelier than the wrong one, ½ at a tie."""
    right, wrong = (
        lm.log_likelihood(list(asked["prompt"]), [f" {word}" for word in asked[side]]).total
        for side in ("right", "wrong")
    )
    return np.where(right == wrong, 0.5, right > wrong)


def tokens_between(lm: LanguageModel, asked: pd.DataFrame) -> dict[int, int]:
    """Return the mean number of tokens in between, rounded down, of each distance."""
    once = asked.drop_duplicates(["pair", "distance"])
    tokens = once.assign(tokens=[len(lm.token_ids(text)) for text in once["between"]])
    means = tokens.groupby("distance")["tokens"].mean()
    return {int(distance): int(mean) for distance, mean in zip(means.index, means, strict=True)}

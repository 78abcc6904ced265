"""The test of distance: what each prompt says, and that nothing but the facts can decide."""

import numpy as np
import pandas as pd
import pytest

from chapters import ch02_far_words as far
from llmrec.data import Dataset
from llmrec.language_model import LanguageModel

FILMS = pd.DataFrame({"title": [f"Film {n}" for n in range(200)], "year": range(1800, 2000)})


@pytest.fixture
def asked():
    return far.questions(FILMS, n_pairs=3, distances=[0, 2], rng=np.random.default_rng(0))


def test_famous_films_have_a_year_and_are_named_once():
    items = pd.DataFrame(
        {"item": range(5), "title": ["a", "b", 'say "c"', "b", "d"], "year": [1, 2, 3, 4, None]}
    )
    events = pd.DataFrame({"user": [1, 2, 3, 1, 2, 1], "item": [1, 1, 1, 2, 4, 0]})
    events = events.assign(timestamp=0, weight=1.0, action="saw")
    films = far.famous_films(Dataset("toy", events, items))
    assert films["title"].tolist() == ["b", "a"]


def test_a_prompt_says_what_its_row_says(asked):
    for row in asked.itertuples():
        assert row.prompt.endswith(f'{row.between}"{row.film}" is a')
        assert row.between.count("came out in") == row.distance
        assert (f'"{row.film}" is a {row.right}.' in row.prompt) == row.far
        assert (f" is a {row.wrong}." in row.prompt) == row.far
    assert len(asked) == 3 * (2 * 2 + 2)  # each distance in two versions, the last without facts


def test_exchanged_genres_exchange_the_answers(asked):
    here = asked[asked["far"] & (asked["distance"] == 2)].set_index(["pair", "swapped"])
    for pair in range(3):
        assert here.loc[(pair, 0), "right"] == here.loc[(pair, 1), "wrong"]
        assert here.loc[(pair, 0), "film"] == here.loc[(pair, 1), "film"]


def test_without_facts_half_is_right_whatever_the_model(asked, tiny_decoder):
    lm = LanguageModel(str(tiny_decoder))
    without = asked[~asked["far"]].copy()
    without["hit"] = far.hits(lm, without)
    assert (without.groupby("pair")["hit"].mean() == 0.5).all()


def test_tokens_between_are_counted_once_a_pair(asked, tiny_decoder):
    lm = LanguageModel(str(tiny_decoder))  # reads bytes
    text = [
        asked[(asked["pair"] == p) & (asked["distance"] == 2)]["between"].iloc[0] for p in range(3)
    ]
    assert far.tokens_between(lm, asked) == {0: 0, 2: int(np.mean([len(t) for t in text]))}

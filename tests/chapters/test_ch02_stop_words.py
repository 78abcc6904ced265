"""Texts with and without stop words, and bits per character of chosen words."""

import numpy as np
import pytest

from chapters import ch02_stop_words as stop
from llmrec.evaluation import compare_seeds


def test_what_is_removed_and_how_much_it_is():
    texts = [["the", "rock", "(", "1996", ")"], ["nobody"]]
    assert [stop.without_stop_words(text) for text in texts] == [["rock", "(", "1996", ")"], []]
    assert stop.share_of_stop_words(texts) == 0.5  # the, nobody of four; marks do not count


def test_a_corpus_holds_no_text_twice_and_repeats_itself():
    films, products = ["Heat.", "Ran.", "Heat."], [f"Milk {n}" for n in range(9)]
    corpus = stop.drawn_corpus(films, products, 10, 3, seed=1)
    assert sorted(corpus[:2]) == [["heat", "."], ["ran", "."]]
    assert len({tuple(text) for text in corpus}) == len(corpus) == 5
    assert corpus == stop.drawn_corpus(films, products, 10, 3, seed=1)


def test_parts_are_tenths_and_hold_each_text_once():
    corpus = [["the", str(n)] for n in range(40)]
    parts = stop.in_parts(corpus, seed=0)
    assert {part: len(texts) for part, texts in parts["with"].items()} == {
        "test": 4,
        "valid": 4,
        "train": 32,
    }
    together = [text for texts in parts["with"].values() for text in texts]
    assert sorted(together) == sorted(corpus)
    assert parts["without"]["test"] == [text[1:] for text in parts["with"]["test"]]


def test_bits_per_character_of_the_chosen_words():
    runs = [[np.array([6.0, 4.0]), np.array([3.0])], [np.array([8.0, 4.0]), np.array([6.0])]]
    characters = [np.array([3, 2]), np.array([3])]
    first_only = [np.array([True, False]), np.array([False])]
    (one, other) = stop.per_text(runs, characters, first_only)
    assert one.per_user("bits").tolist() == [2.0]  # the second text has no chosen word
    everywhere = [np.ones(2, bool), np.ones(1, bool)]
    both = stop.per_text(runs, characters, everywhere)
    assert both[0].per_user("bits").tolist() == [2.0, 1.0]
    assert both[1].per_user("bits").tolist() == [pytest.approx(2.4), 2.0]
    assert compare_seeds(both, both, "bits").difference == 0
    assert other.name == "bits"

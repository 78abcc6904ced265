"""Names and their kinds, cosines of random pairs, the area under the curve of each name."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from chapters import ch02_figures, ch02_meaning
from llmrec.evaluation import Estimate


def test_auc_equals_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    vectors, kinds = rng.integers(0, 3, (12, 2)).astype(float), np.array(list("aabbccaabbcc"))
    found = ch02_meaning.auc_of_each(vectors, kinds)
    for row in range(12):
        rest = np.arange(12) != row
        expected = roc_auc_score(kinds[rest] == kinds[row], (vectors @ vectors[row])[rest])
        assert found[row] == pytest.approx(expected)


def test_a_row_is_not_paired_with_itself():
    cosines = ch02_meaning.random_cosines(np.eye(5, dtype=np.float32))
    assert 3000 < len(cosines) < 4000
    assert not cosines.any()


def test_only_clear_and_shared_kinds_are_kept():
    films = pd.DataFrame(
        {"title": list("abcde"), "genres": ["Drama", "Drama", "War", "Drama, War", ""]}
    )
    shop = pd.DataFrame(
        {
            "product_type": ["milk", "milk", "oat", "rye", "tin", "", "jam"],
            "product_category": ["food"] * 6 + ["rare"],
        }
    )
    types = ch02_meaning.product_types(shop)
    assert types["product_type"].tolist() == ["milk", "oat", "rye", "tin", "jam"]
    named = ch02_meaning.names_and_kinds(films, types, 10, seed=0)
    assert named["films"][0] == ["a", "b"]
    assert sorted(named["products"][0]) == ["milk", "oat", "rye", "tin"]
    assert set(named["products"][1]) == {"food"}


def test_keys_are_small_letters():
    assert ch02_meaning.key_of("TF-IDF, with") == "tfidf_with"
    assert ch02_meaning.key_of("wrong MiniLM") == "wrong_minilm"


def test_figures_show_what_they_are_given():
    words = ch02_figures.next_words({"So": [(" it", 0.5), ("\n", 0.25)], "And": [("x", 1.0)]})
    assert [label.get_text() for label in words.axes[0].get_yticklabels()] == ["␣it", "\\n"]
    one = {"MiniLM": Estimate(0.7, 0.6, 0.8, 9), "TF-IDF": Estimate(0.5, 0.4, 0.6, 9)}
    two = ch02_figures.meaning({"films": one, "products": one}, controls=["TF-IDF"])
    assert [text.get_text() for text in two.axes[0].texts[:2]] == ["0.70", "0.50"]
    cosines = {name: np.linspace(-0.5, 0.5, 9) for name in "abc"}
    legend = ch02_figures.cosines(cosines, cosines).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b", "c"]
    levels = {"MiniLM": (0.2, 0.3), "TF-IDF": (0.1, 0.1), "own": (0.1, 0.2)}
    ends = ch02_figures.ranking(levels, random=0.05).axes[0].lines[0].get_xdata()
    assert list(ends) == [0.2, 0.3]
    plt.close("all")

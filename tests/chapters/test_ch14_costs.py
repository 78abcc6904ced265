"""The arithmetic of chapter 14, by hand, and that its figures show what they are given."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

from chapters import ch14_costs as costs
from chapters import ch14_figures as figures
from llmrec.evaluation import Estimate
from llmrec.language_model import LanguageModel


def test_operations_by_hand(planted):
    assert costs.reading(10, 3.5) == 70
    assert costs.ease_fit(3) == pytest.approx(36)
    history = planted.matrix("history")
    assert costs.ease_use(planted) == pytest.approx(history.nnz / 30 * 50)


def test_fine_tuning_counts_every_token_four_times_a_weight(tiny_decoder):
    lm = LanguageModel(str(tiny_decoder))
    prompts, answers = ["one two", "three"], [" four", " five six"]
    tokens = [
        len(lm.prompt_ids(p)) + len(lm.token_ids(a)) for p, a in zip(prompts, answers, strict=True)
    ]
    assert costs.lora_fit(lm, 5, prompts, answers) == 4 * 5 * sum(tokens)
    assert costs.mean_tokens(lm, prompts) == np.mean([len(lm.prompt_ids(p)) for p in prompts])


def test_figures_show_what_they_are_given():
    fig = figures.position(np.array([0.7, 0.2, 0.1]), [" A", " B", " C"])
    bars = [bar.get_height() for bar in fig.axes[0].patches]
    assert bars == [0.7, 0.2, 0.1]
    assert [tick.get_text() for tick in fig.axes[0].get_xticklabels()] == ["A", "B", "C"]
    quality = {
        "popularity": Estimate(0.1, 0.05, 0.2, 9),
        "EASE, the base": Estimate(0.2, 0.1, 0.3, 9),
    }
    fig = figures.cost({"popularity": 1.0, "EASE, the base": 1e6}, quality)
    assert {text.get_text() for text in fig.axes[0].texts} == set(quality)
    fig = figures.prior(np.array([2.0, 5.0]), np.array([-3.0, -9.0]), seed=0)
    assert fig.axes[0].collections[0].get_offsets()[:, 1].tolist() == [-3.0, -9.0]
    plt.close("all")

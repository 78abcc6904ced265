import numpy as np
import pandas as pd
import pytest
from scipy.stats import rankdata

from chapters import ledger_prompt_protocols as prompt_protocols
from chapters.ledger_prompt_protocols import auc_estimate, nir_hit_rate, tallrec_auc
from llmrec.finetune import LoRA
from llmrec.language_model import LanguageModel

FILMS = [f"Film {i}" for i in range(8)]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch, request):
    if "mirror" not in request.keywords:
        monkeypatch.setenv("LLMREC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LLMREC_DEVICE", "cpu")


def test_auc_counts_ties_half_as_average_ranks_do():
    by_hand = auc_estimate(np.array([1, 2, 3, 2]), np.array([0, 1, 1, 0]), draws=9)
    assert by_hand.value == 0.875  # 3 pairs won, 1 tied
    rng = np.random.default_rng(0)
    for ties in (2, 9, 10**6):
        scores, labels = rng.integers(0, ties, 200), rng.random(200) < 0.3
        found = auc_estimate(scores, labels, draws=99)
        won = rankdata(scores)[labels].sum() - labels.sum() * (labels.sum() + 1) / 2
        assert found.value == pytest.approx(won / (labels.sum() * (~labels).sum()), abs=1e-15)
        assert found.low < found.value < found.high
        assert found == auc_estimate(scores, labels, draws=99)
    with pytest.raises(ValueError, match="all are the same"):
        auc_estimate(scores, np.ones(200))


@pytest.fixture
def questions(monkeypatch):
    rng = np.random.default_rng(1)

    def part(n):
        rows = [((FILMS[i % 8],), (FILMS[(i + 1) % 8],), FILMS[i % 3]) for i in range(n)]
        frame = pd.DataFrame(rows, columns=["liked", "disliked", "target"])
        return frame.assign(label=rng.random(n) < 0.5)

    tables = {"valid": part(20), "test": part(30)}
    monkeypatch.setattr(prompt_protocols, "tallrec", lambda domain: tables)
    return tables


class Oracle(LanguageModel):
    """Reads the target's number; knows the answer where it is told to."""

    def __init__(self, labels):
        self.labels = labels

    def log_likelihood(self, prompts, continuations):
        class Found:
            total = np.array(
                [
                    float((answer == "Yes.") == self.labels[prompt.split('movie "')[-1][:6]])
                    for prompt, answer in zip(prompts, continuations, strict=True)
                ]
            )

        return Found


def test_tallrec_reads_yes_against_no(questions):
    questions["test"]["label"] = questions["test"]["target"] == "Film 1"
    truth = {film: film == "Film 1" for film in FILMS}
    assert tallrec_auc(Oracle(truth)).value == 1.0
    assert tallrec_auc(Oracle({film: not says for film, says in truth.items()})).value == 0.0
    assert tallrec_auc(Oracle(dict.fromkeys(FILMS, True))).value == 0.5
    assert tallrec_auc(Oracle(truth), n=12).n == 12


def test_shots_fine_tune_on_the_valid_file(questions, tiny_decoder, monkeypatch):
    seen = {}

    def spy(model, prompts, answers, lora):
        seen.update(prompts=prompts, answers=answers, lora=lora)
        return model

    monkeypatch.setattr(prompt_protocols, "finetune_decoder", spy)
    tallrec_auc(LanguageModel(tiny_decoder), shots=16, n=10, seed=3)
    valid = questions["valid"].sample(16, random_state=3)
    assert seen["answers"] == ["Yes." if label else "No." for label in valid["label"]]
    assert f'target movie "{valid["target"].iloc[0]}"?' in seen["prompts"][0]
    assert (seen["lora"].epochs, seen["lora"].seed) == (4, 3)
    tallrec_auc(LanguageModel(tiny_decoder), shots=18, n=10, lora=LoRA(rank=3))
    assert seen["lora"] == LoRA(rank=3)
    with pytest.raises(ValueError, match="shots=21: the valid file has 20 questions"):
        tallrec_auc(LanguageModel(tiny_decoder), shots=21)


def test_next_film_by_hand(monkeypatch, tiny_decoder):
    rows = [
        ((FILMS[0], FILMS[1]), FILMS[2], (FILMS[2], FILMS[3]), (FILMS[0],), "1. Film 0 - Film 2"),
        ((FILMS[0], FILMS[2]), FILMS[3], (FILMS[3], FILMS[1]), (FILMS[2],), "1. Film 0 - Film 1"),
        ((FILMS[4],), FILMS[5], (), (), ""),
        ((FILMS[0], FILMS[1], FILMS[3]), FILMS[4], (), (), ""),
    ]
    columns = ["history", "target", "candidates", "shown", "answer"]
    monkeypatch.setattr(prompt_protocols, "nir", lambda: pd.DataFrame(rows, columns=columns))
    said = nir_hit_rate(ranker="gpt-3", k=1)
    assert said.hits.tolist() == [1, 0, 0, 0]
    assert said.hit_rate.value == 0.25
    assert (said.by_chance, said.at_most) == (0.25, 0.5)
    # user 0 shares 1 film with user 1 (who took film 2) and 2 with user 3 (who took film 3);
    # user 1 shares 1 with users 0 and 3: film 1 scores 2, film 3 scores 1
    assert nir_hit_rate(ranker="neighbours", k=1).hits.tolist() == [0, 0, 0, 0]
    assert nir_hit_rate(ranker="neighbours", k=2).hits.tolist() == [1, 1, 0, 0]

    model = LanguageModel(tiny_decoder)
    start = "These films were chosen by one person, in this order: "
    for ranker, sign in (("likelihood", 1), ("uncalibrated", 0)):
        gains = []
        for row in rows[:2]:
            told = [f'{start}"{row[3][0]}", "'] * 2
            answers = [f'{title}"' for title in row[2]]
            z = model.log_likelihood(told, answers).total
            z = z - sign * model.log_likelihood([f'{start}"'] * 2, answers).total
            gains.append(float(z[0] > z[1]))
        assert nir_hit_rate(model, ranker, k=1).hits.tolist() == [*gains, 0, 0]
    with pytest.raises(ValueError, match="ranker='guess' is not among likelihood"):
        nir_hit_rate(ranker="guess")


@pytest.mark.mirror
def test_the_published_gpt_3_row_and_what_chance_gives():
    found = nir_hit_rate(ranker="gpt-3")
    assert len(found.hits) == 943
    assert found.hits.sum() == 114
    assert found.at_most == 170 / 943
    assert found.by_chance == pytest.approx(170 * 10 / 19 / 943)


@pytest.mark.mirror
def test_our_tallrec_prompts_hold_the_published_wording():
    import json

    from chapters.ledger_prompts import tallrec
    from llmrec import fetch

    ours = prompt_protocols.tallrec_prompts(tallrec()["test"])
    theirs = json.loads((fetch.get("tallrec") / "movie" / "test.json").read_text("utf-8"))
    assert len(ours) == len(theirs) == 1000
    for prompt, entry in zip(ours, theirs, strict=True):
        assert f"{entry['instruction']}\n\n### Input:\n{entry['input']}\n\n" in prompt

"""Two published protocols for language models, run with whatever model is at hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from chapters.ledger_prompts import nir, tallrec
from llmrec.evaluation import Estimate, bootstrap
from llmrec.finetune import LoRA, finetune_decoder
from llmrec.language_model import LanguageModel
from llmrec.prompts import Prompt, inside_quotes, prompt_template

ANSWERS = ("No.", "Yes.")
TALLREC_LORA = LoRA(rank=8, alpha=16, layers=("q_proj", "v_proj"), lr=1e-3, batch_size=8)
EPOCHS_OF_SHOTS = {16: 4, 64: 2}  # few examples are seen more often, more of them once


def auc_estimate(
    scores: np.ndarray, labels: np.ndarray, seed: int = 0, draws: int = 1000
) -> Estimate:
    """Return the AUC with its 95 % percentile bootstrap interval over questions.

    ``P(s⁺ > s⁻) + ½ P(s⁺ = s⁻)`` over pairs of a positive and a negative. A resample with one kind
    of label has no AUC and is drawn again.

    Raises
    ------
    ValueError
        When only one kind of label is there.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError("an AUC needs positive and negative labels: all are the same here")
    generator = np.random.default_rng(seed)
    values: list[float] = []
    while len(values) < draws:
        chosen = generator.integers(0, len(scores), len(scores))
        if 0 < labels[chosen].sum() < len(chosen):
            values.append(roc_auc_score(labels[chosen], scores[chosen]))
    low, high = np.quantile(values, [0.025, 0.975])
    value = float(roc_auc_score(labels, scores))
    return Estimate(value, float(low), float(high), len(scores))


def tallrec_prompts(questions: pd.DataFrame, kind: str = "movie") -> list[Prompt]:
    """Return TALLRec's prompts, in Alpaca's frame, for a table of `chapters.ledger_prompts.tallrec`."""
    wording = prompt_template("tallrec")
    columns = (questions[name] for name in ("liked", "disliked", "target"))
    return [
        wording.fill(liked, kind, target, disliked)
        for liked, disliked, target in zip(*columns, strict=True)
    ]


def tallrec_auc(
    model: LanguageModel | None = None,
    shots: int = 0,
    n: int | None = None,
    seed: int = 0,
    domain: str = "movie",
    lora: LoRA | None = None,
) -> Estimate:
    """Return the AUC of "Yes." against "No." on TALLRec's test questions.

    A question's score is ``log p("Yes.") − log p("No.")`` after its prompt.

    Parameters
    ----------
    model:
        None: the bundled one.
    shots:
        Examples for LoRA, drawn from the *valid* file, because upstream no longer has the train
        file; nothing is chosen on them, so no test question is touched. 0: zero-shot.
    n:
        The first ``n`` test questions in a random order; None: all.
    seed:
        Of the drawn examples and questions, of LoRA and of the interval.
    domain:
        ``"movie"`` or ``"book"``.
    lora:
        By default ``TALLREC_LORA``, with more epochs for fewer shots.

    Notes
    -----
    Published for movies with 16, 64 and 256 shots and a model of 7 billion weights: .672, .675,
    .720; SASRec .504, .505, .523.
    """
    model = model or LanguageModel()
    parts = tallrec(domain)
    if shots:
        if shots > len(parts["valid"]):
            raise ValueError(f"shots={shots}: the valid file has {len(parts['valid'])} questions")
        drawn = parts["valid"].sample(shots, random_state=seed)
        settings = lora or _tallrec_lora(shots, seed)
        answers = [ANSWERS[int(label)] for label in drawn["label"]]
        model = finetune_decoder(model, tallrec_prompts(drawn, domain), answers, settings)
    asked = parts["test"].sample(n or len(parts["test"]), random_state=seed)
    prompts = [prompt for prompt in tallrec_prompts(asked, domain) for _ in ANSWERS]
    total = model.log_likelihood(prompts, list(ANSWERS) * len(asked)).total.reshape(-1, 2)
    return auc_estimate(total[:, 1] - total[:, 0], asked["label"].to_numpy(bool), seed)


def _tallrec_lora(shots: int, seed: int) -> LoRA:
    epochs = next((e for most, e in EPOCHS_OF_SHOTS.items() if shots <= most), 1)
    return replace(TALLREC_LORA, epochs=epochs, seed=seed)


@dataclass(frozen=True)
class NextFilm:
    """What the next-film protocol gave.

    Attributes
    ----------
    hits:
        ``(943,)``, 1 where the target stands in the ten recommended.
    hit_rate:
        Its mean with a 95 % interval.
    by_chance, at_most:
        The mean a random order of the candidates expects, and the mean of a perfect one: only the
        users whose target is a candidate can be hit.
    """

    hits: np.ndarray
    hit_rate: Estimate
    by_chance: float
    at_most: float


Ranker = Literal["likelihood", "uncalibrated", "gpt-3", "neighbours"]


def nir_hit_rate(
    model: LanguageModel | None = None, ranker: Ranker = "likelihood", k: int = 10, seed: int = 0
) -> NextFilm:
    """Return HR@10 of the next film among the authors' 19 candidates, over all 943 users.

    Parameters
    ----------
    model:
        None: the bundled one; not used for ``"gpt-3"`` and ``"neighbours"``.
    ranker:
        ``"likelihood"``: ``log p(title | 8 films watched last) − log p(title | nothing)``;
        ``"uncalibrated"``: without the second term; ``"gpt-3"``: the authors' answers, a hit when
        the text names the target; ``"neighbours"``: the order of the candidate model itself (the
        users' twelve nearest neighbours), which a language model should improve on.
    k:
        Length of the list.
    seed:
        Of the interval.

    Notes
    -----
    Users whose target is not a candidate are misses, as in the paper, whose GPT-3 prompt reaches
    .1209 from its own answers.
    """
    table = nir()
    can = table.index[
        [target in c for target, c in zip(table["target"], table["candidates"], strict=True)]
    ]
    asked = table.loc[can]
    hits = np.zeros(len(table))
    if ranker == "gpt-3":
        hits[can] = [
            target in said for target, said in zip(asked["target"], asked["answer"], strict=True)
        ]
    else:
        if ranker in ("likelihood", "uncalibrated"):
            scores = _decoder_scores(model or LanguageModel(), asked, ranker == "likelihood")
        elif ranker == "neighbours":
            scores = _neighbour_scores(table, asked)
        else:
            raise ValueError(f"ranker={ranker!r} is not among {', '.join(get_args(Ranker))}")
        for user, z in zip(can, scores, strict=True):
            own = z[table["candidates"][user].index(table["target"][user])]
            # Ties in expectation: the places left are shared among the equals.
            hits[user] = np.clip((k - (z > own).sum()) / (z == own).sum(), 0, 1)
    chance = sum(min(1, k / len(c)) for c in asked["candidates"]) / len(table)
    return NextFilm(hits, bootstrap(hits, seed), chance, len(can) / len(table))


def _decoder_scores(model: LanguageModel, asked: pd.DataFrame, calibrate: bool) -> list[np.ndarray]:
    wording = prompt_template("next")
    prompts: list[Prompt] = []
    answers: list[str] = []
    for shown, candidates in zip(asked["shown"], asked["candidates"], strict=True):
        prompts += [wording.fill(shown, "film")] * len(candidates)
        answers += [inside_quotes(title) + '"' for title in candidates]
    z = model.log_likelihood(prompts, answers).total
    if calibrate:
        z = z - model.log_likelihood([wording.fill((), "film")] * len(answers), answers).total
    return np.split(z, np.cumsum([len(c) for c in asked["candidates"]])[:-1])


def _neighbour_scores(table: pd.DataFrame, asked: pd.DataFrame) -> list[np.ndarray]:
    """Score a candidate by the films its twelve nearest users share with the user asked about.

    As the authors do, the user is among the own nearest twelve.
    """
    names = sorted(set().union(*table["history"]))
    code = {name: place for place, name in enumerate(names)}
    taken = np.zeros((len(table), len(names)), np.int32)
    for user, titles in enumerate(table["history"]):
        taken[user, [code[title] for title in titles]] = 1
    shared = taken @ taken.T  # (n_users, n_users)
    scores = []
    for user, candidates in zip(asked.index, asked["candidates"], strict=True):
        near = np.argsort(-shared[user], kind="stable")[:12]
        films = shared[user, near] @ taken[near]
        scores.append(films[[code[title] for title in candidates]])
    return scores

"""One recipe a model and protocol: what to fit, on which split, with which published setting.

A new recipe is a function that returns `Measured` numbers by metric; ``results/published.yml`` says
which published rows it stands beside. Models are imported inside, so that a change of one model
makes its own rows stale and no others.
"""

from __future__ import annotations

import numpy as np

from chapters.ledger_measure import five_splits, over_splits, ranking, text_of
from llmrec.data import last_out_split, load, published_split
from llmrec.ledger import Measured, recipe

# MovieLens-1M as SpectralCF split it.

SPECTRALCF = ("recall@20", "map@20", "recall@100", "map@100")


@recipe("spectralcf", "Popularity")
def _toppop() -> dict[str, Measured]:
    from llmrec.models import Popularity

    return ranking(Popularity(), published_split("ml-1m-spectralcf"), SPECTRALCF)


@recipe("spectralcf", "PureSVD, 15 factors")
def _pure_svd() -> dict[str, Measured]:
    from llmrec.models import PureSVD

    return ranking(PureSVD(15), published_split("ml-1m-spectralcf"), SPECTRALCF)


@recipe("spectralcf", "EASE, λ = 292")
def _ease() -> dict[str, Measured]:
    from llmrec.models import EASE

    return ranking(EASE(292.0), published_split("ml-1m-spectralcf"), SPECTRALCF)


# CiteULike-a as Collaborative VAE split it.

CITEULIKE = tuple(f"recall@{k}" for k in (50, 100, 150, 200, 250, 300))


@recipe("citeulike-p10", "Popularity")
def _toppop_p10() -> dict[str, Measured]:
    from llmrec.models import Popularity

    return ranking(Popularity(), published_split("citeulike-a-p10"), CITEULIKE)


@recipe("citeulike-p10", "ItemKNN, 423 neighbours")
def _itemknn_p10() -> dict[str, Measured]:
    from llmrec.models import ItemKNN

    split = published_split("citeulike-a-p10")
    # The paper shrinks by 936 after TF-IDF, whose idf is log(items / (1 + a user's items)). Each
    # user has ten here, so that weighting only divides the shrinkage by the squared idf.
    idf = np.log(split.n_items / 11)
    return ranking(ItemKNN(423, shrinkage=936 / idf**2), split, CITEULIKE)


@recipe("citeulike-p10", "ALS, 50 factors")
def _als_p10() -> dict[str, Measured]:
    from llmrec.models import ALS

    # Confidence 1 + α log(1 + 1 / ε) with the paper's α = 50 and ε = 0.001.
    confidence = 1 + 50 * np.log(1 + 1 / 0.001)
    model = ALS(factors=50, l2=1e-5, confidence=confidence, iterations=60)
    return ranking(model, published_split("citeulike-a-p10"), CITEULIKE)


@recipe("citeulike-p10", "BM25 on titles")
def _bm25_titles_p10() -> dict[str, Measured]:
    from llmrec.models import TextSimilarity

    split = published_split("citeulike-a-p10")
    return ranking(TextSimilarity(), split, CITEULIKE, text_of(split.dataset, "bm25"))


@recipe("citeulike-p10", "MiniLM on titles")
def _minilm_titles_p10() -> dict[str, Measured]:
    from llmrec.models import TextSimilarity

    split = published_split("citeulike-a-p10")
    return ranking(TextSimilarity(), split, CITEULIKE, text_of(split.dataset, "minilm"))


@recipe("citeulike-p10", "MiniLM on titles joined with ItemKNN")
def _together_p10() -> dict[str, Measured]:
    from chapters.ch13_lineups import citeulike_models, hold_out_last

    split = published_split("citeulike-a-p10")
    titles = text_of(split.dataset, "minilm")
    model = citeulike_models(hold_out_last(split), titles)["titles and neighbours"]
    return ranking(model, split, CITEULIKE, titles)


@recipe("citeulike-p10", "the same and MiniLM on tags")
def _tags_p10() -> dict[str, Measured]:
    from chapters.ch13_lineups import citeulike_models, hold_out_last

    split = published_split("citeulike-a-p10")
    titles, tags = text_of(split.dataset, "minilm"), text_of(split.dataset, "minilm", "{tags}")
    models = citeulike_models(hold_out_last(split), titles, tags)
    return ranking(models["titles, tags and neighbours"], split, CITEULIKE, titles)


@recipe("citeulike-p1", "Popularity")
def _toppop_p1() -> dict[str, Measured]:
    from llmrec.models import Popularity

    return ranking(Popularity(), published_split("citeulike-a-p1"), CITEULIKE, ties=True)


@recipe("citeulike-p1", "ItemKNN, 484 neighbours")
def _itemknn_p1() -> dict[str, Measured]:
    from llmrec.models import ItemKNN

    return ranking(ItemKNN(484), published_split("citeulike-a-p1"), CITEULIKE, ties=True)


@recipe("citeulike-p1", "BM25 on titles")
def _bm25_titles_p1() -> dict[str, Measured]:
    from llmrec.models import TextSimilarity

    split = published_split("citeulike-a-p1")
    return ranking(TextSimilarity(), split, CITEULIKE, text_of(split.dataset, "bm25"))


@recipe("citeulike-p1", "MiniLM on titles")
def _minilm_titles_p1() -> dict[str, Measured]:
    from llmrec.models import TextSimilarity

    split = published_split("citeulike-a-p1")
    return ranking(TextSimilarity(), split, CITEULIKE, text_of(split.dataset, "minilm"))


# MovieLens-100K, a random quarter of each user's ratings held out, five times.

MOVIELENS = ("ndcg@10", "precision@10", "recall@10", "map_total@10")


@recipe("ml-100k", "EASE, λ = 300")
def _ease_100k() -> dict[str, Measured]:
    from llmrec.models import EASE

    return over_splits(lambda seed: EASE(300.0), five_splits(), MOVIELENS)


@recipe("ml-100k", "FeatureALS and TextEASE joined")
def _joined_100k() -> dict[str, Measured]:
    from chapters.ch13_lineups import movielens_features, movielens_warm

    features = movielens_features(load("ml-100k"))
    return over_splits(lambda seed: movielens_warm(features), five_splits(), MOVIELENS)


@recipe("ml-100k", "TwoTower on identities, BPR loss")
def _bpr_100k() -> dict[str, Measured]:
    from llmrec.models import TwoTower

    # Uniform negatives, as in the source; values chosen on a valid part of the first split.
    def make(seed: int) -> TwoTower:
        return TwoTower(
            dim=128,
            inputs="identity",
            loss="bpr",
            negatives=1,
            dropout=0.0,
            weight_decay=1.0,
            lr=0.005,
            epochs=50,
            batch_size=64,
            seed=seed,
        )

    return over_splits(make, five_splits(), MOVIELENS)


@recipe("ml-100k", "ItemKNN, 100 neighbours")
def _itemknn_100k() -> dict[str, Measured]:
    from llmrec.models import ItemKNN

    return over_splits(lambda seed: ItemKNN(100), five_splits(), MOVIELENS)


@recipe("ml-100k", "AlphaRec on MiniLM")
def _alpha_rec_100k() -> dict[str, Measured]:
    from chapters.ledger_alpha_rec import AlphaRec

    features = text_of(load("ml-100k"), "minilm")
    return over_splits(lambda seed: AlphaRec(seed=seed), five_splits(), MOVIELENS, features)


# Amazon Beauty, the last review of each customer held out.

BEAUTY = ("recall@10", "ndcg@10")


@recipe("beauty", "ItemKNN, 100 neighbours")
def _itemknn_beauty() -> dict[str, Measured]:
    from llmrec.models import ItemKNN

    return ranking(ItemKNN(100), last_out_split(load("amazon-beauty")), BEAUTY)


@recipe("beauty", "TransitionKNN")
def _transitions_beauty() -> dict[str, Measured]:
    from llmrec.models import TransitionKNN

    return ranking(TransitionKNN(), last_out_split(load("amazon-beauty")), BEAUTY)


@recipe("beauty", "SASRec, full cross-entropy")
def _sasrec_beauty() -> dict[str, Measured]:
    return _sasrec("ce")


@recipe("beauty", "SASRec, one sampled negative")
def _sasrec_bce_beauty() -> dict[str, Measured]:
    return _sasrec("bce")


def _sasrec(loss: str) -> dict[str, Measured]:
    from chapters.ch10_sasrec import SASRec

    # Where the item before last stopped helping: ten epochs of cross-entropy, more of the other
    # loss, whose epochs are four times as cheap.
    model = SASRec(loss=loss, epochs={"ce": 10, "bce": 40}[loss])
    return ranking(model, last_out_split(load("amazon-beauty")), BEAUTY)


@recipe("beauty", "TextKNN on MiniLM")
def _text_beauty() -> dict[str, Measured]:
    from llmrec.models import TextKNN

    dataset = load("amazon-beauty")
    model = TextKNN(power=4.0, recency=0.7)
    return ranking(model, last_out_split(dataset), BEAUTY, text_of(dataset, "minilm"))


@recipe("beauty", "transitions, ItemKNN and MiniLM joined")
def _together_beauty() -> dict[str, Measured]:
    from chapters.ch13_lineups import beauty_models

    dataset = load("amazon-beauty")
    names = text_of(dataset, "minilm")
    model = beauty_models(last_out_split(dataset, valid=True), names)["behaviour and text"]
    return ranking(model, last_out_split(dataset), BEAUTY, names)


# Prompts: the protocols are chapters.ledger_prompt_protocols.


@recipe("tallrec", "SmolLM2-135M without examples, a random quarter of the questions")
def _smollm2_0() -> dict[str, Measured]:
    from chapters.ledger_prompt_protocols import tallrec_auc

    measured = Measured.of(tallrec_auc(n=250), "prompts")
    return {f"auc@{shots}": measured for shots in (16, 64, 256)}


@recipe("nir", "GPT-3's own answers, counted again")
def _gpt3() -> dict[str, Measured]:
    from chapters.ledger_prompt_protocols import nir_hit_rate

    return {"hr@10": Measured.of(nir_hit_rate(ranker="gpt-3").hit_rate, "users")}


@recipe("nir", "SmolLM2-135M, likelihood of the title")
def _smollm2() -> dict[str, Measured]:
    from chapters.ledger_prompt_protocols import nir_hit_rate

    return {"hr@10": Measured.of(nir_hit_rate().hit_rate, "users")}


@recipe("nir", "the candidates' own order")
def _neighbours() -> dict[str, Measured]:
    from chapters.ledger_prompt_protocols import nir_hit_rate

    return {"hr@10": Measured.of(nir_hit_rate(ranker="neighbours").hit_rate, "users")}

"""Recommenders, one a file, all with the contract of `Recommender`."""

from llmrec.models.article import ArticleModel, ArticleNet
from llmrec.models.base import Features, NotFittedError, Recommender, top_k
from llmrec.models.bridge import Bridge
from llmrec.models.ease import EASE
from llmrec.models.factorisation import ALS, BPR
from llmrec.models.neighbours import ItemKNN
from llmrec.models.popularity import Popularity
from llmrec.models.text_similarity import TextSimilarity
from llmrec.models.two_tower import Tower, TwoTower

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "ArticleModel",
    "ArticleNet",
    "Bridge",
    "Features",
    "ItemKNN",
    "NotFittedError",
    "Popularity",
    "Recommender",
    "TextSimilarity",
    "Tower",
    "TwoTower",
    "top_k",
]

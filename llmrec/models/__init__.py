"""Recommenders, one a file, all with the contract of `Recommender`."""

from llmrec.models.alpha_rec import AlphaRec
from llmrec.models.article import ArticleModel, ArticleNet
from llmrec.models.base import Features, NotFittedError, Recommender, top_k
from llmrec.models.bridge import Bridge
from llmrec.models.ease import EASE
from llmrec.models.ensemble import Ensemble, ReciprocalRankFusion
from llmrec.models.factorisation import ALS, BPR
from llmrec.models.feature_als import FeatureALS
from llmrec.models.given_scores import GivenScores
from llmrec.models.interest_profile import Faithfulness, InterestProfile, faithfulness
from llmrec.models.multi_interest import MultiInterest
from llmrec.models.neighbour_bridge import NeighbourBridge
from llmrec.models.neighbours import ItemKNN
from llmrec.models.personal_frequency import PersonalFrequency
from llmrec.models.popularity import Popularity
from llmrec.models.prompt_ranker import PromptRanker, recent_items
from llmrec.models.pure_svd import PureSVD
from llmrec.models.sasrec import SASRec
from llmrec.models.saved import SavedModelError, load, save
from llmrec.models.shared_map import SharedMap
from llmrec.models.text_ease import TextEASE
from llmrec.models.text_neighbours import TextKNN
from llmrec.models.text_similarity import TextSimilarity
from llmrec.models.transition import TransitionKNN
from llmrec.models.two_tower import Tower, TwoTower

__all__ = [
    "ALS",
    "BPR",
    "EASE",
    "AlphaRec",
    "ArticleModel",
    "ArticleNet",
    "Bridge",
    "Ensemble",
    "Faithfulness",
    "FeatureALS",
    "Features",
    "GivenScores",
    "InterestProfile",
    "ItemKNN",
    "MultiInterest",
    "NeighbourBridge",
    "NotFittedError",
    "PersonalFrequency",
    "Popularity",
    "PromptRanker",
    "PureSVD",
    "ReciprocalRankFusion",
    "Recommender",
    "SASRec",
    "SavedModelError",
    "SharedMap",
    "TextEASE",
    "TextKNN",
    "TextSimilarity",
    "Tower",
    "TransitionKNN",
    "TwoTower",
    "faithfulness",
    "load",
    "recent_items",
    "save",
    "top_k",
]

"""Full-catalogue ranking metrics with ties in expectation, per-user values and intervals."""

from llmrec.evaluation.metrics import (
    METRICS,
    TieGroups,
    average_precision,
    hit,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
    tie_groups,
)
from llmrec.evaluation.ranking import Evaluation, Slices, evaluate, slices
from llmrec.evaluation.statistics import Comparison, Estimate, bootstrap, compare, holm

__all__ = [
    "METRICS",
    "Comparison",
    "Estimate",
    "Evaluation",
    "Slices",
    "TieGroups",
    "average_precision",
    "bootstrap",
    "compare",
    "evaluate",
    "hit",
    "holm",
    "ndcg",
    "precision",
    "recall",
    "reciprocal_rank",
    "slices",
    "tie_groups",
]

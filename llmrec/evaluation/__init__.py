"""Full-catalogue ranking metrics with ties in expectation, per-user values and intervals."""

from llmrec.evaluation.audit import Audit, LeakageError, audit
from llmrec.evaluation.baskets import evaluate_baskets
from llmrec.evaluation.beyond import BeyondAccuracy, beyond
from llmrec.evaluation.checks import Finding
from llmrec.evaluation.families import family
from llmrec.evaluation.groups import group_gaps
from llmrec.evaluation.lists import (
    category_matrix,
    coverage,
    diversity,
    gini,
    miscalibration,
    novelty,
    popularity_lift,
)
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
from llmrec.evaluation.provenance import blind
from llmrec.evaluation.ranking import Evaluation, Slices, evaluate, slices
from llmrec.evaluation.statistics import (
    Comparison,
    Estimate,
    bootstrap,
    compare,
    holm,
    minimum_detectable_difference,
)
from llmrec.evaluation.variance import SeedComparison, compare_seeds, crossed_bootstrap

__all__ = [
    "METRICS",
    "Audit",
    "BeyondAccuracy",
    "Comparison",
    "Estimate",
    "Evaluation",
    "Finding",
    "LeakageError",
    "SeedComparison",
    "Slices",
    "TieGroups",
    "audit",
    "average_precision",
    "beyond",
    "blind",
    "bootstrap",
    "category_matrix",
    "compare",
    "compare_seeds",
    "coverage",
    "crossed_bootstrap",
    "diversity",
    "evaluate",
    "evaluate_baskets",
    "family",
    "gini",
    "group_gaps",
    "hit",
    "holm",
    "minimum_detectable_difference",
    "miscalibration",
    "ndcg",
    "novelty",
    "popularity_lift",
    "precision",
    "recall",
    "reciprocal_rank",
    "slices",
    "tie_groups",
]

"""The same budget for every model, on validation only, written down. Introduced in chapter 12."""

from llmrec.tuning.chosen import RECORDED, REGIMES, recorded, tuned
from llmrec.tuning.search import Trial, Tuned, tune
from llmrec.tuning.space import SearchSpace, model_of, spaces

__all__ = [
    "RECORDED",
    "REGIMES",
    "SearchSpace",
    "Trial",
    "Tuned",
    "model_of",
    "recorded",
    "spaces",
    "tune",
    "tuned",
]

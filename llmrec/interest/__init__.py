"""A user's interests from item vectors: how many, how they move, how to keep them up to date.

Everything takes the vectors of what users took and says nothing of where they come from.
"""

from llmrec.interest.detection import (
    Alarm,
    DriftDetector,
    calibrated,
    detect_drift,
    drift_statistic,
)
from llmrec.interest.distinct import (
    distinct_interests,
    focused_choices,
    interest_distance,
    interest_vectors,
    interests,
    shuffled_choices,
)
from llmrec.interest.moving import drift, period_vectors, similarity_by_lag
from llmrec.interest.tracking import (
    DecayedInterest,
    SessionInterest,
    decay_weights,
    decayed_interest,
    session_interest,
    sessions,
)

__all__ = [
    "Alarm",
    "DecayedInterest",
    "DriftDetector",
    "SessionInterest",
    "calibrated",
    "decay_weights",
    "decayed_interest",
    "detect_drift",
    "distinct_interests",
    "drift",
    "drift_statistic",
    "focused_choices",
    "interest_distance",
    "interest_vectors",
    "interests",
    "period_vectors",
    "session_interest",
    "sessions",
    "shuffled_choices",
    "similarity_by_lag",
]

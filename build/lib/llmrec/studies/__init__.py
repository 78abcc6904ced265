"""The study of one's own tables: does text help, for whom, at what cost, what to ship."""

from llmrec.studies.answer import Answer
from llmrec.studies.plan import Candidate, Plan, StudyError
from llmrec.studies.profile import Profile
from llmrec.studies.served import Served, load_served
from llmrec.studies.study import Study, load_study, study

__all__ = [
    "Answer",
    "Candidate",
    "Plan",
    "Profile",
    "Served",
    "Study",
    "StudyError",
    "load_served",
    "load_study",
    "study",
]

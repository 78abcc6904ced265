"""What each step of a study may take, estimated before it begins: for the bar and the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llmrec.studies.plan import FLOPS, SPARSE_EVENTS, Candidate, Plan
from llmrec.studies.vectors import LEXICAL

CELLS = 2e7  # scores that are ranked in a second
READ = {True: 150.0, False: 60.0}  # texts a second, short or long
SLOW_CELLS = 1e7  # item pairs whose texts are compared in a second
WIDE = 4  # as long, where vectors count words
DEFAULT = 1.0  # seconds around every step


@dataclass(frozen=True)
class Costs:
    """Seconds that steps are expected to take, by the sizes of the tables: a guess, no promise.

    Parameters
    ----------
    plan:
        Whose trials, and numbers of users judged and tested.
    events, users, items, texts:
        Train events; users with events; rows of the catalogue, and how many different texts they
        have.
    """

    plan: Plan
    events: int
    users: int
    items: int
    texts: int

    def fit(self, candidate: Candidate, events: int) -> float:
        """Seconds of one fit."""
        sparse = events / SPARSE_EVENTS
        dense = 2.5 * self.items**3 / FLOPS
        match candidate.entry:
            case "Popularity":
                return 0.0
            case "EASE":
                return dense
            case "Bridge" | "TextEASE":
                wide = "words" in candidate.reads or self.plan.encoder in LEXICAL
                return 2 * dense * (WIDE if wide else 1)
            case "TextKNN":
                return self.items**2 / SLOW_CELLS
            case "Ensemble":
                return sum(self.fit(one, events) for one in self.members(candidate))
        return sparse

    def members(self, candidate: Candidate) -> list[Candidate]:
        """Return stand-ins for a joined candidate's members, whose names tell their class."""
        return [Candidate(name, name.partition(",")[0], "text") for name in candidate.members]

    def rank(self, users: int) -> float:
        """Seconds of scoring and ranking so many users."""
        return users * self.items / CELLS

    def audit(self) -> float:
        """Seconds of both audits."""
        return DEFAULT + self.events / 1e5

    def read(self) -> float:
        """Seconds that the language model takes to read the catalogue."""
        if self.plan.encoder in LEXICAL:
            return DEFAULT
        return DEFAULT + self.texts / READ[self.plan.quick]

    def tune(self, candidate: Candidate) -> float:
        """Seconds of all trials of a candidate."""
        trials = 1 if candidate.entry == "Popularity" else self.plan.trials
        judged = min(self.plan.judged, self.users)
        return DEFAULT + trials * (self.fit(candidate, self.plan.tuning_events) + self.rank(judged))

    def join(self, candidate: Candidate) -> float:
        """Seconds of learning the weights of two members, and of judging them."""
        judged = min(self.plan.judged, self.users)
        return DEFAULT + self.fit(candidate, self.plan.tuning_events) + 4 * self.rank(judged)

    def test(self, candidate: Candidate, parts: int = 0) -> float:
        """Seconds of one fit on all before the test, judged overall and on parts."""
        tested = min(self.plan.tested, self.users)
        return DEFAULT + self.fit(candidate, self.events) + (1 + parts / 4) * self.rank(tested)

    def ship(self) -> float:
        """Seconds of the last fit, on everything, and of writing it."""
        return 2 * DEFAULT + max(self.fit(one, self.events) for one in self.plan.candidates)

    def total(self) -> float:
        """Seconds of all steps; controls and joined models are taken to be as slow as the rest."""
        own = self.plan.candidates
        text = [one for one in own if one.knows == "text"]
        words = [replace(one, reads="words") for one in text[:1]]
        controls = ([] if self.plan.encoder in LEXICAL else words) + words
        tested = [*own, *controls, *text[:2], *own[1:2]]
        joined = 3 if text else 1
        return (
            self.audit()
            + (self.read() if text else 0.0)
            + sum(self.tune(one) for one in [*own, *controls])
            + joined * self.join(own[-1])
            + sum(self.test(one) for one in tested)
            + self.ship()
        )

"""Who else is tuned: the controls of the best model with text, and joined models."""

from __future__ import annotations

from collections.abc import Callable

from llmrec.studies.found import Found
from llmrec.studies.plan import Candidate, Knows, Reads
from llmrec.studies.vectors import Vectors

WORDS, SHUFFLED = "words counted", "texts shuffled"
BOTH = "together, without text", "together, with text"


def best_of(candidates: list[Candidate], found: Found) -> str:
    """Return the best on valid; the earlier of equals, "" of none."""
    names = [one.name for one in candidates]
    return max(names, key=lambda name: found.tuned[name]["value"], default="")


def tune_controls(found: Found, vectors: Vectors, tune: Callable[[Candidate], None]) -> None:
    """Tune the best text model's class on counted words, and the better one on shuffled texts."""
    text = [one for one in found.candidates if one.knows == "text"]
    if not text:
        return
    best = next(one for one in text if one.name == best_of(text, found))
    found.controls["language"] = best.name
    if not vectors.lexical:
        words = Candidate(f"{best.name}, {WORDS}", best.entry, "text", "words")
        tune(words)
        found.controls["words"] = words.name
        text = [one for one in found.candidates if one.knows == "text"]
    best = next(one for one in text if one.name == best_of(text, found))
    reads: Reads = "shuffled words" if best.reads == "words" else "shuffled"
    shuffled = Candidate(f"{best.name}, {SHUFFLED}", best.entry, "control", reads)
    tune(shuffled)
    found.controls["shuffled"] = shuffled.name
    found.controls = {
        key: name for key, name in found.controls.items() if "error" not in found.tuned[name]
    }


def join_best(found: Found, join: Callable[[Candidate], None]) -> None:
    """Add the two best without text, and the best of either kind, with weights learned on valid."""
    without = [one for one in found.candidates if one.knows == "behaviour"]
    text = [one for one in found.candidates if one.knows == "text"]
    without.sort(key=lambda one: -found.tuned[one.name]["value"])
    text.sort(key=lambda one: -found.tuned[one.name]["value"])
    kinds: tuple[tuple[str, Knows, list[Candidate]], ...] = (
        (BOTH[0], "behaviour", without[:2]),
        (BOTH[1], "text", [*without[:1], *text[:1]]),
    )
    for name, knows, pair in kinds:
        if len(pair) == 2:
            members = tuple(one.name for one in pair)
            join(Candidate(name, "Ensemble", knows, pair[1].reads, members))


def join_control(found: Found, join: Callable[[Candidate], None]) -> None:
    """Where the best with text is a joined one, join its control: the text member is shuffled."""
    shuffled = found.controls.get("shuffled")
    if found.pair[1] != BOTH[1] or shuffled is None:
        return
    by_name = {one.name: one for one in found.candidates}
    members = by_name[BOTH[1]].members[0], shuffled
    name = f"{BOTH[1]}, {SHUFFLED}"
    join(Candidate(name, "Ensemble", "control", by_name[shuffled].reads, members))
    if "error" in found.tuned[name]:
        del found.controls["shuffled"]
    else:
        found.controls["shuffled"] = name

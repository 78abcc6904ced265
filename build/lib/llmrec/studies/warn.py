"""What a reader of a study should mind: warnings from the tables, and what cannot be concluded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmrec.data.folder import NO_RATING, NO_ROW_EVENTS

if TYPE_CHECKING:
    from llmrec.studies.study import Study

ENGLISH_ONLY = ("minilm", "smollm2")
FEW_WORDS, FEW_TEXTS, FEW_USERS = 3, 0.8, 200
MANY_WITHOUT_ROW = 0.05  # share of events on items that the items table lacks


def warnings(study: Study) -> list[str]:
    """Return what about these tables limits the answer, most serious first."""
    about, plan, split = study.profile, study.plan, study.results["split"]
    said = []
    if any(row["status"] == "failure" for row in study.results["audit"]):
        said.append("The audit of the split failed: mend that before believing a number below.")
    without_row = about.dropped.get(NO_ROW_EVENTS, 0) / max(_read(study), 1)
    if without_row > MANY_WITHOUT_ROW:
        said.append(
            f"{without_row:.0%} of the events are on items that the items table lacks: they have no"
            " text. Are ids written alike in both tables?"
        )
    if plan.split == "random":
        said.append(
            f"The split is at random, because {plan.why_split}: models learned from events after"
            " those they were tested on. It is no forecast."
        )
    if numbers := [name for name, holds in about.unread.items() if holds]:
        said.append(
            f"Not read, but numbers: {', '.join(map(repr, numbers))} of the interactions. A rating"
            " or a count belongs into weight, a time into timestamp: --columns weight=…"
        )
    if about.foreign and plan.encoder in ENGLISH_ONLY:
        said.append(
            f"Texts are in {about.foreign}, and {plan.encoder} was trained on English: a"
            " multilingual encoder (--encoder, a folder or hub id) may do better. Counted words"
            " read any script: pairs of characters where there are no spaces."
        )
    if about.with_text < FEW_TEXTS:
        said.append(f"Only {about.with_text:.0%} of the items have a text.")
    if 0 < about.median_words < FEW_WORDS and about.script not in ("Chinese", "Japanese", "Thai"):
        said.append(
            f"The median text has {about.median_words:g} words: names alone tell little of an item."
        )
    if about.low:
        rated = about.feedback == "ratings"
        low = f"a rating below {about.least:g}" if rated else "a weight that is too small"
        said.append(
            f"{about.low:,} events with {low} are no sign of interest: they are not learned from,"
            " and the saved model never lists such an item to that user, nor does the test those"
            " refused before it. While tuning they are candidates."
        )
    if lost := about.dropped.get(NO_RATING):
        said.append(f"{lost:,} events have no rating, where the others have: they are left out.")
    if about.undated:
        said.append(
            f"{about.undated:,} events have no time: they are left out, so that the split can be by"
            " time."
        )
    if about.merged > 0:
        said.append(
            f"{about.merged:,} events repeat user, item and time, and count once: models here ask"
            " who took what, not how often."
        )
    if about.repeated > 0.2:
        said.append(
            f"{about.repeated:.0%} of the events repeat an earlier choice. The study measures the"
            " discovery of new items; repeats are neither recommended nor tested."
        )
    if split["users"] < FEW_USERS:
        said.append(
            f"Only {split['users']:,} users can be tested: the intervals are wide, and only large"
            " differences can be shown."
        )
    return said


def failed_checks(study: Study) -> list[str]:
    """Return a line for each check of the audit that failed, and its mend."""
    return [
        f"Audit of the {row['split']} split, {row['check']}: {row['found']}. Mend: {row['mend']}."
        for row in study.results["audit"]
        if row["status"] == "failure"
    ]


def _read(study: Study) -> int:
    """Return how many events were read, those left out later included."""
    about = study.profile
    return about.n_events + about.low + about.undated + about.merged


def limits(study: Study) -> list[str]:
    """Return what the study cannot say."""
    plan = study.plan
    said = [
        "Past choices are no experiment: people choose among what they were shown. A gain here is a"
        " reason for a trial with real users, not its result.",
        "One split was tested. Another season, or another random split, would move the means by"
        " more than the intervals over users say.",
        "The values were tuned in"
        f" {plan.trials} trials each; more trials can change the order of close models.",
        "The study does not tell why somebody took an item, nor what a language model knew of it"
        " before it read your text.",
        "Item texts are read as they are today. Tags, reviews or a “bestseller” that came after an"
        " event tell a model what nobody knew then: leave such columns out (--template).",
        "New items need a new study, or a new fit, before the saved model can list them.",
    ]
    if plan.split == "random":
        said.append(
            "The split is at random: models learned from events after those they were tested on,"
            " and no item is truly new. Bring timestamps for an honest forecast."
        )
    if study.results["split"]["tuning"] < study.results["split"]["train"] * 0.8:
        said.append(
            "Tuning saw a sample of the users, to keep within the time, and left out items that"
            " only other users took: there they would look new. The weights of joined models were"
            " learned with those items on the lists."
        )
    return said

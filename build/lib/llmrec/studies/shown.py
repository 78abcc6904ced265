"""Rows of the results: one a model, one a user who is shown, and the facts of the split."""

from __future__ import annotations

from typing import Any

from llmrec.studies.answer import evaluation
from llmrec.studies.found import Found
from llmrec.studies.plan import Candidate, Splits
from llmrec.studies.tables import Tables

SHOWN = 10  # items of an example user's history and of what was taken


def row_of(candidate: Candidate, found: Found) -> dict[str, Any]:
    """Return what the table says of one model."""
    tuned, result = found.tuned[candidate.name], found.results[candidate.name]
    whole = evaluation(found, candidate.name)
    assert whole is not None
    row: dict[str, Any] = {
        "model": candidate.name,
        "knows": candidate.knows,
        "reads": candidate.reads,
        "values": tuned["values"] if "values" in tuned else {"weights": tuned["weights"]},
        "valid": tuned["value"],
    }
    for metric in whole.values:
        mean = whole.mean(metric)
        row |= {metric: mean.value, f"{metric} low": mean.low, f"{metric} high": mean.high}
    return row | {
        "tune_seconds": tuned["seconds"],
        "fit_seconds": result["fit_seconds"],
        "list_ms": result["list_ms"],
        "mb": result["bytes"] / 1e6,
    }


def split_facts(splits: Splits) -> dict[str, Any]:
    """Return the sizes of the parts, and the users tested of those that could be."""
    split = splits.final
    new = ~split.test["item"].isin(split.train["item"])
    return {
        "train": len(split.train),
        "test": len(split.test),
        "tuning": len(splits.tuning.train),
        "refused": len(splits.judged.history) - len(split.history),
        "users": len(splits.users),
        "able": splits.able,
        "newcomers": splits.newcomers,
        "new_items": float(new.mean()),
        "hash": split.hash,
    }


def people(found: Found, ship: str, tables: Tables, splits: Splits) -> list[dict[str, Any]]:
    """Return the example users: latest history, the list of the model to ship, what was taken."""
    titles = names_of(tables)
    split = splits.final
    shown = []
    for row, code in enumerate(found.examples):
        past = split.history[split.history["user"] == code].sort_values("timestamp", kind="stable")
        seen = list(dict.fromkeys(past["item"].tolist()[::-1]))
        later = split.test[split.test["user"] == code].sort_values("timestamp", kind="stable")
        taken = [i for i in dict.fromkeys(later["item"].tolist()) if i not in set(seen)]
        listed = [i for i in found.results[ship]["lists"][row] if i >= 0]
        shown.append(
            {
                "user": str(tables.dataset.user_ids[code]),
                "n_history": len(seen),
                "n_taken": len(taken),
                "history": [titles[i] for i in seen[:SHOWN]],
                "taken": [titles[i] for i in taken[:SHOWN]],
                "list": [{"title": titles[i], "taken": i in set(taken)} for i in listed],
            }
        )
    return shown


def names_of(tables: Tables) -> list[str]:
    """Return what to call each item: its title, else its id."""
    items = tables.dataset.items
    pairs = zip(items["title"], items["item"], strict=True)
    return [" ".join(str(title).split()) or f"item {item}" for title, item in pairs]

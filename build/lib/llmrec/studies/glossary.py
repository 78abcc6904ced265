"""What the words and the models of a report mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llmrec.studies.html import text

CONTROLS = {  # by the part of the claim
    "words": "Counted words: the best model that reads with the language model, tuned once more on"
    " counted words in place of its vectors.",
    "right text": "Right text: the best model with text, built once more with the texts of other"
    " items. Where it does as well, it is not the text that helps.",
}
TERMS = {
    "nDCG@10": "how far up the items taken later stand in a list of ten: 1 with all on top, 0 with"
    " none on it",
    "recall@10": "the share of the items taken later that are on the list of ten",
    "valid": "nDCG@10 on the validation part, by which models are chosen: the best of many trials,"
    " hence too good",
    "interval": "differences that the users leave possible; those of one table hold all at once, in"
    " 95 % of studies",
    "Holm’s p": "how often chance alone gives such a difference in either direction, corrected for"
    " the number of questions in the table",
    "trial": "one setting of a model, fitted on the earlier part and judged on the validation part",
}
MODELS = {
    "Popularity": "best-sellers, the same for all",
    "ItemKNN": "items that the same users took",
    "ALS": "users and items as points of a space (matrix factorisation)",
    "EASE": "all items predict each item, linearly",
    "TransitionKNN": "what others took next",
    "Bridge": "EASE’s weights, predicted from the texts",
    "TextEASE": "EASE, drawn towards what the texts say",
    "NeighbourBridge": "ItemKNN’s weights, predicted from the texts",
    "TextSimilarity": "items whose texts are like the history’s",
    "TextKNN": "items whose texts are like single items of the history",
    "together": "two models, their scores added with learned weights",
}


def terms() -> str:
    """Return what the words of the tables mean, folded up."""
    said = "".join(f"<dt>{text(name)}</dt><dd>{text(what)}</dd>" for name, what in TERMS.items())
    return f"<details><summary>What the words mean</summary><dl>{said}</dl></details>"


def names(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what the models of a table do, folded up."""
    known = [name for name in MODELS if any(row["model"].startswith(name) for row in rows)]
    said = "".join(f"<dt>{name}</dt><dd>{text(MODELS[name])}</dd>" for name in known)
    return f"<details><summary>What the models do</summary><dl>{said}</dl></details>"

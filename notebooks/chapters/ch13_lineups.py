"""The line-ups behind rows of the ledger: what is joined, with which values, chosen where.

Each function takes a split with a valid part, which the test part is no part of, and returns models
to be fitted on the published split. The plain values were chosen on that valid part by hand and
by random search; the ensembles' weights are learned on it here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from llmrec.data import Dataset, Split
from llmrec.encoders import column_vectors, get_encoder
from llmrec.models import (
    Ensemble,
    FeatureALS,
    Features,
    ItemKNN,
    NeighbourBridge,
    ReciprocalRankFusion,
    Recommender,
    TextEASE,
    TextKNN,
    TransitionKNN,
)
from llmrec.text import item_text


def movielens_features(dataset: Dataset) -> dict[str, Features]:
    """Return MovieLens' item vectors by what went into them.

    ``"metadata"``: genres and year, no language model. ``"counted"``: TF-IDF of the full text and
    metadata. ``"language"``: MiniLM and metadata. ``"all"``: the three side by side.
    """
    texts = item_text(dataset.items, "ml-100k")
    metadata = column_vectors(dataset.items, ["genres"], ["year"])
    words = get_encoder("tfidf", corpus=texts, max_features=8192).encode(texts)
    meaning = get_encoder("minilm").encode(texts)
    blocks = {
        "metadata": [metadata],
        "counted": [words, metadata],
        "language": [meaning, metadata],
        "all": [meaning, words, metadata],
    }
    return {name: Features(items=np.hstack(parts)) for name, parts in blocks.items()}


def movielens_warm(features: Mapping[str, Features]) -> Ensemble:
    """Return the ensemble for known films: factors and items, both with text as their prior.

    Its two weights and TextEASE's λ were chosen on valid parts of the first two random splits.
    """
    return Ensemble(
        {"factors": FeatureALS(), "items": TextEASE()},
        weights={"factors": 0.7, "items": 0.3},
        features={"factors": features["language"], "items": features["all"]},
    )


def beauty_models(tuning: Split, features: Features) -> dict[str, Recommender]:
    """Return the models for Amazon Beauty, those without text ("behaviour") and with it apart.

    What text adds is "behaviour and text" minus "behaviour", each with weights of its own.

    Parameters
    ----------
    tuning:
        ``last_out_split(dataset, valid=True)``: the item before last is valid. Fit what comes back
        on ``last_out_split(dataset)``, where it is history.
    features:
        Vectors of the product names, to be passed to ``fit`` again.
    """
    transitions = TransitionKNN()  # its defaults were chosen here
    neighbours = ItemKNN(neighbours=500, shrinkage=10.0)
    text = TextKNN(power=4.0, recency=0.7)
    behaviour = {"transitions": transitions, "neighbours": neighbours}
    everything = {**behaviour, "text": text}
    return {
        **everything,
        "behaviour": _learned(behaviour, tuning, features),
        "behaviour and text": _learned(everything, tuning, features),
        "rank fusion": ReciprocalRankFusion(everything),
    }


def citeulike_models(
    tuning: Split, titles: Features, tags: Features | None = None
) -> dict[str, Recommender]:
    """Return the models for CiteULike-a: titles, neighbours, both, and with ``tags`` all three.

    Parameters
    ----------
    tuning:
        ``hold_out_last(published_split("citeulike-a-p10"))``. Fit what comes back on the published
        split itself.
    titles:
        Vectors of the titles, to be passed to ``fit`` again.
    tags:
        Vectors of the tags, which all readers gave, those with test articles included.
    """
    members: dict[str, Recommender] = {
        "titles": TextKNN(power=3.0),
        "neighbours": ItemKNN(neighbours=500),
        "bridge": NeighbourBridge(neighbours=500, text_l2=1.0),
    }
    out = {**members, "titles and neighbours": _learned(members, tuning, titles)}
    if tags is not None:
        own = {"tags": tags}
        members = {**members, "tags": TextKNN(power=1.0)}
        out["titles, tags and neighbours"] = _learned(members, tuning, titles, own)
    return out


def hold_out_last(split: Split, n: int = 3) -> Split:
    """Make the last ``n`` train rows of each user the valid part of a split without a test part.

    A user of at most ``n`` rows gives none. For a published split whose train part is each user's
    first rows, as ``"citeulike-a-p10"`` (rows in the order of article numbers), it repeats the way
    in which test was cut from train; a random part of train would not.

    Raises
    ------
    ValueError
        When no user has more than ``n`` rows.
    """
    left = split.train.groupby("user").cumcount(ascending=False)
    size = split.train.groupby("user")["item"].transform("size")
    held = ((left < n) & (size > n)).to_numpy()
    if not held.any():
        raise ValueError(f"hold_out_last: no user of {split.name!r} has more than {n} train rows")
    train, valid = (split.train[part].reset_index(drop=True) for part in (~held, held))
    name = f"{split.name}, last {n} of train held out"
    return Split(split.dataset, name, split.seed, train, valid, split.test.iloc[:0], history=train)


def _learned(
    members: Mapping[str, Recommender],
    tuning: Split,
    features: Features,
    own: dict[str, Features] | None = None,
) -> Ensemble:
    """Return an unfitted ensemble with the weights that the valid part teaches."""
    weights = Ensemble(members, features=own).fit(tuning, features).weights_
    return Ensemble(members, weights, own)

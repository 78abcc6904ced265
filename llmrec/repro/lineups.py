"""The line-ups behind two rows of the ledger: what is joined, with which values, chosen where.

Each function takes a split with a valid part, which the test part is no part of, and returns models
to be fitted on the published split. The plain values were chosen on that valid part by hand and
by random search; the ensembles' weights are learned on it here.

Introduced in chapter 13.
"""

from __future__ import annotations

from collections.abc import Mapping

from llmrec.data import Split
from llmrec.models import (
    Ensemble,
    Features,
    ItemKNN,
    NeighbourBridge,
    ReciprocalRankFusion,
    Recommender,
    TextKNN,
    TransitionKNN,
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

    Introduced in chapter 13.
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

    Introduced in chapter 13.
    """
    members: dict[str, Recommender] = {
        "titles": TextKNN(power=3.0),
        "neighbours": ItemKNN(neighbours=500),
        "bridge": NeighbourBridge(neighbours=500, alpha=1.0),
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

    Introduced in chapter 13.
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

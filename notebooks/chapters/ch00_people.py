"""What the interest explorer shows: chosen users, their way over a map of items, models' lists."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from llmrec.data import Split
from llmrec.evaluation import slices
from llmrec.models import Recommender
from llmrec.text import item_text

GROUPS = ("short", "medium", "long")


@dataclass(frozen=True)
class Person:
    """One user: the past that models may know, the future they may not, and their lists.

    Attributes
    ----------
    user, name, group:
        Code, the dataset's own id, and ``"short"``, ``"medium"`` or ``"long"`` by history.
    history:
        Rows of ``split.history``, oldest first: ``item``, ``timestamp``, ``weight``.
    taken:
        Item codes of the test part that are not in the history, in the order in which they came.
    text:
        The history in words, as the text model read it.
    moments:
        ``(m,)`` after how many events the positions are shown, ascending; the last one is all.
    path, recent:
        ``(m, 2)`` running mean, on the map, of everything so far and of the newest events only.
    lists:
        Model name → item codes, best first; -1 where a list ends early.
    """

    user: int
    name: str
    group: str
    history: pd.DataFrame
    taken: np.ndarray
    text: str
    moments: np.ndarray
    path: np.ndarray
    recent: np.ndarray
    lists: Mapping[str, np.ndarray]

    def hits(self, model: str) -> np.ndarray:
        """Return which entries of a model's list were really taken."""
        return np.isin(self.lists[model], self.taken)


@dataclass(frozen=True)
class Explorer:
    """The map of all items and the chosen users on it.

    Attributes
    ----------
    titles:
        One a item, by code.
    points, kept:
        ``(n_items, 2)`` places on the map, and ``(2,)`` the share of variance that each axis keeps.
    regions:
        Kind of item (a genre, a department) → the middle of its items on the map.
    window:
        How many of the newest events ``Person.recent`` averages.
    people:
        The chosen users.
    """

    titles: Sequence[str]
    points: np.ndarray
    kept: np.ndarray
    regions: Mapping[str, np.ndarray]
    window: int
    people: tuple[Person, ...]

    @property
    def models(self) -> list[str]:
        return list(self.people[0].lists)


def choose_users(
    split: Split, each: int = 8, least: int = 10, seed: int = 0
) -> dict[str, np.ndarray]:
    """Draw ``each`` test users by chance from those with short, medium and long histories.

    The groups are those of `llmrec.evaluation.slices`. Within a group, all users with at least
    ``least`` different test items that are new to them are equally likely, whatever models say.

    Returns
    -------
    dict
        Group → sorted user codes; a smaller group is taken whole.
    """
    if each < 1:
        raise ValueError(f"choose_users: each={each} users a group: at least 1")
    rng = np.random.default_rng(seed)
    future = (split.matrix("test") > split.matrix("history")).getnnz(axis=1)
    groups = slices(split).users
    chosen = {}
    for group in GROUPS:
        users = groups[group][future[groups[group]] >= least]
        chosen[group] = np.sort(rng.choice(users, min(each, len(users)), replace=False))
    return chosen


def plane(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return places ``(n, 2)`` of vectors on their two widest axes, and the variance these keep.

    The map is affine, ``p(x) = A (x - x̄)``: the place of a mean of items is the mean of their
    places. That is why no map that bends is used, such as t-SNE: on it a user would have no place.
    """
    axes = PCA(2, svd_solver="full").fit(np.asarray(vectors, np.float64))
    return axes.transform(vectors), axes.explained_variance_ratio_


def running_mean(points: np.ndarray, counts: np.ndarray, window: int | None = None) -> np.ndarray:
    """Return ``(m, 2)``: after each count ``c``, the mean of the first ``c`` rows of ``points``.

    With a ``window`` only the newest ``window`` of them count.

    Examples
    --------
    >>> running_mean(np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]]), np.array([1, 3])).tolist()
    [[0.0, 0.0], [2.0, 2.0]]
    """
    sums = np.vstack([np.zeros((1, 2)), np.cumsum(points, axis=0)])
    first = np.zeros_like(counts) if window is None else np.maximum(counts - window, 0)
    return (sums[counts] - sums[first]) / (counts - first)[:, None]


def explore(
    split: Split,
    models: Mapping[str, Recommender],
    vectors: np.ndarray,
    texts: Sequence[str],
    groups: Mapping[str, np.ndarray],
    k: int = 10,
    moments: int = 40,
    window: int = 10,
    kinds: str = "genres",
) -> Explorer:
    """Collect what the explorer shows of some users.

    Parameters
    ----------
    split:
        Pasts are its history, futures its test part.
    models:
        Name → a recommender fitted on the split.
    vectors:
        ``(n_items, d)`` item vectors; the map shows their two widest directions.
    texts:
        The behaviour text of each user, by code.
    groups:
        Group → user codes, as `choose_users` draws them.
    k, moments, window:
        Length of the lists, most positions shown a user, and events that count as recent.
    kinds:
        Items column with comma-separated kinds, which name the regions of the map.

    Raises
    ------
    ValueError
        When there is no model or no user, when vectors or texts do not number one an item or a
        user, or when a user has no history.
    """
    if not models or not any(len(users) for users in groups.values()):
        raise ValueError("explore: name at least one model and one user")
    if len(vectors) != split.n_items or len(texts) != split.n_users:
        raise ValueError(
            f"explore: {len(vectors)} vectors for {split.n_items} items and {len(texts)} texts for"
            f" {split.n_users} users: pass one each"
        )
    points, kept = plane(vectors)
    people = []
    for group, users in groups.items():
        lists = {name: model.recommend(users, k)[0] for name, model in models.items()}
        for row, user in enumerate(users):
            past, future = (_events(part, user) for part in (split.history, split.test))
            if past.empty:
                raise ValueError(f"explore: user {user} has no history to show; choose another")
            counts = np.unique(np.linspace(1, len(past), moments).round().astype(int))
            places = points[past["item"]]
            taken = future["item"][~future["item"].isin(past["item"])].drop_duplicates().to_numpy()
            person = Person(
                user=int(user),
                name=str(split.dataset.user_ids[user]),
                group=group,
                history=past,
                taken=taken,
                text=texts[user],
                moments=counts,
                path=running_mean(places, counts),
                recent=running_mean(places, counts, window),
                lists={name: listed[row] for name, listed in lists.items()},
            )
            people.append(person)
    items = split.dataset.items
    return Explorer(
        titles=item_text(items, "{title}[ ({year})]"),
        points=points,
        kept=kept,
        regions=_regions(points, items[kinds]) if kinds in items else {},
        window=window,
        people=tuple(people),
    )


def _regions(points: np.ndarray, kinds: pd.Series) -> dict[str, np.ndarray]:
    """Return the median place of each kind's items, the most frequent kind first."""
    each = kinds.reset_index(drop=True).fillna("").str.split(r",\s*").explode()
    members = {str(kind): codes for kind, codes in each.groupby(each).groups.items() if kind}
    largest = sorted(members, key=lambda kind: -len(members[kind]))
    return {kind: np.median(points[members[kind]], axis=0) for kind in largest}


def _events(part: pd.DataFrame, user: int) -> pd.DataFrame:
    """Return one user's rows, oldest first; rows of one second keep their order."""
    rows = part.loc[part["user"] == user, ["item", "timestamp", "weight"]]
    return rows.sort_values("timestamp", kind="stable", ignore_index=True)


def excerpt(people: Sequence[Person], newest: int, k: int) -> int:
    """Return how many of the dataset's events the page hands on, each person's counted once.

    Shown are the events at the moments of the slider, the ``newest`` ones, what was taken next (k
    at most) and the hits of each list.
    """
    total = 0
    for person in people:
        items = person.history["item"]
        hits = [person.lists[model][person.hits(model)] for model in person.lists]
        shown = [items.iloc[person.moments - 1], items.tail(newest), person.taken[:k], *hits]
        total += len(np.unique(np.concatenate(shown)))
    return total


def text_hash(people: Sequence[Person]) -> str:
    """Return 16 hex digits that pin the texts of all people."""
    return hashlib.sha256("\n".join(person.text for person in people).encode()).hexdigest()[:16]

"""A simulated community whose members' true interests are known: posts, friends, a feed, drift.

Everything here is made up by a program. It exists because no real data say what a user was truly
interested in; whatever is measured on it holds for the simulation, and is always called simulated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import expit

from chapters.ch09_community_world import (
    DAY,
    START,
    WEEK,
    CommunityConfig,
    World,
    build_world,
    vocabulary,
)
from llmrec.data.dataset import Dataset
from llmrec.vectors import unit_rows

# What a reader may do with a post: the utility at which the chance is one half, and how much taste
# counts in it. Likes tell most of interest; people also comment on what they disagree with.
ACTIONS = {
    "viewed": (3.0, 1.0),
    "liked": (5.4, 1.0),
    "commented on": (5.2, 0.5),
    "shared": (6.6, 1.0),
}


@dataclass(frozen=True)
class Feed:
    """What a ranking of posts may know when members open their feeds on one day.

    Attributes
    ----------
    users, posts : (m,), (c,)
        Numbers of the visitors and of the posts of the last days.
    age : (m, c)
        Days since a post was published, at the visit; below 0: not yet, it will not be shown.
    from_friends : (m, c) bool
        A friend wrote or shared it.
    liked : (n_users, n_posts) bool
        All likes so far.
    rng : numpy.random.Generator
        For rankings with chance in them.

    Notes
    -----
    A ranking never sees interests or topics.
    """

    users: np.ndarray
    posts: np.ndarray
    age: np.ndarray
    from_friends: np.ndarray
    liked: np.ndarray
    rng: np.random.Generator


Rank = Callable[[Feed], np.ndarray]


def fresh_first(feed: Feed) -> np.ndarray:
    """Rank the newest posts first, what friends wrote or shared as if it were two days newer."""
    return 2.0 * feed.from_friends - feed.age


def at_random(feed: Feed) -> np.ndarray:
    """Rank the posts of the last days by chance."""
    return feed.rng.random(feed.age.shape)


def after_likes(vectors: np.ndarray) -> Rank:
    """Rank posts by the cosine of their vectors ``(n_posts, d)`` to the mean of a member's likes.

    Who has liked nothing yet gets the newest first.
    """
    rows = unit_rows(vectors)

    def rank(feed: Feed) -> np.ndarray:
        until = feed.posts[-1] + 1  # nothing later can have been liked
        taste = unit_rows(feed.liked[feed.users, :until].astype(np.float32) @ rows[:until])
        return taste @ rows[feed.posts].T - 1e-6 * feed.age

    return rank


@dataclass(frozen=True)
class Community:
    """What happened in the simulated community, and the truth behind it.

    Attributes
    ----------
    config : CommunityConfig
    dataset : Dataset
        What a recommender may see. A user's id is the member's number, an item's the post's.
    topics : tuple of str
    interests : (n_users, weeks, n_topics) float32
        True interest by member and week; rows sum to 1.
    item_topics : (n_posts, n_topics) float32
        True topics; rows sum to 1.
    friends : (m, 2)
        Pairs of friends.
    jumps : DataFrame
        ``user, week, timestamp``: whose interests jumped, and when.
    exposures : DataFrame
        ``user, item, timestamp, position, seen``: each post shown, and whether it was looked at.
    bots : (n_users,) bool
    """

    config: CommunityConfig
    dataset: Dataset
    topics: tuple[str, ...]
    interests: np.ndarray = field(repr=False)
    item_topics: np.ndarray = field(repr=False)
    friends: np.ndarray = field(repr=False)
    jumps: pd.DataFrame = field(repr=False)
    exposures: pd.DataFrame = field(repr=False)
    bots: np.ndarray = field(repr=False)

    def week(self, timestamps: np.ndarray) -> np.ndarray:
        """Return the week, 0 … ``weeks - 1``, of timestamps in seconds."""
        return (np.asarray(timestamps) - START) // WEEK


def load(n_users: int = 2000, seed: int = 0) -> Dataset:
    """Return the dataset of a **simulated** community: views, likes, comments, shares of posts.

    Items: ``title``, ``body``, ``tags`` (for half of them), ``author`` and ``published``. No row of
    it comes from a real person. For the truth behind it call `simulate`.
    """
    return simulate(CommunityConfig(n_users=n_users, seed=seed)).dataset


def simulate(config: CommunityConfig | None = None, rank: Rank = fresh_first) -> Community:
    """Simulate a community day by day; the same config and ranking give the same bits.

    A member who comes by is shown the ``feed`` posts that ``rank`` puts on top, of those published
    within ``window`` days and not looked at before. The post in place r is looked at with chance
    ``(1 + r)^-position_bias``. A post has the utility

    ``taste · ⟨interest, topics⟩ + friend_bonus · [a friend's] + quality + openness - staleness · age``

    and an act happens with chance ``σ((utility - threshold) / noise)``: to view what was looked at,
    then to like, comment on, share what was viewed (a random-utility model).

    People, posts and visits are drawn apart from decisions: two rankings meet the same community.

    Raises
    ------
    ValueError
        When the ranking returns scores of another shape, or NaN, or when nobody does anything.

    References
    ----------
    The chance of a look by place: Craswell, Zoeter, Taylor and Ramsey 2008, "An experimental
    comparison of click position-bias models", WSDM. Utility with noise: McFadden 1974,
    "Conditional logit analysis of qualitative choice behavior".
    """
    config = config or CommunityConfig()
    world = build_world(config)
    visiting, deciding, ranking = (np.random.default_rng([config.seed, part]) for part in (2, 3, 4))
    author, published = (world.posts[name].to_numpy() for name in ("author", "published"))
    from_friends = world.network[:, author].toarray()
    known = np.zeros(from_friends.shape, bool)  # written by, or looked at
    known[author, np.arange(len(author))] = True
    liked = np.zeros_like(known)
    shown, done = [], []
    for day in range(7 * config.weeks):
        draw, hour = visiting.random(config.n_users), visiting.uniform(7, 23, config.n_users)
        users = np.flatnonzero((draw < -np.expm1(-world.visits)) & (world.joined <= day))
        first, last = np.searchsorted(
            published, [START + (day - config.window) * DAY, START + (day + 1) * DAY]
        )
        if not len(users) or first == last:
            continue
        moment = (START + day * DAY + 3600 * hour[users]).astype(np.int64)
        recent = slice(first, last)
        age = (moment[:, None] - published[recent]) / DAY
        feed = Feed(users, np.arange(first, last), age, from_friends[users, recent], liked, ranking)
        score = np.where(
            (age >= 0) & ~known[users, recent], _checked(rank(feed), age.shape), -np.inf
        )
        top = np.argsort(-score, axis=1, kind="stable")[:, : config.feed]
        there = np.take_along_axis(score, top, axis=1) > -np.inf
        item, who = feed.posts[top], np.broadcast_to(users[:, None], top.shape)
        place = np.broadcast_to(np.arange(top.shape[1]), top.shape)

        look = deciding.random((len(users), config.feed))[:, : top.shape[1]]
        seen = there & ((look < (1.0 + place) ** -config.position_bias) | world.bots[who])
        age = np.take_along_axis(age, top, axis=1)
        acts = _acts(
            config, world, day // 7, who, item, from_friends[who, item], age, seen, deciding
        )

        clock = moment[:, None] + 20 * place
        shown.append(_rows(there, user=who, item=item, timestamp=clock, position=place, seen=seen))
        for step, mask in enumerate(acts.values()):
            done.append(_rows(mask, user=who, item=item, timestamp=clock + 4 * step))
            done[-1]["action"] = list(acts)[step]
        known[who[seen], item[seen]] = True
        liked[who[acts["liked"]], item[acts["liked"]]] = True
        cells = (who[acts["shared"]], item[acts["shared"]])
        sharing = sparse.csr_matrix((np.ones(len(cells[0]), bool), cells), from_friends.shape)
        from_friends[(world.network @ sharing).nonzero()] = True

    if not sum(map(len, done)):
        raise ValueError("nobody did anything: raise n_users, visits or taste, or lower noise")
    events = pd.concat(done).sort_values("timestamp", kind="stable", ignore_index=True)
    events.insert(3, "weight", 1.0)
    return Community(
        config,
        Dataset("community", events, world.posts),
        tuple(vocabulary()["topics"]),
        world.interests,
        world.topics,
        world.friends,
        world.jumps,
        pd.concat(shown, ignore_index=True),
        world.bots,
    )


def _acts(
    config: CommunityConfig,
    world: World,
    week: int,
    who: np.ndarray,
    item: np.ndarray,
    from_friends: np.ndarray,
    age: np.ndarray,
    seen: np.ndarray,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Return who did what with the posts looked at: a mask ``(m, feed)`` an action."""
    match = (world.interests[who[:, :1], week] * world.topics[item]).sum(axis=2)
    rest = (
        world.openness[who]
        + config.friend_bonus * from_friends
        + world.quality[item]
        - config.staleness * age
    )
    draws = rng.random((len(ACTIONS), len(who), config.feed))[:, :, : who.shape[1]]
    out: dict[str, np.ndarray] = {}
    for draw, (action, (threshold, share)) in zip(draws, ACTIONS.items(), strict=True):
        utility = share * config.taste * match + rest - threshold
        wants = utility > 0 if config.noise == 0 else draw < expit(utility / config.noise)
        pushes = (match > 0.5) & (action != "commented on")
        out[action] = out.get("viewed", seen) & np.where(world.bots[who], pushes, wants)
    return out


def _checked(scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    out = np.asarray(scores, np.float64)
    if out.shape != shape or np.isnan(out).any():
        raise ValueError(
            f"the ranking returned scores of shape {out.shape}: give {shape}, visitors by posts,"
            " without NaN"
        )
    return out


def _rows(chosen: np.ndarray, **columns: np.ndarray) -> pd.DataFrame:
    """Return the chosen cells as rows of a table."""
    return pd.DataFrame({name: cells[chosen] for name, cells in columns.items()})

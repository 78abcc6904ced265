"""Who lives in the simulated community, and what they write: interests, friends and posts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy import sparse
from scipy.special import softmax

DAY, WEEK = 86_400, 604_800
START = 1_704_067_200  # Monday, 1 January 2024, 00:00 UTC
FIRST = 0.6  # weight of the first topic of a post on two


@dataclass(frozen=True)
class CommunityConfig:
    """How large the community is, who lives there, and how they behave.

    Parameters
    ----------
    n_users, weeks, posts_a_week, seed:
        Size and chance. The same config gives the same bits.
    focus:
        Spread of a user's affinities: larger means fewer interests.
    drift:
        Share of the affinities' variance that is drawn anew each week, 0 … 1.
    jumpers:
        Share of users whose interests jump once, in the middle half of the time.
    friends, homophily:
        Mean number of friends; share of friendships drawn among users with the same main topic.
    newcomers:
        Share of users who join later than the first day. They read and do not write.
    bots:
        Number of accounts that visit daily and view, like and share every post on one topic.
    two_topics, tagged:
        Share of posts on two topics; share that carries tags.
    quality:
        Spread of how attractive posts are to everybody.
    visits:
        Median number of visits a week; ``activity`` is the spread of its logarithm.
    openness:
        Spread of how readily people act at all, in utility.
    feed, window:
        Posts shown a visit; days after which a post is no longer shown.
    position_bias:
        The post in place r (0, 1, …) is looked at with chance ``(1 + r)^-position_bias``.
    taste, friend_bonus, staleness:
        Utility of a perfect match, of a friend's having written or shared it, and its loss a day.
    noise:
        Scale of the logistic noise of every decision; 0: no chance in decisions.

    Raises
    ------
    ValueError
        When a value is out of range; the message names it.
    TypeError
        For an unknown name.
    """

    n_users: int = 2000
    weeks: int = 26
    posts_a_week: int = 120
    seed: int = 0
    focus: float = 2.5
    drift: float = 0.02
    jumpers: float = 0.25
    friends: float = 8.0
    homophily: float = 0.5
    newcomers: float = 0.3
    bots: int = 0
    two_topics: float = 0.25
    tagged: float = 0.5
    quality: float = 1.3
    visits: float = 0.7
    activity: float = 1.5
    openness: float = 1.0
    feed: int = 15
    window: int = 7
    position_bias: float = 0.7
    taste: float = 6.0
    friend_bonus: float = 1.0
    staleness: float = 0.3
    noise: float = 1.0

    def __post_init__(self) -> None:
        lowest = {"n_users": 2, "weeks": 4, "posts_a_week": 1, "feed": 1, "window": 1}
        for name, low in lowest.items():
            if getattr(self, name) < low:
                raise ValueError(f"{name}={getattr(self, name)}: give at least {low}")
        for name in ("drift", "jumpers", "homophily", "newcomers", "two_topics", "tagged"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is not a share, 0 to 1")
        others = ("seed", "focus", "friends", "quality", "visits", "activity", "position_bias")
        for name in (*others, "openness", "taste", "friend_bonus", "staleness", "noise"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} is negative")
        if not 0 <= self.bots < self.n_users - 1:
            raise ValueError(f"bots={self.bots}: give 0 to n_users - 2, here {self.n_users - 2}")


@cache
def vocabulary() -> dict[str, Any]:
    """Return the topics' words and the wordings of posts, as ``ch09_community.yml`` holds them."""
    path = Path(__file__).with_name("ch09_community.yml")
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class World:
    """What does not depend on the feed.

    Attributes
    ----------
    bots, interests, jumps, friends, topics
        As in `Community`.
    network : (n_users, n_users) sparse bool
        Friends, both ways.
    visits, joined, openness : (n_users,)
        Mean visits a day; the day from which on a member comes; what is added to all utilities.
    posts, quality : n_posts rows
        What is written, oldest first, and how attractive it is to everybody.
    """

    bots: np.ndarray
    interests: np.ndarray
    jumps: pd.DataFrame
    friends: np.ndarray
    network: sparse.csr_matrix
    visits: np.ndarray
    joined: np.ndarray
    openness: np.ndarray
    posts: pd.DataFrame
    topics: np.ndarray
    quality: np.ndarray


def build_world(config: CommunityConfig) -> World:
    """Draw people, friends and posts; no feed has a part in it."""
    people, writing = (np.random.default_rng([config.seed, part]) for part in (0, 1))
    n = config.n_users
    bots = np.isin(np.arange(n), people.permutation(n)[: config.bots])
    interest, jumps = interests(config, bots, people)
    friends = friendships(interest[:, 0].argmax(axis=1), config, people)
    ends = tuple(np.concatenate([friends, friends[:, ::-1]]).T)
    network = sparse.csr_matrix((np.ones(len(ends[0]), bool), ends), (n, n))
    visits = config.visits / 7 * np.exp(people.normal(0, config.activity, n))
    joins = people.random(n) < config.newcomers
    joined = np.where(joins & ~bots, people.integers(0, 7 * config.weeks, n), 0)
    writers = people.lognormal(0, 1, n) * ((joined == 0) & ~bots)
    openness = people.normal(0, config.openness, n)
    table, topics = posts(interest, writers, config, writing)
    quality = writing.normal(0, config.quality, len(table))
    visits[bots] = np.inf
    return World(
        bots=bots,
        interests=interest,
        jumps=jumps,
        friends=friends,
        network=network,
        visits=visits,
        joined=joined,
        openness=openness,
        posts=table,
        topics=topics,
        quality=quality,
    )


def interests(
    config: CommunityConfig, bots: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, pd.DataFrame]:
    """Return true interests ``(n_users, weeks, n_topics)``, rows summing to 1, and the jumps.

    Affinities wander, ``a_{w+1} = √(1-drift) a_w + √drift · focus · ε``, so that they move and stay
    as spread as they were; interest is their softmax. A jump hands each topic's affinity to another
    topic, so that the main topic changes for certain. Bots have one topic, the first.
    """
    n, weeks, k = config.n_users, config.weeks, len(vocabulary()["topics"])
    jumping = rng.random(n) < config.jumpers
    week_of_jump = np.where(jumping & ~bots, rng.integers(weeks // 4, weeks - weeks // 4, n), -1)
    handed = (np.arange(k) - rng.integers(1, k, n)[:, None]) % k
    affinity = rng.normal(0, config.focus, (n, k))
    out = np.empty((n, weeks, k), np.float32)
    for week in range(weeks):
        if week:
            fresh = rng.normal(0, config.focus, (n, k))
            affinity = np.sqrt(1 - config.drift) * affinity + np.sqrt(config.drift) * fresh
        now = np.flatnonzero(week_of_jump == week)
        affinity[now] = np.take_along_axis(affinity[now], handed[now], axis=1)
        out[:, week] = softmax(affinity, axis=1)
    out[bots] = np.eye(k, dtype=np.float32)[0]
    jumped = np.flatnonzero(week_of_jump >= 0)
    jumps = pd.DataFrame({"user": jumped, "week": week_of_jump[jumped]})
    jumps["timestamp"] = START + jumps["week"] * WEEK
    return out, jumps


def friendships(main: np.ndarray, config: CommunityConfig, rng: np.random.Generator) -> np.ndarray:
    """Return distinct pairs of friends ``(m, 2)``, lower user first.

    The share ``homophily`` is drawn among users with the same main topic ``main (n_users,)``, the
    rest among all. Pairs drawn twice, and a user's with himself, fall out: m is a little below
    ``n_users · friends / 2``.
    """
    n = len(main)
    a = rng.integers(0, n, round(n * config.friends / 2))
    alike = np.argsort(main, kind="stable")  # users of one topic stand together
    first = np.searchsorted(main[alike], main[a])
    place = (rng.random(len(a)) * np.bincount(main)[main[a]]).astype(np.int64)
    anyone = rng.integers(0, n, len(a))
    b = np.where(rng.random(len(a)) < config.homophily, alike[first + place], anyone)
    pairs = np.unique(np.sort(np.stack([a, b], axis=1), axis=1), axis=0)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def posts(
    interest: np.ndarray, writing: np.ndarray, config: CommunityConfig, rng: np.random.Generator
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return all posts, oldest first, and their topics ``(n_posts, n_topics)``, rows summing to 1.

    Authors are drawn by ``writing (n_users,)``; topics from the author's interest of that week. The
    table has ``item, title, body, tags, author, published``.
    """
    n, k = config.weeks * config.posts_a_week, interest.shape[2]
    published = START + np.sort(rng.integers(0, config.weeks * WEEK, n))
    author = rng.choice(len(writing), n, p=writing / writing.sum())
    chance = interest[author, (published - START) // WEEK].astype(np.float64)
    rows = np.arange(n)
    first = _draw(chance, rng)
    chance[rows, first] = 0
    # Who has a single interest (a bot's, or the sharpest focus) writes about nothing else.
    able = chance.sum(axis=1) > 1e-9
    chance[~able] = 1.0
    second = np.where(able & (rng.random(n) < config.two_topics), _draw(chance, rng), first)
    topics = np.zeros((n, k), np.float32)
    topics[rows, first] = FIRST
    topics[rows, second] += 1 - FIRST
    table = pd.DataFrame([_written(a, b, config, rng) for a, b in zip(first, second, strict=True)])
    table.insert(0, "item", rows)
    return table.assign(author=author, published=published), topics


def _draw(chance: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a column for each row, by the row's weights."""
    steps = chance.cumsum(axis=1)
    at = rng.random(len(chance)) * steps[:, -1]
    return np.minimum((steps <= at[:, None]).sum(axis=1), chance.shape[1] - 1)


def _written(a: int, b: int, config: CommunityConfig, rng: np.random.Generator) -> dict[str, str]:
    """Word one post on topic ``a``, and on ``b`` where it is another."""
    words, names = vocabulary(), list(vocabulary()["topics"])
    one, two = words["topics"][names[a]], words["topics"][names[b]]
    kind = "" if a == b else "_of_two"
    thing, other = rng.choice(one["things"], 2, replace=False)
    fields = {
        "thing": thing,
        "other": other,
        "act": rng.choice(one["acts"]),
        "thing2": rng.choice(two["things"]),
        "act2": rng.choice(two["acts"]),
    }
    title = str(rng.choice(words[f"titles{kind}"])).format(**fields)
    body = str(rng.choice(words[f"bodies{kind}"])).format(**fields)
    tags = list(dict.fromkeys(str(rng.choice(topic["tags"])) for topic in (one, two)))
    tags = tags if rng.random() < config.tagged else []
    return {"title": title[0].upper() + title[1:], "body": body, "tags": ", ".join(tags)}

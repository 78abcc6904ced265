"""The simulated community: known answers without chance, and each setting seen in the data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from chapters.ch09_community import (
    ACTIONS,
    Community,
    CommunityConfig,
    Feed,
    after_likes,
    at_random,
    fresh_first,
    simulate,
)
from chapters.ch09_community_world import WEEK, friendships, vocabulary

SMALL = CommunityConfig(n_users=300, weeks=12, posts_a_week=40, visits=3.0)
# Nothing but interest decides, everything shown is looked at, interests stand still. With taste 9
# only a topic that is more than half of an interest can be liked.
PURE = replace(
    SMALL,
    taste=9.0,
    noise=0,
    openness=0,
    quality=0,
    friend_bonus=0,
    staleness=0,
    drift=0,
    jumpers=0,
    position_bias=0,
    two_topics=0,
)


@pytest.fixture(scope="module")
def small() -> Community:
    return simulate(SMALL)


def first_topics(community: Community, action: str) -> pd.Series:
    """The main topic of each post that was the object of an action, by user."""
    events = community.dataset.interactions
    events = events[events["action"] == action]
    return events.set_index("user")["item"].map(
        pd.Series(community.item_topics.argmax(axis=1), community.dataset.items["item"])
    )


def test_without_noise_the_most_liked_topic_is_the_true_one() -> None:
    community = simulate(PURE)
    truth = community.interests[:, 0].argmax(axis=1)
    liked = first_topics(community, "liked").groupby("user").agg(lambda t: t.mode().iloc[0])
    assert len(liked) > 80
    assert (liked.to_numpy() == truth[liked.index]).all()
    # Whether anything is liked is a threshold on true interest, and nothing else.
    share = community.interests[liked.index, 0].max(axis=1)
    assert (PURE.taste * share > ACTIONS["liked"][0]).all()


def test_drift_and_jumps_are_as_configured() -> None:
    still = simulate(replace(PURE, weeks=8))
    assert (still.interests == still.interests[:, :1]).all()
    assert still.jumps.empty
    jumping = simulate(replace(PURE, jumpers=1.0))
    assert jumping.jumps["user"].tolist() == list(range(PURE.n_users))
    assert jumping.jumps["week"].between(3, 8).all()
    for user, week, time in jumping.jumps.head(50).itertuples(index=False):
        before, after = jumping.interests[user, week - 1], jumping.interests[user, week]
        assert before.argmax() != after.argmax()  # the main topic changes for certain
        np.testing.assert_allclose(np.sort(before), np.sort(after), rtol=1e-5)  # handed over
        assert (jumping.interests[user, :week] == before).all()
        assert (jumping.interests[user, week:] == after).all()
        assert jumping.week(time) == week
        assert jumping.week(time - 1) == week - 1


def test_drift_is_slow_and_keeps_the_spread() -> None:
    wandering = simulate(replace(PURE, n_users=500, weeks=26, drift=0.05))
    logs = np.log(wandering.interests.astype(np.float64) + 1e-30)
    logs -= logs.mean(axis=2, keepdims=True)
    assert logs[:, -1].std() == pytest.approx(logs[:, 0].std(), rel=0.05)
    for lag in (1, 10, 25):  # an affinity's correlation over a lag is √(1 - drift) to that power
        r = np.corrcoef(logs[:, 0].ravel(), logs[:, lag].ravel())[0, 1]
        assert r == pytest.approx(0.95 ** (lag / 2), abs=0.04)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(small: Community) -> None:
    again, other = simulate(SMALL), simulate(replace(SMALL, seed=1))
    pd.testing.assert_frame_equal(again.dataset.interactions, small.dataset.interactions)
    pd.testing.assert_frame_equal(again.dataset.items, small.dataset.items)
    pd.testing.assert_frame_equal(again.exposures, small.exposures)
    assert (again.interests == small.interests).all()
    assert not small.dataset.items["title"].equals(other.dataset.items["title"])


@pytest.mark.parametrize("homophily", [0.0, 0.4, 1.0])
def test_homophily_stands_above_a_rewired_null(homophily: float) -> None:
    rng = np.random.default_rng(0)
    config = CommunityConfig(n_users=4000, friends=20, homophily=homophily)
    main = rng.integers(0, 8, config.n_users)
    pairs = friendships(main, config, rng)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs) <= 40_000
    alike = (main[pairs[:, 0]] == main[pairs[:, 1]]).mean()
    rewired = (main[pairs[:, 0]] == main[rng.permutation(pairs[:, 1])]).mean()
    assert rewired == pytest.approx(1 / 8, abs=0.01)
    assert alike == pytest.approx(homophily + (1 - homophily) / 8, abs=0.02)


def test_position_bias_is_as_configured(small: Community) -> None:
    looks = small.exposures.groupby("position")["seen"].agg(["mean", "size"])
    chance = (1.0 + looks.index.to_numpy()) ** -SMALL.position_bias
    error = np.sqrt(chance * (1 - chance) / looks["size"])
    assert (np.abs(looks["mean"] - chance) <= 4.5 * error).all()
    assert looks["mean"].iloc[0] == 1.0
    assert simulate(PURE).exposures["seen"].all()


def test_nobody_does_what_he_cannot(small: Community) -> None:
    events, items = small.dataset.interactions, small.dataset.items.set_index("item")
    assert not events.duplicated(["user", "item", "action"]).any()
    assert (events["timestamp"] >= events["item"].map(items["published"])).all()
    assert (events["user"] != events["item"].map(items["author"])).all()
    viewed = events.loc[events["action"] == "viewed", ["user", "item"]]
    looked = small.exposures.loc[small.exposures["seen"], ["user", "item"]]
    assert not looked.duplicated().any()  # what was looked at is not shown again
    assert len(viewed.merge(looked)) == len(viewed)
    others = events.loc[events["action"] != "viewed", ["user", "item"]]
    assert len(others.merge(viewed)) == len(others)
    counts = events["action"].value_counts()
    assert counts["viewed"] > counts["liked"] > counts["shared"] > 0
    assert events["timestamp"].is_monotonic_increasing
    assert small.week(events["timestamp"]).max() < SMALL.weeks


def test_likes_tell_more_of_interest_than_views_and_comments_less(small: Community) -> None:
    events = small.dataset.interactions
    match = small.interests[events["user"], small.week(events["timestamp"])]
    match = (match * small.item_topics[events["item"]]).sum(axis=1)
    mean = pd.Series(match).groupby(events["action"].to_numpy()).mean()
    assert mean["liked"] > mean["viewed"] + 0.02
    assert mean["liked"] > mean["commented on"] + 0.02


def test_friends_and_freshness_count() -> None:
    config = replace(PURE, noise=1.0, position_bias=0.7)
    social, plain = simulate(replace(config, friend_bonus=3.0)), simulate(config)

    def among_friends(community: Community) -> float:
        events, items = community.dataset.interactions, community.dataset.items
        ties = {*map(tuple, community.friends), *map(tuple, community.friends[:, ::-1])}
        author = items["author"].to_numpy()[events["item"]]
        return float(np.mean([pair in ties for pair in zip(events["user"], author, strict=True)]))

    assert among_friends(social) > 1.5 * among_friends(plain)
    stale = simulate(replace(config, staleness=1.0), rank=at_random)
    fresh = simulate(config, rank=at_random)

    def age(community: Community) -> float:
        events = community.dataset.interactions
        return float(
            (
                events["timestamp"]
                - community.dataset.items["published"].to_numpy()[events["item"]]
            ).mean()
        )

    assert age(stale) < 0.8 * age(fresh)


def test_bots_push_one_topic_and_nothing_else() -> None:
    community = simulate(replace(SMALL, bots=5))
    assert community.bots.sum() == 5
    events = community.dataset.interactions
    own = events[community.bots[events["user"]]]
    assert set(own["action"]) == {"viewed", "liked", "shared"}
    assert (community.item_topics[own["item"], 0] > 0.5).all()
    assert not community.bots[community.jumps["user"]].any()
    assert not community.bots[community.dataset.items["author"]].any()
    share = len(own) / len(events)
    assert share > 5 / SMALL.n_users  # bots do more than people
    assert not simulate(SMALL).bots.any()


def test_rankings_meet_the_same_community(small: Community) -> None:
    vectors = np.random.default_rng(0).normal(size=(len(small.dataset.items), 8))
    for rank in (at_random, after_likes(vectors)):
        other = simulate(SMALL, rank=rank)
        pd.testing.assert_frame_equal(other.dataset.items, small.dataset.items)
        assert (other.interests == small.interests).all()
        assert not other.exposures["item"].equals(small.exposures["item"])


def test_what_follows_likes_narrows_what_is_seen() -> None:
    config = replace(SMALL, posts_a_week=160, visits=3.0, drift=0, jumpers=0)
    first = simulate(config)
    followed = simulate(config, rank=after_likes(first.item_topics))

    def own_main(community: Community) -> float:
        seen = community.exposures[community.exposures["seen"]]
        late = seen[community.week(seen["timestamp"]) >= 6]
        main = community.interests[:, 0].argmax(axis=1)[late["user"]]
        return float(community.item_topics[late["item"], main].mean())

    assert own_main(followed) > 1.5 * own_main(first)


def test_a_feed_knows_neither_interests_nor_the_future() -> None:
    seen: list[Feed] = []

    def rank(feed: Feed) -> np.ndarray:
        seen.append(feed)
        return fresh_first(feed)

    community = simulate(SMALL, rank=rank)
    assert set(vars(seen[0])) == {"users", "posts", "age", "from_friends", "liked", "rng"}
    published = community.dataset.items["published"]
    assert all(feed.age.max() < SMALL.window + 1 for feed in seen)
    shown = community.exposures
    assert (shown["timestamp"] >= published.to_numpy()[shown["item"]]).all()
    assert shown["position"].max() < SMALL.feed


def test_texts_are_english_and_on_their_topics(small: Community) -> None:
    words = vocabulary()["topics"]
    items = small.dataset.items
    assert not items["title"].str.contains(r"[{}]").any()
    assert not items["body"].str.contains(r"[{}]").any()
    assert items["title"].str[0].str.isupper().all()
    for row in range(50):
        topics = [small.topics[t] for t in small.item_topics[row].nonzero()[0]]
        allowed = [w for t in topics for w in words[t]["things"] + words[t]["acts"]]
        title = items["title"][row].lower()
        assert any(word.lower() in title for word in allowed), title
    two = (small.item_topics > 0).sum(axis=1) == 2
    assert two.mean() == pytest.approx(SMALL.two_topics, abs=0.06)
    assert (items["tags"] != "").mean() == pytest.approx(SMALL.tagged, abs=0.07)
    np.testing.assert_allclose(small.item_topics.sum(axis=1), 1, rtol=1e-6)
    assert items["title"].nunique() > 0.6 * len(items)
    assert (items["published"].diff().dropna() >= 0).all()
    assert items["published"].max() < items["published"].min() + SMALL.weeks * WEEK


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_users": 1}, "n_users=1: give at least 2"),
        ({"weeks": 3}, "weeks=3: give at least 4"),
        ({"homophily": 1.5}, "homophily=1.5 is not a share"),
        ({"noise": -1.0}, "noise=-1.0 is negative"),
        ({"n_users": 10, "bots": 9}, "bots=9: give 0 to n_users - 2, here 8"),
    ],
)
def test_settings_out_of_range_are_refused(setting: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CommunityConfig(**setting)


def test_unknown_settings_and_malformed_rankings_are_refused() -> None:
    with pytest.raises(TypeError, match="n_bots"):
        CommunityConfig(n_bots=3)  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="the ranking returned scores of shape"):
        simulate(SMALL, rank=lambda feed: feed.age[:1, :1])
    with pytest.raises(ValueError, match="without NaN"):
        simulate(SMALL, rank=lambda feed: np.full(feed.age.shape, np.nan))
    with pytest.raises(ValueError, match="nobody did anything"):
        simulate(replace(PURE, taste=0))

"""The explorer's data: pasts, positions, lists and hits are what the split and the models say."""

from dataclasses import replace

import numpy as np
import pytest

from chapters.ch00_people import choose_users, excerpt, explore, plane, running_mean, text_hash
from llmrec.evaluation import slices


def test_a_past_is_the_users_history_oldest_first(explorer):
    assert [(p.user, p.name, p.group) for p in explorer.people] == [
        (2, "72", "short"),
        (0, "70", "long"),
        (1, "71", "long"),
    ]
    first = explorer.people[1].history
    assert first["item"].tolist() == [0, 1, 3]
    assert first["weight"].tolist() == [1.0, 2.0, 4.0]
    assert explorer.people[2].history["item"].tolist() == [0, 4]  # one day: rows keep their order


def test_nothing_of_the_future_is_in_the_past(split, models, vectors, explorer):
    """Another future leaves everything but what was taken as it was."""
    groups = {"short": np.array([2]), "long": np.array([0, 1])}
    later = replace(split, test=split.test[:0])
    blind = explore(later, models, vectors, [""] * 4, groups, k=4, window=2)
    for person, same in zip(explorer.people, blind.people, strict=True):
        assert person.history.equals(same.history)
        assert np.array_equal(person.path, same.path)
        assert len(same.taken) == 0
        assert not same.hits("EASE").any()
        assert all(np.array_equal(person.lists[m], same.lists[m]) for m in explorer.models)


def test_taken_is_new_and_in_the_order_of_time(explorer):
    assert explorer.people[1].taken.tolist() == [2, 5]  # Heat was in the history already


def test_a_position_is_the_projection_of_the_running_mean(explorer, vectors):
    centre = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
    axes = np.linalg.svd(centre)[2][:2]  # up to their signs
    for person in explorer.people:
        seen = centre[person.history["item"]]
        for count, place, newest in zip(person.moments, person.path, person.recent, strict=True):
            mean = seen[:count].mean(axis=0) @ axes.T
            assert np.abs(place) == pytest.approx(np.abs(mean), abs=1e-6)
            mean = seen[max(0, count - 2) : count].mean(axis=0) @ axes.T
            assert np.abs(newest) == pytest.approx(np.abs(mean), abs=1e-6)
    assert explorer.people[1].moments.tolist() == [1, 2, 3]
    assert explorer.people[1].path[0] == pytest.approx(explorer.points[0])


def test_moments_are_spread_over_a_long_history(split, models, vectors):
    groups = {"long": np.array([0])}
    few = explore(split, models, vectors, [""] * 4, groups, moments=2).people[0]
    assert few.moments.tolist() == [1, 3]


def test_lists_are_those_of_the_models(explorer, models):
    for person in explorer.people:
        for name, model in models.items():
            listed = model.recommend(np.array([person.user]), 4)[0][0]
            assert person.lists[name].tolist() == listed.tolist()
    popular = explorer.people[1].lists["Popularity"]
    assert popular.tolist() == [2, 4, 5, -1]  # what user 70 has not seen; the list ends early


def test_hits_are_what_was_really_taken(explorer):
    assert explorer.people[1].hits("Popularity").tolist() == [True, False, True, False]
    third = explorer.people[2]  # took Ran
    assert third.lists["Popularity"].tolist()[0] == 1
    assert third.hits("Popularity").tolist() == [True, False, False, False]


def test_the_plane_keeps_the_widest_directions_and_is_affine(vectors):
    points, kept = plane(vectors)
    values = np.linalg.svd(vectors - vectors.mean(axis=0), compute_uv=False) ** 2
    assert kept == pytest.approx(values[:2] / values.sum(), rel=1e-5)
    assert points.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert np.array_equal(points, plane(vectors.copy())[0])


def test_running_mean_by_hand():
    points = np.array([[0.0, 0.0], [2.0, 4.0], [4.0, 2.0]])
    assert running_mean(points, np.array([1, 2, 3])).tolist() == [[0, 0], [1, 2], [2, 2]]
    assert running_mean(points, np.array([1, 3]), window=2).tolist() == [[0, 0], [3, 3]]


def test_regions_lie_in_the_middle_of_their_kind_largest_first(explorer):
    assert list(explorer.regions) == ["Comedy", "Crime", "Animation", "Drama", "Horror", "War"]
    assert explorer.regions["Crime"] == pytest.approx(explorer.points[[0, 5]].mean(axis=0))


def test_titles_carry_the_year(explorer):
    assert explorer.titles[1] == "Ran (1991)"


def test_users_are_drawn_from_all_that_took_enough(split):
    """Users 2, 1 and 0 have a past of 1, 2 and 3 films, and then took 1, 1 and 2 new ones."""
    assert {name: len(slices(split).users[name]) for name in ("short", "medium", "long")} == {
        "short": 1,
        "medium": 1,
        "long": 1,
    }
    chosen = choose_users(split, each=5, least=1)
    assert {group: users.tolist() for group, users in chosen.items()} == {
        "short": [2],
        "medium": [1],
        "long": [0],
    }
    assert [len(users) for users in choose_users(split, each=5, least=2).values()] == [0, 0, 1]


@pytest.mark.component
def test_the_draw_follows_the_seed_and_nothing_else():
    from llmrec.data import load, time_split

    clock = time_split(load("ml-100k"))
    draws = [choose_users(clock, each=4, least=10, seed=seed) for seed in (0, 0, 1)]
    assert all(np.array_equal(draws[0][group], draws[1][group]) for group in draws[0])
    assert any(not np.array_equal(draws[0][group], draws[2][group]) for group in draws[0])
    for group, users in draws[0].items():
        assert len(users) == len(set(users)) == 4
        assert np.isin(users, slices(clock).users[group]).all()
        new = (clock.matrix("test") > clock.matrix("history"))[users].getnnz(axis=1)
        assert new.min() >= 10


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"models": {}}, "at least one model"),
        ({"groups": {"short": np.array([], int)}}, "at least one model and one user"),
        ({"texts": ["one"]}, "1 texts for 4 users"),
        ({"vectors": np.zeros((2, 4))}, "2 vectors for 6 items"),
    ],
)
def test_bad_input_is_refused_in_one_line(split, models, vectors, change, problem):
    good = {"models": models, "vectors": vectors, "texts": [""] * 4, "groups": {"a": [0]}}
    with pytest.raises(ValueError, match=problem):
        explore(split, **(good | change))
    with pytest.raises(ValueError, match="each=0"):
        choose_users(split, each=0)


def test_a_user_without_history_is_refused(split, models, vectors):
    bare = replace(split, history=split.history[split.history["user"] != 3])
    with pytest.raises(ValueError, match="user 3 has no history"):
        explore(bare, models, vectors, [""] * 4, {"cold": np.array([3])})


def test_the_excerpt_counts_each_event_of_a_person_once(explorer):
    one = explorer.people[1]  # history 0, 1, 3 with moments after each event; took 2, 5
    assert excerpt([one], newest=3, k=0) == len({0, 1, 3} | set(one.taken[:0]) | hit_items(one))
    assert excerpt([one], newest=3, k=2) == 5
    assert excerpt([one, one], newest=3, k=2) == 10


def hit_items(person):
    return {int(i) for model in person.lists for i in person.lists[model][person.hits(model)]}


def test_the_texts_of_all_people_are_pinned(explorer):
    changed = (*explorer.people[:-1], replace(explorer.people[-1], text="another"))
    assert len(text_hash(explorer.people)) == 16
    assert text_hash(explorer.people) != text_hash(changed)

"""`audit`: a faulty split for each check, real splits that pass, a published one that does not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from llmrec import config
from llmrec.data import (
    Dataset,
    Split,
    cold_item_split,
    cold_user_split,
    last_out_split,
    load,
    random_split,
    time_split,
)
from llmrec.evaluation import Audit, Finding, LeakageError, audit, blind, leakage
from llmrec.models import Features, Popularity
from llmrec.text import behaviour_texts

KINDS = {
    "time": time_split,
    "random": random_split,
    "last-out": last_out_split,
    "cold-item": cold_item_split,
    "cold-user": cold_user_split,
}
TITLES = ["Alien", "Aliens", "Brazil", "Casino", "Dune", "Fargo", "Heat", "It", "Jaws", "Kes"]


def frame(rows):
    """(user, item, timestamp) rows."""
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    events = dict(zip(("user", "item", "timestamp"), columns, strict=True))
    return pd.DataFrame({**events, "weight": 1.0, "action": "saw"})


def make_split(train, test, valid=(), given=(), kind="time", titles=TITLES):
    """Return a split of these rows; the dataset holds them all."""
    items = pd.DataFrame({"item": np.arange(len(titles)), "title": titles})
    parts = [frame(list(part)) for part in (train, valid, test, given)]
    data = Dataset("toy", pd.concat(parts, ignore_index=True), items)
    assert data.user_ids.tolist() == list(range(data.n_users))  # rows are codes already
    history = pd.concat([parts[0], parts[3]], ignore_index=True)
    return Split(data, kind, 0, *parts[:3], history=history)


TRAIN = [(0, 0, 1), (0, 2, 2), (1, 2, 3), (1, 3, 4), (2, 0, 5)]
TEST = [(0, 4, 11), (1, 5, 12), (2, 6, 13)]
CLEAN = make_split(TRAIN, TEST)


@pytest.fixture(scope="module")
def films():
    return load("ml-100k")


# --- the split ----------------------------------------------------------------------------------


def test_a_clean_split_passes_every_check_of_a_split():
    findings = audit(CLEAN).findings
    status = {finding.check: finding.status for finding in findings}
    assert status.pop("popularity") == "not checked"  # three items in test, once each
    assert set(status.values()) == {"pass"}
    assert findings[0].examined == "5 history, 5 train, 0 valid, 3 test events"


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"test": [*TEST, TRAIN[3]]}, "1 of 4 test events are in history too"),
        ({"given": [TEST[1]]}, "1 of 3 test events are in history too"),
        ({"valid": [TEST[0], TEST[2]]}, "2 of 3 test events are in valid too"),
        ({"valid": [TRAIN[0]]}, "1 of 1 valid events are in history too"),
    ],
)
def test_overlap_fails(parts, where):
    finding = leakage.check_overlap(make_split(**{"train": TRAIN, "test": TEST, **parts}))
    assert finding.status == "failure"
    assert finding.found.startswith(where)
    assert "split once" in finding.fix


def test_overlap_with_a_train_part_that_history_lacks():
    split = replace(make_split([*TRAIN, TEST[0]], TEST), history=frame(TRAIN))
    assert leakage.check_overlap(split).found.endswith(
        "are in train too, the first is user 0, item 4"
    )


def test_a_repeat_at_another_time_is_a_warning_but_not_where_times_are_unknown():
    finding = leakage.check_overlap(make_split(TRAIN, [*TEST, (1, 3, 14)]))
    assert (finding.status, finding.found[:18]) == ("warning", "1 of 4 test events")
    timeless = [
        [(user, item, 0) for user, item, _ in part] for part in (TRAIN, [*TEST, (1, 3, 14)])
    ]
    assert leakage.check_overlap(make_split(*timeless)).status == "failure"


@pytest.mark.parametrize("part", ["train", "test", "valid"])
def test_duplicates_fail(part):
    rows = {"train": TRAIN, "test": TEST, "valid": [(0, 1, 8)]}
    rows[part] = rows[part] + rows[part][:1]
    finding = leakage.check_duplicates(make_split(**rows))
    n = len(rows[part])
    assert finding.status == "failure"
    assert finding.found == f"1 of {n} {part} events repeat another one"


def test_a_stray_duplicate_is_a_warning():
    rows = [(user, item, 10 * user + item + 1) for user in range(100) for item in range(10)]
    split = make_split([*rows, rows[7]], [(0, 1, 2000)])
    assert leakage.check_duplicates(split).status == "warning"  # 1 of 1,001
    assert (
        leakage.check_duplicates(make_split([*rows[:-2], rows[7]], TEST)).status == "failure"
    )  # of 999


def test_the_future_fails_in_a_time_split():
    assert leakage.check_future(make_split([*TRAIN, (2, 1, 11)], TEST), "time").status == "pass"
    finding = leakage.check_future(make_split([*TRAIN, (2, 1, 12), (2, 3, 20)], TEST), "time")
    assert finding.status == "failure"
    assert finding.found == (
        "2 of 7 history events are later than the first test event, the first is user 2, item 1"
    )
    valid = make_split(TRAIN, TEST, valid=[(0, 1, 9), (1, 1, 12)])
    assert leakage.check_future(valid, "time").found.startswith(
        "1 of 2 valid events are later than the f"
    )
    valid = make_split(TRAIN, TEST, valid=[(0, 1, 4), (1, 1, 9)])
    assert leakage.check_future(valid, "time").found.startswith(
        "1 of 5 history events are later than"
    )


@pytest.mark.parametrize("kind", ["last-out", "cold-user"])
def test_the_own_future_fails_where_each_user_has_a_clock(kind):
    rows = [*TRAIN, (2, 1, 12)]  # later than the test events of users 0 and 1, not than user 2's
    finding = leakage.check_future(make_split(rows, TEST), kind)
    assert finding.status == "warning"
    assert finding.found == (
        "1 of 6 train events are later than the first test event, 0 than the median one"
    )
    finding = leakage.check_future(make_split([*rows, (0, 1, 12)], TEST), kind)
    assert finding.status == "failure"
    assert "1 of 7 history events are later than the same user’s first test event" in finding.found


def test_the_future_only_warns_in_a_random_split_and_needs_times():
    finding = leakage.check_future(make_split([*TRAIN, (0, 1, 12)], TEST), "random")
    assert (finding.status, finding.fix) == ("warning", "where that matters, use time_split")
    finding = leakage.check_future(make_split([*TRAIN, (2, 1, 0)], TEST), "time")
    assert (finding.status, finding.found) == ("not checked", "1 timestamps are unknown (0)")


def popular_split(opposite, kind="random"):
    """Item i is taken by i + 10 users; the test part takes a quarter, or the rarest ones."""
    rng = np.random.default_rng(0)
    rows = [(user, item, 0) for item in range(60) for user in rng.permutation(100)[: item + 10]]
    order = sorted(rows, key=lambda row: row[1]) if opposite else rng.permutation(rows).tolist()
    titles = [f"film {item}" for item in range(60)]
    everyone = [(user, 59, 1) for user in range(100)]  # so that each user has a code
    return make_split([*map(tuple, order[600:]), *everyone], order[:600], kind=kind, titles=titles)


def test_popularity_fails_when_the_test_part_is_no_random_draw():
    good, bad = popular_split(opposite=False), popular_split(opposite=True)
    assert leakage.check_popularity(good, "random").status == "pass"
    finding = leakage.check_popularity(bad, "random")
    assert finding.status == "failure"
    assert "no random draw" in finding.fix
    drift = leakage.check_popularity(bad, "time")
    assert (drift.status, drift.found) == ("warning", finding.found)
    assert "expected" in drift.fix
    assert (
        leakage.check_popularity(bad, "leave-some-out").status == "failure"
    )  # promises nothing else
    assert (
        finding
        == leakage.check_popularity(bad, "random", seed=0)
        != leakage.check_popularity(bad, "random", 1)
    )


def test_popularity_that_is_constant_is_not_checked():
    assert (
        leakage.check_popularity(make_split(TRAIN[:2], TEST[:1]), "random").status == "not checked"
    )


def test_twins_warn_and_count_what_they_give_away():
    titles = [*TITLES[:6], "  ALIEN ", "brazil", "", ""]  # 6 is 0 again, 7 is 2; two have no text
    test = [(0, 6, 11), (1, 6, 12), (2, 7, 13), (0, 0, 14)]
    finding = leakage.check_twins(make_split(TRAIN, test, titles=titles))
    # Cold 6 and 7 have a twin in train. User 0 had 0, hence 6 is given away; users 1 and 2 had not,
    # and (0, 0) is a repeat, not a twin.
    assert finding.status == "warning"
    assert finding.found == (
        "4 items have the texts of another; 2 of them are cold with a twin in train; "
        "1 test events take a twin of what the user had"
    )


def test_items_that_share_a_title_only_are_no_twins():
    items = CLEAN.dataset.items.assign(title="Cape Fear", year=range(1990, 2000))
    split = replace(CLEAN, dataset=replace(CLEAN.dataset, items=items))
    assert leakage.check_twins(split).status == "pass"


# --- what was made from it ----------------------------------------------------------------------


def leaky(split):
    return behaviour_texts(replace(split, history=pd.concat([split.history, split.test])))


def test_texts_that_name_what_is_only_in_test_fail():
    finding = leakage.check_texts(CLEAN, leaky(CLEAN))
    assert finding.status == "failure"
    assert finding.found == (
        "3 texts name 3 items that the user has in valid or test only, "
        "the first is 'Dune' for user 0"
    )
    one = behaviour_texts(CLEAN)
    one[1] += " Fargo!"
    assert leakage.check_texts(CLEAN, one).found.startswith("1 texts name 1 items")
    assert leakage.check_texts(CLEAN, behaviour_texts(CLEAN)).status == "pass"


def test_a_text_of_the_valid_part_fails_too():
    split = make_split(TRAIN, TEST, valid=[(2, 8, 9)])
    written = behaviour_texts(split)
    written[2] += " And Jaws."
    assert leakage.check_texts(split, written).status == "failure"


def test_words_that_are_no_evidence():
    # "Alien" stands inside the history's "Alien Nation"; everyone's text says "it".
    titles = ["Alien Nation", "Alien", *TITLES[2:]]
    split = make_split(TRAIN, [(0, 1, 11), (1, 7, 12)], titles=titles)
    written = [f"{text} All of it." for text in behaviour_texts(split)]
    finding = leakage.check_texts(split, written)
    assert finding.status == "pass"
    assert finding.examined.startswith("2 held-out items in 3 texts, 3 of which name an item")
    written[2] += " Alien."
    assert leakage.check_texts(split, written).status == "pass"  # user 2 never took it


def test_titles_match_as_whole_words():
    split = make_split(TRAIN, [(0, 7, 11)])  # "It"
    written = behaviour_texts(split)
    written[0] += " Splits, hits."
    assert leakage.check_texts(split, written).status == "pass"
    written[0] += " It, too."
    assert leakage.check_texts(split, written).status == "failure"


def test_texts_without_titles_prove_nothing():
    finding = leakage.check_texts(CLEAN, ["likes slow films"] * 3)
    assert finding.status == "not checked"
    assert "pass the function" in finding.fix


def test_a_text_for_each_user():
    with pytest.raises(ValueError, match="texts: 2 strings for 3 users: one a user code"):
        leakage.check_texts(CLEAN, ["a", "b"])


@pytest.mark.parametrize(
    "write",
    [
        leaky,
        lambda split: [f"{len(split.test)} more" for _ in range(split.n_users)],
        lambda split: [f"{split.test['weight'].sum()}"] * split.n_users,
        lambda split: [f"{split.dataset.interactions['item'].max()}"] * split.n_users,
        lambda split: [f"{split.dataset.interactions['timestamp'].max()}"] * split.n_users,
    ],
)
def test_a_function_that_reads_the_held_out_part_fails(write):
    finding = leakage.check_texts(CLEAN, write)
    assert (finding.status, finding.found) == (
        "failure", "3 texts change, the first is number 0"
    )  # fmt: skip


def test_a_function_of_history_passes():
    assert leakage.check_texts(CLEAN, behaviour_texts).status == "pass"
    some = leakage.check_texts(CLEAN, lambda split: [str(user) for user in split.test_users])
    assert some.status == "pass"  # who is asked about may be known


def test_blind_keeps_codes_history_and_users(films):
    split = cold_user_split(films, valid=0.1)
    hidden = blind(split)
    assert hidden.history is split.history
    assert hidden.train is split.train
    assert np.array_equal(hidden.dataset.user_ids, films.user_ids)
    assert np.array_equal(hidden.test_users, split.test_users)
    assert not np.isin(hidden.test["action"], split.test["action"]).any()
    for step, moved in zip((1, 2), np.split(hidden.test["item"].to_numpy(), 2), strict=True):
        assert np.array_equal(moved, (split.test["item"] + step) % split.n_items)
    assert len(hidden.dataset.interactions) == len(films.interactions) + len(split.valid) + len(
        split.test
    )


def test_features_that_know_the_test_part_fail():
    def made(frame, split, users=None):
        counts = np.bincount(frame["item"], minlength=split.n_items).astype(float)
        return Features(items=counts[:, None], users=users)

    assert leakage.check_features(CLEAN, lambda split: made(split.train, split)).status == "pass"
    finding = leakage.check_features(CLEAN, lambda split: made(split.test, split))
    assert (finding.status, finding.found) == ("failure", "the vectors of items change")

    def by_user(split):
        return made(split.train, split, split.matrix("test").sum(axis=1))

    assert leakage.check_features(CLEAN, by_user).found == "the vectors of users change"


def test_a_model_of_another_split_fails():
    assert leakage.check_model(CLEAN, Popularity().fit(CLEAN)).status == "pass"
    greedy = Popularity().fit(make_split([*TRAIN, TEST[0]], TEST))
    finding = leakage.check_model(CLEAN, greedy)
    assert finding.status == "failure"
    assert finding.found == "1 cells differ; 1 that it saw are test events"
    small = make_split(TRAIN, TEST, titles=TITLES[:7])
    assert (
        "it knows 3 users and 7 items" in leakage.check_model(CLEAN, Popularity().fit(small)).found
    )


# --- the whole ----------------------------------------------------------------------------------


def test_strict_raises_one_clear_line():
    split = make_split([*TRAIN, TEST[0], TEST[0]], TEST, kind="random")
    with pytest.raises(LeakageError) as caught:
        audit(split, strict=True)
    assert str(caught.value) == (
        "toy, random split: overlap: 1 of 3 test events are in history too, the first is user 0, "
        "item 4: drop repeated events from the interactions, then split once (and 1 more, see "
        "Audit.table())"
    )
    assert not audit(split).passed


def test_an_audit_prints_a_sentence_and_what_needs_reading():
    findings = (
        Finding("a", "pass", "3 x", "fine"),
        Finding("b", "warning", "3 x", "odd", "fix it"),
    )
    result = Audit("toy, time split", findings)
    assert result.passed
    assert result.raise_if_failed() is result
    assert str(result) == (
        "Audit of toy, time split: passed (1 warning, 1 pass)\n- warning: b: odd → fix it"
    )
    assert result.table().loc["b"].tolist() == ["warning", "3 x", "odd", "fix it"]
    failed = replace(result, findings=(Finding("c", "failure", "1 y", "wrong", "split again"),))
    assert str(failed).startswith("Audit of toy, time split: FAILED (1 failure)")


def test_every_check_runs_and_the_kind_can_be_told():
    result = audit(
        CLEAN,
        behaviour_texts,
        lambda split: Features(items=np.eye(split.n_items)),
        Popularity().fit(CLEAN),
        kind="last-out",
    )
    assert result.name == "toy, last-out split"
    assert result.table().index.tolist() == [
        "overlap", "duplicates", "future", "popularity", "twins", "texts", "features", "model",
    ]  # fmt: skip
    assert result.passed


@pytest.mark.component
@pytest.mark.parametrize("kind", KINDS)
def test_our_splits_of_real_data_pass(films, kind):
    status = audit(KINDS[kind](films), strict=True).table()["status"]
    assert status["overlap"] == status["duplicates"] == "pass"
    assert status["future"] == ("pass" if kind == "time" else "warning")
    assert status["twins"] == "warning"  # films under a second id
    if kind == "random":
        assert status["popularity"] == "pass"


@pytest.mark.component
def test_texts_of_real_data(films):
    split = random_split(films)
    assert leakage.check_texts(split, behaviour_texts(split)).status == "pass"
    finding = leakage.check_texts(split, leaky(split))
    assert finding.status == "failure"
    assert finding.found.startswith(f"{films.n_users} texts name")


def published(name):
    """Return the (user, item, 0) rows of one part of the SpectralCF split of MovieLens-1M."""
    folder = config.mirror_dir()
    path = folder and folder / "published-splits" / "ml-1m-spectralcf" / f"{name}_users.dat"
    if path is None or not path.is_file():
        pytest.skip("the published split is in no mirror folder here")
    lines = (map(int, line.split()) for line in path.read_text().splitlines())
    return [(user, item, 0) for user, *items in lines for item in items]


@pytest.mark.mirror
@pytest.mark.component
def test_the_faulty_published_split_fails_by_its_popularity():
    train, test = published("train"), published("test")
    users, rows = np.unique([row[0] for row in train + test], return_inverse=True)
    coded = [(int(u), item, 0) for u, (_, item, _) in zip(rows, train + test, strict=True)]
    titles = [f"film {item}" for item in range(1 + max(row[1] for row in coded))]
    split = make_split(coded[: len(train)], coded[len(train) :], kind="SpectralCF", titles=titles)
    result = audit(split)
    assert not result.passed
    table = result.table()
    assert (table["status"] == "failure").sum() == 1
    assert "is 0.339, in random splits 0.9" in table.loc["popularity", "found"]  # paper: .34
    assert len(users) == split.n_users

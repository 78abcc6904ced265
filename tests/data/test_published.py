"""Published splits: the parts are those of the files, pinned by hash."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from llmrec import fetch
from llmrec.data import PUBLISHED, DataError, load, published_split
from llmrec.data.published import _users

COUNTS = {
    "ml-1m-spectralcf": (6_014, 3_232, 179_207, 47_103),
    "citeulike-a-p1": (5_551, 16_980, 5_551, 199_435),
    "citeulike-a-p10": (5_551, 16_980, 55_510, 149_476),
}
HASHES = {
    "ml-1m-spectralcf": "74ce189b3653a5c8a28449195506a3607acabdfd167bde2a4a372f97d5308ce0",
    "citeulike-a-p1": "08c52e390d1db0f385c1b827c981b9cf77a9a78ed23f8821c36ddd0c7f53f190",
    "citeulike-a-p10": "9df710247eced1088c14d9b9ab2eb8ce66e0425300b88ccbdcbec5a2b996af6c",
}


@pytest.mark.mirror
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parts(name: str) -> None:
    split = published_split(name)
    assert split.name == name
    assert (split.n_users, split.n_items, len(split.train), len(split.test)) == COUNTS[name]
    assert split.hash == HASHES[name]
    assert split.valid.empty
    pd.testing.assert_frame_equal(split.history, split.train)
    assert split.matrix("train").multiply(split.matrix("test")).nnz == 0


@pytest.mark.mirror
def test_citeulike_splits_part_the_libraries() -> None:
    whole = load("citeulike-a")
    for name in PUBLISHED[1:]:
        split = published_split(name)
        assert split.dataset.items.equals(whole.items)
        both = pd.concat([split.train, split.test])[["user", "item"]]
        wanted = whole.coded[["user", "item"]].sort_values(["user", "item"])
        assert np.array_equal(both.sort_values(["user", "item"]), wanted)
        per_user = np.unique(split.train["user"], return_counts=True)[1]
        assert set(per_user) == {int(name.removeprefix("citeulike-a-p"))}


@pytest.mark.mirror
def test_a_row_of_the_file_is_a_user() -> None:
    split = published_split("ml-1m-spectralcf")
    with (fetch.get("spectralcf-split") / "test_users.dat").open() as file:
        user, *items = map(int, file.readline().split())
    code = split.dataset.user_ids.tolist().index(user)
    rows = split.test.loc[split.test["user"] == code, "item"]
    assert split.dataset.item_ids[rows].tolist() == items == [41, 45, 46, 48]


@pytest.mark.mirror
def test_the_fault_of_the_spectralcf_split() -> None:
    """Popularity in train and in test hardly agree; a random split would give more than .9."""
    split = published_split("ml-1m-spectralcf")
    train, test = (np.asarray(split.matrix(part).sum(axis=0)).ravel() for part in ("train", "test"))
    assert spearmanr(train, test).statistic < 0.5


@pytest.mark.mirror
def test_the_fault_of_the_ten_articles() -> None:
    """Train is each reader's ten lowest article numbers; the single article is a random one."""
    ten, one = published_split("citeulike-a-p10"), published_split("citeulike-a-p1")
    last, first = ten.train.groupby("user")["item"].max(), ten.test.groupby("user")["item"].min()
    assert (last[first.index] < first).all()
    assert ten.test["item"].isin(ten.cold_items).mean() == pytest.approx(0.279, abs=0.001)
    first = one.test.groupby("user")["item"].min()
    given = one.train.set_index("user")["item"]
    assert 0.02 < (given < first[given.index]).mean() < 0.1  # of 11 to 400 articles, by chance


def test_an_unknown_split() -> None:
    with pytest.raises(ValueError, match=r"no published split is named 'x': choose from ml-1m-sp"):
        published_split("x")


def test_a_user_with_two_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train_users.dat"
    path.write_text("0 5 6\n3\n")
    assert _users(path) == {0: [5, 6], 3: []}
    path.write_text("0 5\n0 6\n")
    with pytest.raises(DataError, match=r"train_users.dat, row 2: user 0 has a row already"):
        _users(path)

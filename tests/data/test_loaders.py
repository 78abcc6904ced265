"""Datasets by name."""

from __future__ import annotations

import pytest

from llmrec.data import available, load


def test_available() -> None:
    assert available() == (
        "ml-100k",
        "complete-journey",
        "amazon-beauty",
        "citeulike-a",
        "deskdrop",
        "community",
        "lastfm",
        "ml-latest-small",
    )


def test_an_unknown_dataset() -> None:
    with pytest.raises(ValueError, match=r"no dataset is named 'ml-1m': choose from ml-100k, comp"):
        load("ml-1m")


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match=r"'ml-100k' has no option 'size' \(it has: none\)"):
        load("ml-100k", size=3)
    with pytest.raises(TypeError, match=r"no option 'min' \(it has: min_item_count, departments\)"):
        load("complete-journey", min=3)


def test_the_community_is_loaded_by_name() -> None:
    data = load("community", n_users=50, seed=1)
    assert data.name == "community"
    assert data.user_ids.max() < 50
    with pytest.raises(TypeError, match=r"no option 'bots' \(it has: n_users, seed\)"):
        load("community", bots=3)

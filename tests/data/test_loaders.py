"""Datasets by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from llmrec.data import available, load


def test_available() -> None:
    assert available() == (
        "amazon-beauty",
        "citeulike-a",
        "complete-journey",
        "deskdrop",
        "lastfm",
        "ml-100k",
        "ml-latest-small",
    )


def test_a_loader_is_imported_when_its_data_are_asked_for() -> None:
    code = (
        "import sys; from llmrec.data import Dataset, load; load('ml-100k')\n"
        "print([m for m in sys.modules if m.startswith('llmrec.data.loaders.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['llmrec.data.loaders.ml_100k']"


def test_an_unknown_dataset() -> None:
    with pytest.raises(ValueError, match="no dataset is named 'ml-1m': choose from amazon-bea"):
        load("ml-1m")


def test_an_unknown_option() -> None:
    with pytest.raises(TypeError, match=r"'ml-100k' has no option 'size' \(it has: none\)"):
        load("ml-100k", size=3)
    with pytest.raises(TypeError, match=r"no option 'min' \(it has: min_item_count\)"):
        load("complete-journey", min=3)

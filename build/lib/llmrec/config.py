"""Where the cache lives, which device computes, how many threads and which seeds: the one place."""

from __future__ import annotations

import os
from pathlib import Path

CACHE_VARIABLE = "LLMREC_CACHE"
MIRROR_VARIABLE = "LLMREC_MIRROR"
THREADS_VARIABLE = "LLMREC_THREADS"


def cache_dir() -> Path:
    """Return the cache folder, made if absent: ``$LLMREC_CACHE``, else the user's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        path = Path(chosen).expanduser()
    else:
        from platformdirs import user_cache_path

        path = user_cache_path("llmrec", appauthor=False)
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def mirror_dir() -> Path | None:
    """Return the folder ``$LLMREC_MIRROR`` names, or None when the variable is unset.

    Raises
    ------
    NotADirectoryError
        When the variable names something that is not a folder.
    """
    chosen = os.environ.get(MIRROR_VARIABLE)
    if not chosen:
        return None
    path = Path(chosen).expanduser()
    if not path.is_dir():
        raise NotADirectoryError(
            f"{MIRROR_VARIABLE}={chosen} is not a folder: create it or unset the variable"
        )
    return path.resolve()


def threads() -> int:
    """Return how many threads numerical code may use: ``$LLMREC_THREADS``, else at most two.

    Two is the default on every machine because sums in another order give other bits: a fixed
    count keeps "same seed, same bits" true when the book moves to a larger machine.
    """
    chosen = os.environ.get(THREADS_VARIABLE)
    if chosen is None:
        return min(2, os.cpu_count() or 1)
    if not chosen.isdigit() or int(chosen) < 1:
        raise ValueError(f"{THREADS_VARIABLE}={chosen!r} is not a positive whole number")
    return int(chosen)


def device() -> str:
    """Return ``"cuda"`` when torch sees a GPU, else ``"cpu"`` (``$LLMREC_DEVICE`` overrides)."""
    chosen = os.environ.get("LLMREC_DEVICE")
    if chosen:
        return chosen
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"

"""Arithmetic on rows of vectors and on ages of events that several packages share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return each row divided by its Euclidean length, ``x / ‖x‖``, as float32 ``(n, d)``.

    Lengths are taken in float64, so that a row's bits do not depend on its scale; a zero row stays
    zero.
    """
    rows = np.asarray(vectors, np.float64)
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0).astype(np.float32)


def centred(
    vectors: np.ndarray, mean: np.ndarray | None = None, *, warm: np.ndarray | None = None
) -> np.ndarray:
    """Return the rows less their mean, ``(n, d)``; a zero row, an item without text, stays zero.

    What all texts of a catalogue share drops out of their cosines. A row without text is not in the
    mean, and it does not move: else all such rows would become one and the same vector.

    Parameters
    ----------
    vectors:
        ``(n, d)``.
    mean:
        ``(d,)``, subtracted instead of the rows' own mean, such as another catalogue's.
    warm:
        Bool ``(n,)``: rows that the mean is taken of. None: all. Where none of them has a text,
        the rows come back as they are.
    """
    has_text = (vectors != 0).any(axis=1)
    if mean is None:
        counted = has_text if warm is None else warm & has_text
        if not counted.any():
            return vectors
        mean = vectors[counted].mean(axis=0)
    out = vectors - mean
    out[~has_text] = 0
    return out


def decay(age: ArrayLike, half_life: float) -> np.ndarray:
    """Return what an event of each age still counts, ``2^(-age / half_life)``, of age's shape.

    Both are in one unit of time; ``half_life=inf`` never forgets. ValueError when the half-life is
    not positive.
    """
    if not half_life > 0:
        raise ValueError(f"half_life={half_life} must be positive")
    return np.asarray(np.exp2(-np.asarray(age, np.float64) / half_life))

"""Unit vectors: what encoders give and similarity takes."""

from __future__ import annotations

import numpy as np


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Return each row divided by its Euclidean length, ``x / ‖x‖``, as float32 ``(n, d)``.

    Lengths are taken in float64, so that a row's bits do not depend on its scale; a zero row stays
    zero.
    """
    rows = np.asarray(vectors, np.float64)
    lengths = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0).astype(np.float32)

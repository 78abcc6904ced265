"""What the columns of a table say without any text model: labels and numbers as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from llmrec.vectors import unit_rows

if TYPE_CHECKING:
    import pandas as pd


def column_vectors(
    items: pd.DataFrame,
    labels: Sequence[str] = (),
    numbers: Sequence[str] = (),
    knots: int = 10,
) -> np.ndarray:
    """Describe each item by its labels and numbers: the metadata alone, with no language model.

    A column of ``labels`` ("Action, Drama") becomes one column for each label, rows of length one.
    A column of ``numbers`` becomes hat functions: with knots ``q_1 < q_2 < …`` at equally spaced
    quantiles of the column, ``x = (1 − t) q_j + t q_{j+1}`` gives ``1 − t`` in column ``j`` and
    ``t`` in column ``j + 1``, so that a linear model may follow any bend. Missing values give
    zeros. Side by side with text vectors (``np.hstack``) it joins both.

    Parameters
    ----------
    items:
        The items table, ``n`` rows.
    labels, numbers:
        Names of columns, at least one in all.
    knots:
        Quantiles taken of each number, at least 2; equal ones are merged.

    Returns
    -------
    float32 ``(n, d)``.

    Raises
    ------
    KeyError
        When a column is missing.
    ValueError
        When no column is named, ``knots`` is below 2 or a column of numbers holds something else.

    Examples
    --------
    >>> import pandas as pd
    >>> films = pd.DataFrame({"genres": ["Drama", "Crime, Drama"], "year": [1990, 2000]})
    >>> column_vectors(films, ["genres"], ["year"], knots=2).round(2).tolist()
    [[0.0, 1.0, 1.0, 0.0], [0.71, 0.71, 0.0, 1.0]]
    """
    names = [*labels, *numbers]
    if not names or knots < 2:
        raise ValueError(
            f"column_vectors: labels={list(labels)}, numbers={list(numbers)}, knots={knots}: name"
            " at least one column and take at least 2 knots"
        )
    for name in names:
        if name not in items:
            raise KeyError(
                f"column_vectors: the items table has no column {name!r}; it has"
                f" {', '.join(map(str, items.columns))}"
            )
    blocks = [_labels(items[name]) for name in labels]
    blocks += [_hats(items[name], knots) for name in numbers]
    return np.hstack(blocks).astype(np.float32)


def _labels(column: pd.Series) -> np.ndarray:
    texts = [value if isinstance(value, str) else "" for value in column]
    cells = [{part for raw in text.split(",") if (part := raw.strip())} for text in texts]
    known = sorted(set().union(*cells))
    has = [[label in cell for label in known] for cell in cells]
    return unit_rows(np.array(has, np.float64).reshape(len(cells), len(known)))


def _hats(column: pd.Series, knots: int) -> np.ndarray:
    try:
        values = column.to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise ValueError(
            f"column_vectors: column {column.name!r} holds more than numbers; name it in labels"
        ) from None
    there = np.isfinite(values)
    if not there.any():
        raise ValueError(f"column_vectors: column {column.name!r} has no number; leave it out")
    at = np.unique(np.quantile(values[there], np.linspace(0, 1, knots)))
    hats = np.zeros((len(values), len(at)))
    hats[there] = np.stack([np.interp(values[there], at, unit) for unit in np.eye(len(at))], axis=1)
    return hats

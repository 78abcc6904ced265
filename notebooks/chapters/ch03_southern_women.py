"""The Southern Women: who came to which gathering, small enough to check by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from llmrec.data.dataset import Dataset

# A woman and the numbers of the gatherings that she attended, rows and columns as first printed.
TABLE = """
Evelyn Jefferson   1 2 3 4 5 6 8 9
Laura Mandeville   1 2 3 5 6 7 8
Theresa Anderson   2 3 4 5 6 7 8 9
Brenda Rogers      1 3 4 5 6 7 8
Charlotte McDowd   3 4 5 7
Frances Anderson   3 5 6 8
Eleanor Nye        5 6 7 8
Pearl Oglethorpe   6 8 9
Ruth DeSand        5 7 8 9
Verne Sanderson    7 8 9 12
Myra Liddel        8 9 10 12
Katherina Rogers   8 9 10 12 13 14
Sylvia Avondale    7 8 9 10 12 13 14
Nora Fayette       6 7 9 10 11 12 13 14
Helen Lloyd        7 8 10 11 12
Dorothy Murchison  8 9
Olivia Carleton    9 11
Flora Price        9 11
"""
N_EVENTS = 14


def southern_women() -> Dataset:
    """Return 18 women, 14 gatherings and 89 attendances in a town of the 1930s.

    User ``u`` is the u-th woman of the table (``users.name``), item ``i`` its i-th gathering. When
    a gathering took place is not kept (``timestamp`` 0), and what it was is not on record: there is
    no text.

    References
    ----------
    Davis, Gardner and Gardner, Deep South: A Social Anthropological Study of Caste and Class,
    University of Chicago Press 1941; the table was put together from interviews, newspapers and
    guest lists.
    """
    rows = [line.split() for line in TABLE.strip().splitlines()]
    names = [" ".join(row[:2]) for row in rows]
    cells = [(user, int(event)) for user, row in enumerate(rows, start=1) for event in row[2:]]
    interactions = pd.DataFrame(cells, columns=["user", "item"])
    interactions = interactions.assign(timestamp=0, weight=1.0, action="attended")
    numbers = range(1, N_EVENTS + 1)
    items = pd.DataFrame({"item": numbers, "title": [f"Gathering {n}" for n in numbers]})
    users = pd.DataFrame({"user": range(1, len(names) + 1), "name": names})
    return Dataset("southern-women", interactions, items, users)


def swap_marks(x: np.ndarray, rng: np.random.Generator, tries: int = 5000) -> np.ndarray:
    """Return a random 0/1 table with the row and column sums of ``x``.

    Each try draws two rows and two columns and turns ``[1 0; 0 1]`` there into ``[0 1; 1 0]``.
    """
    out = x.copy()
    for _ in range(tries):
        a, b = rng.choice(len(x), 2, replace=False)
        i, j = rng.choice(x.shape[1], 2, replace=False)
        if out[a, i] == out[b, j] == 1 and out[a, j] == out[b, i] == 0:
            out[a, [i, j]], out[b, [i, j]] = (0, 1), (1, 0)
    return out

"""Names alone: do vectors put names of one kind closer together?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import rankdata

Named = tuple[list[str], np.ndarray]  # names and the kind of each


def product_types(products: pd.DataFrame) -> pd.DataFrame:
    """Return the different pairs of ``product_type`` and ``product_category`` of a shop."""
    known = products.loc[products["product_type"] != "", ["product_type", "product_category"]]
    return known.drop_duplicates().reset_index(drop=True)


def names_and_kinds(
    films: pd.DataFrame, types: pd.DataFrame, n: int, seed: int
) -> dict[str, Named]:
    """Return n film titles with their genre, and n product types with their category, or less.

    Only films of one genre, the most famous, and only kinds that at least two names have.
    """
    single = films[~films["genres"].str.contains(",") & (films["genres"] != "")]
    single = _shared(single.head(n), "genres")
    large = types["product_category"].map(types["product_category"].value_counts()) >= 4
    some = types[large & ~types["product_type"].duplicated()]
    some = some.iloc[np.random.default_rng(seed).permutation(len(some))[:n]]
    some = _shared(some, "product_category")
    return {
        "films": (single["title"].tolist(), single["genres"].to_numpy()),
        "products": (some["product_type"].tolist(), some["product_category"].to_numpy()),
    }


def random_cosines(vectors: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the cosines of up to 4,000 random pairs of different rows; the rows have length 1."""
    a, b = np.random.default_rng(seed).integers(0, len(vectors), (2, 4000))
    return np.asarray((vectors[a] * vectors[b]).sum(axis=1)[a != b])


def auc_of_each(vectors: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """Return for each row the chance that one of its kind is nearer than one of another kind.

    The area under the curve from ranks, ``(Σ ranks of the n alike − n(n+1)/2) / (n m)``, ties
    counted half; nearness is the dot product.
    """
    out = np.empty(len(kinds))
    for row, nearness in enumerate(vectors @ vectors.T):
        rest = np.arange(len(kinds)) != row
        alike = (kinds == kinds[row])[rest]
        ranks = rankdata(nearness[rest])
        n, m = alike.sum(), (~alike).sum()
        out[row] = (ranks[alike].sum() - n * (n + 1) / 2) / (n * m)
    return out


def _shared(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Keep the rows whose kind another row has, too."""
    return rows[rows[kind].map(rows[kind].value_counts()) > 1]


def key_of(name: str) -> str:
    """Return a name as a part of a recorded key: ``"SmolLM2, mean"`` → ``smollm2_mean``."""
    return name.lower().replace(", ", "_").replace(" ", "_").replace("-", "")

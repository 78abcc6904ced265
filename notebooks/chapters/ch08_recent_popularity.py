"""Recent popularity: the list of best-sellers of the last weeks."""

from __future__ import annotations

from dataclasses import dataclass

from chapters.ch08_personal_frequency import recent_shares
from llmrec.data import Split
from llmrec.models import Popularity
from llmrec.models.base import Features, check


@dataclass(eq=False, repr=False)
class RecentPopularity(Popularity):
    """Score an item by its share of all events, each halved with every half-life of its age.

    ``s(u, i) = Σ_{events of i} 2^(−age / half_life_days) / Σ_{all events} 2^(−age /
    half_life_days)``, for every user alike.

    Parameters
    ----------
    half_life_days:
        Days after which an event counts half, > 0; ``inf`` counts events.

    Attributes
    ----------
    popularity_:
        float32 ``(n_items,)`` of ``split.train``; it sums to 1, and is 0 for cold items.

    Notes
    -----
    `Popularity` counts users, this counts events. Ages run from the latest train event; unknown
    timestamps (0) are all of one age.
    """

    half_life_days: float = 60.0

    def _fit(self, split: Split, features: Features) -> None:
        life = self.half_life_days
        check(life > 0, f"RecentPopularity: half_life_days={life} must be positive")
        self.popularity_ = recent_shares(split, life)

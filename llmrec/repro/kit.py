"""What the chapters share: words for a difference, records of it, markdown from sentences."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from llmrec.repro.record import record

if TYPE_CHECKING:
    from IPython.display import Markdown

T = TypeVar("T")


class Bounded(Protocol):
    """A value with bounds, such as an Estimate, a Comparison or a Contrast."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def signed(one: Bounded, spec: str = ".3f") -> str:
    """Return a difference with its interval in words.

    Examples
    --------
    >>> from llmrec.evaluation import Estimate
    >>> signed(Estimate(0.0304, -0.002, 0.06, n=40))
    '+0.030 [-0.002, +0.060]'
    """
    return f"{one.value:+{spec}} [{one.low:+{spec}}, {one.high:+{spec}}]"


def note(key: str, one: Bounded, tolerance: float) -> None:
    """Record a difference and its bounds as ``key.difference``, ``key.low``, ``key.high``."""
    for part, value in (("difference", one.value), ("low", one.low), ("high", one.high)):
        record(f"{key}.{part}", float(value), kind="difference", tolerance=tolerance)


def level(key: str, value: ArrayLike, tolerance: float) -> None:
    """Record a level, or a list of them, with a tolerance of at most half the largest one."""
    half = float(np.max(np.abs(value))) / 2
    record(key, value, kind="metric", tolerance=min(tolerance, half) or tolerance)


def sentence(*parts: str) -> Markdown:
    """Return one paragraph of markdown: what a cell prints with the numbers it has computed."""
    from IPython.display import Markdown

    return Markdown(" ".join(parts))


def bullets(lines: Iterable[str]) -> Markdown:
    """Return a markdown list, one line a point."""
    from IPython.display import Markdown

    return Markdown("\n".join(f"- {line}" for line in lines))


def by_profile(profile: str, book: T, **others: T) -> T:
    """Return the setting of a profile, ``book`` where the profile has none of its own.

    Examples
    --------
    >>> by_profile("smoke", 5, smoke=2), by_profile("full", 5, smoke=2)
    (2, 5)
    """
    return others.get(profile, book)


def verdict_of(claim: str) -> str:
    """Return a claim's verdict from what this notebook has recorded so far.

    Raises
    ------
    KeyError
        When ``book/claims.yml`` has no such claim.
    """
    from llmrec.repro.claims import current_verdicts

    verdicts: Mapping[str, Any] = current_verdicts()
    return str(verdicts[claim])

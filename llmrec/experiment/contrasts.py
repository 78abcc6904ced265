"""What an experiment concludes: differences, what they could have shown, and an outcome."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from llmrec.evaluation import Estimate, minimum_detectable_difference
from llmrec.evaluation.statistics import Paired

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN, ABSENT, OPPOSITE, OPEN = "shown", "shown absent", "opposite shown", "inconclusive"
Record = Callable[..., Any]


@dataclass(frozen=True)
class Contrast:
    """How much arm a exceeds arm b.

    Attributes
    ----------
    name, a, b, slice, metric : str
        ``b`` is the arm itself where ``"best id"`` was asked for.
    difference, low, high : float
        Mean difference and its interval at ``level``: 0.95, or ``1 - 0.05/m`` in a family of m.
    error, df, p : float
        Standard error, its degrees of freedom, two-sided p of "no difference" (not corrected).
    n, n_runs : int
        Distinct users; runs (units). With one run the interval speaks of other users alone.
    margin : float
        The smallest difference that counts, m ≥ 0.
    detectable : float
        The smallest true difference that would come out as *shown* with power 0.8: m plus what
        `minimum_detectable_difference` gives at this level.
    comparison : Comparison or SeedComparison
        Where it comes from, such as its ``shares`` of runs and users in the error.
    """

    name: str
    a: str
    b: str
    slice: str
    metric: str
    difference: float
    low: float
    high: float
    error: float
    df: float
    p: float
    n: int
    n_runs: int
    margin: float
    level: float
    detectable: float
    comparison: Paired = field(repr=False, compare=False)

    @classmethod
    def of(
        cls, comparison: Paired, margin: float = 0.0, level: float = 0.95, **names: str
    ) -> Contrast:
        """Judge what `compare` or `compare_seeds` returned."""
        if margin < 0:
            raise ValueError(f"margin={margin} must be at least 0, such as 0.005")
        low, high = comparison.interval(level)
        return cls(
            **names,
            difference=comparison.difference,
            low=low,
            high=high,
            error=comparison.error,
            df=comparison.df,
            p=comparison.p,
            n=comparison.n,
            n_runs=getattr(comparison, "n_runs", 1),
            margin=margin,
            level=level,
            detectable=margin + minimum_detectable_difference(comparison, alpha=1 - level),
            comparison=comparison,
        )

    @property
    def outcome(self) -> str:
        """What the interval says, with margin m, the same in both directions.

        *shown*: ``low > m``; *opposite shown*: ``high < -m``; *shown absent*: ``high < m``, so that
        a gain that counts is excluded (with m = 0 this is *opposite shown*); *inconclusive*: else.
        """
        if self.low > self.margin:
            return SHOWN
        if self.high < -self.margin:
            return OPPOSITE
        return ABSENT if self.high < self.margin else OPEN

    @property
    def value(self) -> float:
        """The difference, under the name that an Estimate has: both can be plotted alike."""
        return self.difference

    def record(self, key: str, record: Record, tolerance: float | None = None) -> None:
        """Record ``key.difference``, ``.low``, ``.high`` and, exactly, ``key.outcome``.

        The tolerance is half the standard error, or the one given, but never more than half the way
        from a bound to what decides the outcome: no bound turns an outcome within its tolerance.
        """
        wide = self.error / 2 if tolerance is None else tolerance
        for part, value in (
            ("difference", self.difference),
            ("low", self.low),
            ("high", self.high),
        ):
            edges = [] if part == "difference" else [self.margin, -self.margin]
            gap = min((abs(value - edge) / 2 for edge in edges), default=wide)
            record(f"{key}.{part}", value, "difference", max(min(wide, gap), 1e-9))
        record(f"{key}.outcome", self.outcome)

    def __format__(self, spec: str) -> str:
        return format(Estimate(self.difference, self.low, self.high, self.n), f"+{spec or '.4f'}")

    def __str__(self) -> str:
        return format(self)


@dataclass(frozen=True)
class Contrasts(Mapping[str, Contrast]):
    """Contrasts by name; ``family`` names those whose intervals hold all at once, if any."""

    rows: Mapping[str, Contrast]
    family: str | None = None

    def __getitem__(self, name: str) -> Contrast:
        return self.rows[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def table(self) -> pd.DataFrame:
        """Return one row a contrast, from who is compared to the outcome."""
        rows = {name: {**vars(one), "outcome": one.outcome} for name, one in self.rows.items()}
        table = pd.DataFrame.from_dict(rows, orient="index").drop(columns=["name", "comparison"])
        return table.rename_axis("contrast")

    def record(self, prefix: str, record: Record, tolerance: float | None = None) -> Contrasts:
        """Record each contrast under ``prefix.name`` (`Contrast.record`) and return self."""
        for name, one in self.rows.items():
            one.record(f"{prefix}.{as_key(name)}", record, tolerance)
        return self

    def figure(self, title: str = "", **options: Any) -> Figure:
        """Return a forest plot; options go to `llmrec.plots.interval_plot`."""
        from llmrec.plots import interval_plot

        metric = ", ".join(dict.fromkeys(one.metric for one in self.rows.values()))
        drawn = {"xlabel": f"{metric}, difference", "reference": ("equal", 0.0), "spec": "+.3f"}
        return interval_plot(self.rows, title=title, **(drawn | options))[0]


def as_key(name: str) -> str:
    """Return a name as part of a record's key: small letters, digits and underscores.

    Examples
    --------
    >>> as_key("MiniLM: one list")
    'minilm_one_list'
    """
    return re.sub(r"[^a-z0-9]+", "_", name.lower().replace("@", "")).strip("_")

"""Means with intervals, paired comparisons, and families of claims judged together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import stdtrit

CELLS = 4_000_000  # random draws held at once: 32 MB
BETTER, WORSE, NEITHER = "shown better", "shown worse", "not shown"


class PerUser(Protocol):
    """What can be compared: one value a user, such as an Evaluation or a BeyondAccuracy."""

    @property
    def name(self) -> str: ...

    @property
    def users(self) -> np.ndarray: ...

    def per_user(self, metric: str) -> np.ndarray:
        """Return the metric ``(n,)`` in the order of ``users``."""


@runtime_checkable
class Paired(Protocol):
    """A paired difference that knows its error: a Comparison or a SeedComparison."""

    @property
    def difference(self) -> float: ...

    @property
    def p(self) -> float: ...

    @property
    def effect(self) -> float: ...

    @property
    def n(self) -> int: ...

    @property
    def error(self) -> float: ...

    @property
    def df(self) -> float: ...

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of the difference at this level."""


@dataclass(frozen=True)
class Estimate:
    """A mean over n users with its interval: ``f"{e:.3f}"`` gives ``0.412 [0.398, 0.425]``.

    Examples
    --------
    >>> print(Estimate(0.25, 0.2, 0.3, n=40))
    0.2500 [0.2000, 0.3000]
    """

    value: float
    low: float
    high: float
    n: int

    def __format__(self, spec: str) -> str:
        spec = spec or ".4f"
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __str__(self) -> str:
        return format(self)


@dataclass(frozen=True)
class Comparison:
    """How much model a beats model b, paired over the same users.

    Attributes
    ----------
    difference, low, high : float
        Mean of ``a - b`` and its bootstrap interval.
    p : float
        Two-sided p of the sign-flip randomisation test of "no difference".
    effect : float
        Cohen's ``d_z``: mean difference over the standard deviation of the differences.
    n : int
        Users.
    differences : (n,) float64, optional
        The ``a_u - b_u`` themselves; `compare` keeps them for `interval` and `error`.
    """

    difference: float
    low: float
    high: float
    p: float
    effect: float
    n: int
    differences: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def value(self) -> float:
        """The difference, under the name that an Estimate has: both can be plotted alike."""
        return self.difference

    @property
    def error(self) -> float:
        """Standard error of the difference, ``sd(a_u - b_u) / √n``; infinite for one user."""
        return _standard_error(self._kept())

    @property
    def df(self) -> float:
        """Degrees of freedom of `error`."""
        return self.n - 1

    def interval(self, level: float, seed: int = 0, repeats: int = 9999) -> tuple[float, float]:
        """Return the bootstrap interval at another level, such as ``1 - 0.05/m`` for m claims.

        Raises
        ------
        ValueError
            When the comparison was not made by `compare`, so that it kept no differences.
        """
        estimate = bootstrap(self._kept(), seed, repeats, level)
        return estimate.low, estimate.high

    def _kept(self) -> np.ndarray:
        if self.differences is None:
            raise ValueError("this Comparison kept no differences: make it with compare()")
        return self.differences

    def __format__(self, spec: str) -> str:
        interval = Estimate(self.difference, self.low, self.high, self.n)
        return f"{interval:+{spec or '.4f'}}, p = {self.p:.4f}, d_z = {self.effect:.2f}"

    def __str__(self) -> str:
        return format(self)


def bootstrap(
    values: ArrayLike, seed: int = 0, repeats: int = 1000, level: float = 0.95
) -> Estimate:
    """Return the mean with its percentile bootstrap interval, users resampled with replacement.

    ``low, high`` are the ``(1 ± level)/2`` quantiles of the means of ``repeats`` resamples
    (B. Efron and R. Tibshirani, *An Introduction to the Bootstrap*, 1993, chapter 13).

    Parameters
    ----------
    values : (n,) array
        One value a user.
    seed : int
        The same seed gives the same interval.
    repeats : int
        Resamples; memory stays bounded whatever n.
    level : float
        Confidence, between 0 and 1.

    Raises
    ------
    ValueError
        When values are empty, NaN or not one-dimensional, or an option is out of range.

    Examples
    --------
    >>> bootstrap([0.5, 0.5, 0.5])
    Estimate(value=0.5, low=0.5, high=0.5, n=3)
    """
    data = _checked(values, "values")
    if repeats < 1:
        raise ValueError(f"repeats={repeats} must be at least 1")
    _check_shares(level=level)
    mean, n = float(data.mean()), len(data)
    if n == 1:
        return Estimate(mean, mean, mean, 1)
    drawn = stats.bootstrap(
        (data,), np.mean, n_resamples=repeats, batch=_batch(n), method="percentile", rng=seed
    )
    # SciPy's own quantiles differ from NumPy's in the last bits: those of a constant can miss it.
    low, high = np.quantile(drawn.bootstrap_distribution, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(mean, float(low), float(high), n)


def student(values: ArrayLike, level: float = 0.95) -> Estimate:
    """Return the mean of ``values (n,)`` with Student's interval, ``mean ± t_{n-1} · sd / √n``.

    For a few values, such as the means of n runs (Student, "The probable error of a mean",
    Biometrika 1908). One value has an infinite interval. ValueError as in `bootstrap`.

    Examples
    --------
    Mean 2 and sd 1: t_2 = 4.303 standard errors of 1/√3.

    >>> print(student([1.0, 2.0, 3.0]))
    2.0000 [-0.4841, 4.4841]
    """
    data = _checked(values, "values")
    mean, n = float(data.mean()), len(data)
    t = quantile(n - 1, level)
    # scipy.stats.ttest_1samp gives the same interval, but warns of values that are all equal.
    half = float(t * data.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
    return Estimate(mean, mean - half, mean + half, n)


def compare(
    a: PerUser,
    b: PerUser,
    metric: str,
    seed: int = 0,
    repeats: int = 9999,
    level: float = 0.95,
) -> Comparison:
    """Return how much evaluation a exceeds b, paired over users: interval, p and effect size.

    With differences ``d_u = a_u - b_u``: a percentile bootstrap interval of ``mean(d)``; a
    randomisation p, ``(1 + #{|mean(±d)| ≥ |mean(d)|}) / (1 + repeats)`` over random signs; and
    ``d_z = mean(d) / sd(d)`` (0 when nothing differs, infinite when every user gains the same).
    Correct several p together with `holm`. (M. Smucker, J. Allan and B. Carterette, "A comparison
    of statistical significance tests for information retrieval evaluation", CIKM 2007.)

    Raises
    ------
    ValueError
        When the two do not cover the same users.
    KeyError
        When one lacks the metric.
    """
    if not np.array_equal(a.users, b.users):
        raise ValueError(
            f"{a.name} and {b.name} cover different users ({len(a.users)} and {len(b.users)}): "
            "slice both to the users they share"
        )
    delta = a.per_user(metric) - b.per_user(metric)
    mean = bootstrap(delta, seed, repeats, level)
    spread = float(delta.std(ddof=1)) if len(delta) > 1 else 0.0
    effect = mean.value / spread if spread else float(np.sign(mean.value)) * np.inf
    return Comparison(
        difference=mean.value,
        low=mean.low,
        high=mean.high,
        p=_sign_flip(delta, np.random.default_rng([seed, 1]), repeats),
        effect=effect if mean.value else 0.0,
        n=len(delta),
        differences=delta,
    )


def minimum_detectable_difference(
    differences: Paired | ArrayLike, power: float = 0.8, alpha: float = 0.05, margin: float = 0.0
) -> float:
    """Return the smallest true mean difference that these n users would show.

    ``δ = margin + (t_{1 - α/2} + t_{power}) · sd(d) / √n`` with Student quantiles of n - 1 degrees
    of freedom, which are the normal ones when n is large: the interval at level 1 - α of a true
    difference of δ lies above ``margin`` in the share ``power`` of samples. With ``margin=0`` that
    is a two-sided paired test; "shown better" of `family` needs its margin. A difference that was
    "not shown" says little about values below δ (T. Sakai, "Statistical reform in information
    retrieval?", SIGIR Forum 2014).

    Parameters
    ----------
    differences : Comparison, SeedComparison or (n,) array
        What `compare` or `compare_seeds` returned (the latter with its own error and degrees of
        freedom), or ``a_u - b_u`` of at least two users.
    power : float
        Chance of finding it, between 0 and 1.
    alpha : float
        Level of the test, between 0 and 1; for one of m claims pass ``alpha / m``.
    margin : float
        The smallest difference that counts, at least 0.

    Raises
    ------
    ValueError
        When an option is out of range or fewer than two users are given.

    Examples
    --------
    At 100 users and sd 1.005 the standard error is 0.1005, and 1.984 + 0.845 of it are needed.

    >>> round(minimum_detectable_difference([-1.0, 1.0] * 50), 3)
    0.284
    """
    _check_shares(power=power, alpha=alpha)
    _check_margin(margin)
    if isinstance(differences, Paired):
        error, df = differences.error, differences.df
    else:
        data = _checked(differences, "differences")
        error, df = _standard_error(data), len(data) - 1
    if not np.isfinite(error):
        raise ValueError("one user has no spread: pass the differences of at least two")
    return margin + float((stdtrit(df, 1 - alpha / 2) + stdtrit(df, power)) * error)


def holm(p_values: ArrayLike) -> np.ndarray:
    """Return Holm's adjusted p-values, in the order given.

    With ``p_(1) ≤ … ≤ p_(m)``: ``adjusted_(i) = max_{j ≤ i} min(1, (m - j + 1) · p_(j))``. Calling
    those below α significant keeps the chance of any false claim among the m below α (S. Holm, "A
    simple sequentially rejective multiple test procedure", Scand. J. Statist. 1979). ValueError
    when a p-value is outside [0, 1].

    Examples
    --------
    The smallest is multiplied by 3, the next by 2, the last by 1 but never below the one before.

    >>> holm([0.04, 0.01, 0.03])
    array([0.06, 0.03, 0.06])
    """
    p = _checked(p_values, "p_values")
    if p.min() < 0 or p.max() > 1:
        raise ValueError(f"p_values must lie in [0, 1], got {p.min():g} … {p.max():g}")
    order = np.argsort(p, kind="stable")
    steps = np.minimum(p[order] * np.arange(len(p), 0, -1), 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(steps)
    return adjusted


def family(
    comparisons: Mapping[str, Paired], alpha: float = 0.05, margin: float = 0.005
) -> pd.DataFrame:
    """Return one row a claim "a is better than b", corrected for the number m of claims.

    Columns: ``difference``; ``low, high``, the interval at level ``1 - alpha/m`` (Bonferroni), so
    that all m cover at once in at least ``1 - alpha`` of studies; ``p`` and ``p_holm``; ``effect``;
    ``n``; ``detectable``, the smallest true difference whose interval would leave 0 out with power
    0.8 (`minimum_detectable_difference` at level ``alpha/m``; for it to clear the margin, too, add
    ``margin``); and ``verdict``:

    - *shown better*: ``low > margin`` and ``p_holm ≤ alpha``;
    - *shown worse*: ``high < 0`` and ``p_holm ≤ alpha``;
    - *not shown*: anything else. It does not mean "equal": that needs an interval inside
      ``± margin``.

    The rule leans against the claim: being better must count, being worse need only be real.
    Choose the family before looking: every claim that was tried belongs to it.

    Parameters
    ----------
    comparisons : mapping
        Name of the claim → what `compare` or `compare_seeds` returned.
    alpha : float
        Chance of any false verdict in the family, between 0 and 1.
    margin : float
        The smallest difference that counts, at least 0.

    Raises
    ------
    ValueError
        When there is no claim, an option is out of range, or `compare` made no Comparison.

    Examples
    --------
    >>> import numpy as np
    >>> from llmrec.evaluation import Evaluation, compare
    >>> users, rng = np.arange(400), np.random.default_rng(0)
    >>> def run(mean):
    ...     return Evaluation("toy", (10,), users, {"ndcg@10": rng.normal(mean, 0.1, 400)})
    >>> claims = {"b > a": compare(run(0.4), run(0.3), "ndcg@10"),
    ...           "c > a": compare(run(0.3), run(0.3), "ndcg@10")}
    >>> family(claims)["verdict"].tolist()
    ['shown better', 'not shown']
    """
    if not comparisons:
        raise ValueError("the family has no comparison: pass at least one")
    _check_shares(alpha=alpha)
    _check_margin(margin)
    each = alpha / len(comparisons)
    adjusted = holm([one.p for one in comparisons.values()])
    rows = {}
    for (name, one), p_holm in zip(comparisons.items(), adjusted, strict=True):
        low, high = one.interval(1 - each)
        verdict = BETTER if low > margin else WORSE if high < 0 else NEITHER
        rows[name] = {
            "difference": one.difference,
            "low": low,
            "high": high,
            "p": one.p,
            "p_holm": p_holm,
            "effect": one.effect,
            "n": one.n,
            "detectable": minimum_detectable_difference(one, alpha=each),
            "verdict": verdict if p_holm <= alpha else NEITHER,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def _standard_error(data: np.ndarray) -> float:
    return float(data.std(ddof=1) / np.sqrt(len(data))) if len(data) > 1 else np.inf


def _sign_flip(delta: np.ndarray, rng: np.random.Generator, repeats: int) -> float:
    size = np.abs(delta[delta != 0])  # users without a difference keep theirs under every flip
    observed = abs(delta.sum())
    if not len(size):
        return 1.0
    # Sums of the same terms differ in the last bits by their order: a tie must count as a tie.
    bar = observed - 1e-12 * size.sum()
    extreme = 0
    for start in range(0, repeats, step := _batch(len(size))):
        rows = min(step, repeats - start)
        plus = rng.integers(0, 2, (rows, len(size)), dtype=np.int8)
        extreme += int((np.abs(2 * (plus @ size) - size.sum()) >= bar).sum())
    return (1 + extreme) / (1 + repeats)


def _batch(width: int) -> int:
    """Return how many resamples of this width to draw at once."""
    return max(1, CELLS // width)


def quantile(df: float, level: float) -> float:
    """Return Student's quantile that leaves ``(1 - level)/2`` above it."""
    _check_shares(level=level)
    return float(stdtrit(df, (1 + level) / 2))


def _checked(values: ArrayLike, what: str) -> np.ndarray:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1:
        raise ValueError(f"{what} must be one-dimensional, got shape {data.shape}")
    if not len(data):
        raise ValueError(f"{what} are empty: there is nothing to average")
    if np.isnan(data).any():
        raise ValueError(
            f"{what} hold NaN at position {int(np.isnan(data).argmax())}: drop it first"
        )
    return data


def _check_shares(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(f"{name}={share} must lie between 0 and 1, such as 0.95 or 0.05")


def _check_margin(margin: float) -> None:
    if not margin >= 0:
        raise ValueError(f"margin={margin} must be at least 0, such as 0.005")

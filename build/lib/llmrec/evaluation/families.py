"""A family of claims judged together: corrected p-values, simultaneous intervals, one
verdict each.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from llmrec.evaluation.statistics import Paired, holm, minimum_detectable_difference

BETTER, WORSE, NEITHER = "shown better", "shown worse", "not shown"


def family(
    comparisons: Mapping[str, Paired],
    alpha: float = 0.05,
    margin: float = 0.005,
) -> pd.DataFrame:
    """Return one row a claim "a is better than b", corrected for the number m of claims.

    Columns: ``difference``; ``low, high``, the interval at level ``1 - alpha/m`` (Bonferroni), so
    that all m cover at once in at least ``1 - alpha`` of studies; ``p`` and ``p_holm``; ``effect``;
    ``n``; ``detectable``, the smallest true difference that this claim's data would show with power
    0.8 at level ``alpha/m``; and ``verdict``:

    - *shown better*: ``low > margin`` and ``p_holm ≤ alpha``;
    - *shown worse*: ``high < 0`` and ``p_holm ≤ alpha``;
    - *not shown*: anything else. It does not mean "equal": that needs an interval inside
      ``± margin``.

    The rule leans against the claim: being better must count, being worse need only be real.

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
        When there is no claim, an option is out of range, or a Comparison was not made by
        `compare`.

    Notes
    -----
    Choose the family before looking: every claim that was tried belongs to it.

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
    if not 0 < alpha < 1:
        raise ValueError(f"alpha={alpha} must lie between 0 and 1, such as 0.05")
    if margin < 0:
        raise ValueError(f"margin={margin} must be at least 0, such as 0.005")
    each = alpha / len(comparisons)
    adjusted = holm([one.p for one in comparisons.values()])
    rows = {}
    for (name, one), p_holm in zip(comparisons.items(), adjusted, strict=True):
        low, high = one.interval(1 - each)
        rows[name] = {
            "difference": one.difference,
            "low": low,
            "high": high,
            "p": one.p,
            "p_holm": p_holm,
            "effect": one.effect,
            "n": one.n,
            "detectable": minimum_detectable_difference(one, alpha=each),
            "verdict": _verdict(low, high, margin) if p_holm <= alpha else NEITHER,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def _verdict(low: float, high: float, margin: float) -> str:
    return BETTER if low > margin else WORSE if high < 0 else NEITHER

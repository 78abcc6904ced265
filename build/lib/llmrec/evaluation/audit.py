"""Look for leaks before believing a number: one call that names the fault and its mend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import pandas as pd

from llmrec.data import Split
from llmrec.evaluation import checks, provenance
from llmrec.evaluation.checks import Finding

if TYPE_CHECKING:
    from llmrec.models.base import Features, Recommender


class LeakageError(ValueError):
    """An audit failed: the message is one line with the first fault and its mend."""


@dataclass(frozen=True)
class Audit:
    """The findings of `audit` on one split: ``print`` it for a sentence and what needs reading."""

    name: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings, and what could not be checked, do not count."""
        return not self._of("failure")

    def raise_if_failed(self) -> Self:
        """Return self, or raise `LeakageError` with the first failure and the number of others."""
        if failures := self._of("failure"):
            first, others = failures[0], len(failures) - 1
            more = f" (and {others} more, see Audit.table())" if others else ""
            raise LeakageError(f"{self.name}: {first.check}: {first.found}: {first.mend}{more}")
        return self

    def table(self) -> pd.DataFrame:
        """Return one row a check: ``status, examined, found, mend``."""
        return pd.DataFrame([vars(finding) for finding in self.findings]).set_index("check")

    def __str__(self) -> str:
        statuses = ("failure", "warning", "not checked", "pass")
        counts = [f"{len(self._of(status))} {status}" for status in statuses if self._of(status)]
        title = f"Audit of {self.name}: {'passed' if self.passed else 'FAILED'}"
        notes = [f"- {finding}" for finding in self.findings if finding.status != "pass"]
        return "\n".join([f"{title} ({', '.join(counts)})", *notes])

    def _of(self, status: str) -> list[Finding]:
        return [finding for finding in self.findings if finding.status == status]


def audit(
    split: Split,
    texts: Sequence[str] | Callable[[Split], Sequence[str]] | None = None,
    features: Callable[[Split], Features] | None = None,
    model: Recommender | None = None,
    *,
    kind: str | None = None,
    strict: bool = False,
    seed: int = 0,
) -> Audit:
    """Check a split, and what was made from it, for leaks from the held-out part.

    Always run: `checks.overlap`, `checks.duplicates`, `checks.future`, `checks.popularity` and
    `checks.twins`; each says in its docstring when it warns and when it fails. For what is passed:
    `provenance.texts`, `provenance.features` and `provenance.model`.

    Parameters
    ----------
    split : Split
    texts : sequence of n_users strings, or function of a split, optional
        The users' texts, or what writes them, such as `llmrec.text.behaviour_texts`. A function is
        checked exactly, ready strings by the titles that they name.
    features : function of a split that returns Features, optional
        Such as the function that encodes those texts.
    model : Recommender, optional
        Fitted on this split.
    kind : str, optional
        What the split claims to be: ``"time"``, ``"random"``, ``"last-out"``, ``"cold-item"`` or
        ``"cold-user"``. Default: ``split.name``; any other name is judged like a random split.
    strict : bool
        Raise instead of returning a failed audit.
    seed : int
        Of the random splits that *popularity* compares with.

    Returns
    -------
    Audit

    Raises
    ------
    LeakageError
        With ``strict``, when a check failed.
    ValueError
        When there is not one text a user.
    """
    kind = kind or split.name
    findings = [
        checks.overlap(split),
        checks.duplicates(split),
        checks.future(split, kind),
        checks.popularity(split, kind, seed),
        checks.twins(split),
    ]
    if texts is not None:
        findings.append(provenance.texts(split, texts))
    if features is not None:
        findings.append(provenance.features(split, features))
    if model is not None:
        findings.append(provenance.model(split, model))
    result = Audit(f"{split.dataset.name}, {kind} split", tuple(findings))
    return result.raise_if_failed() if strict else result

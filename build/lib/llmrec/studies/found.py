"""What a run found: by candidate what tuning chose and the test gave."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from llmrec.studies.plan import Candidate

K = 10


@dataclass
class Found:
    """What a run found, all of it JSON: by candidate what tuning chose and the test gave.

    Attributes
    ----------
    candidates:
        All that were tested, controls and joined ones included.
    tuned:
        Name → ``values, value`` (on valid), ``default, seconds, failed``, or ``error``.
    results:
        Name → ``users, values, slices, lists, fit_seconds, list_ms, bytes``.
    pair:
        The best without text and the best with text, chosen on valid.
    controls:
        ``"language"``, the best single model that reads with the language model, ``"words"``, the
        same with counted words, and ``"shuffled"``, the control of the best with text: built as it
        is, with the texts of other items.
    examples:
        User codes whose lists are shown.
    audit:
        ``split, check, status, found, mend`` of each check.
    encode_seconds:
        What the language model took to read the items; less where its cache knew them.
    """

    candidates: list[Candidate] = field(default_factory=list)
    tuned: dict[str, Any] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    pair: tuple[str, str] = ("", "")
    controls: dict[str, str] = field(default_factory=dict)
    examples: list[int] = field(default_factory=list)
    audit: list[dict[str, str]] = field(default_factory=list)
    encode_seconds: float = 0.0

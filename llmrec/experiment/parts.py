"""What an experiment is made of: runs, arms, their controls, and what pins each of them."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from llmrec.data import Split
from llmrec.models import Features, Recommender

Kind = Literal["id", "text", "hybrid", "baseline", "control"]
Control = Literal["shuffled", "strangers", "one list"]


@dataclass(frozen=True, eq=False)
class Run:
    """One split, cut or seed.

    Attributes
    ----------
    name : str
        Seeds the controls' permutations.
    split : Split
    readings : mapping
        Name → vectors, ``(n_items, d)`` or, for an arm's ``users_reading``, ``(n_users, d)``.
    users, items : array of codes, optional
        Whom to ask, and the candidates, as in `evaluate`. On a rehearsal: those of the valid part.
    unit : str, optional
        Runs of one unit (draws at one cut, days of one week) count as one: each user's mean over
        them. Default: every run is a unit.
    user_ids : (n_users,) array, optional
        Who the user codes are, so that a user of several runs is known again; default:
        ``split.dataset.user_ids``. Worlds of different people need different ids.
    """

    name: str
    split: Split
    readings: Mapping[str, np.ndarray] = field(default_factory=dict)
    users: ArrayLike | None = None
    items: ArrayLike | None = None
    unit: str | None = None
    user_ids: np.ndarray | None = None

    @property
    def seed(self) -> int:
        """A seed that the name gives."""
        return int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:4], "little")

    @cached_property
    def hash(self) -> str:
        """Sha256 of the split's tables, row by row: what a model may learn from."""
        split, digest = self.split, hashlib.sha256()
        events = (split.train, split.valid, split.test, split.history)
        for table in (*events, split.dataset.items, split.dataset.users):
            if table is not None:
                text = table.astype({c: str for c in table if table[c].dtype == object})
                digest.update(pd.util.hash_pandas_object(text, index=False).to_numpy().tobytes())
            digest.update(b"/")
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Arm:
    """One model, with what it reads and what may be chosen for it.

    Attributes
    ----------
    name : str
    make : class or callable
        Called with the values, and with ``run=`` if it has such an argument.
    values : mapping
        Fixed arguments.
    reading, users_reading : str, optional
        The run's vectors that it gets as ``Features(items=…, users=…)``.
    space : mapping or str, optional
        What `Experiment.choose` may choose: argument → list of values (a grid); or a search space
        for `llmrec.tuning.tune`, its name or a mapping with ranges. ``"reading"`` in a grid lists
        names of readings.
    kind : "id", "text", "hybrid", "baseline" or "control"
    twin : str, optional
        Name of the arm that is the same model without text: what ``"<name>: no text"`` means.
    controls : tuple of str, optional
        Among ``"shuffled"`` (rows of the items' vectors permuted among the items that have a text),
        ``"strangers"`` (the same for users) and ``"one list"`` (the arm's mean scores over users,
        the same for everybody, of any arm). Default: all that apply to what the arm reads.
    permuted : "", "items" or "users"
        Whose vectors are permuted in each run.
    """

    name: str
    make: Callable[..., Recommender]
    values: Mapping[str, Any] = field(default_factory=dict)
    reading: str | None = None
    space: Mapping[str, Any] | str | None = None
    kind: Kind = "id"
    twin: str | None = None
    users_reading: str | None = None
    controls: Sequence[Control] | None = None
    permuted: Literal["", "items", "users"] = ""

    def asks(self, control: Control) -> bool:
        """Return whether a control belongs to this arm: it applies, and was not left out."""
        needs = {"shuffled": self.reading, "strangers": self.users_reading}
        reads = self.reading or self.users_reading
        if self.controls is None:
            return needs.get(control, reads) is not None and self.kind != "control"
        if control in self.controls and needs.get(control, "") is None:
            raise ValueError(f"arm {self.name!r}: the control {control!r} needs a reading")
        return control in self.controls

    def shuffles(self) -> list[Arm]:
        """Return the controls that are fitted themselves, each with settings of its own."""
        rows: dict[Control, Literal["items", "users"]] = {"shuffled": "items", "strangers": "users"}
        options: dict[str, Any] = {"kind": "control", "twin": None, "controls": ()}
        return [
            replace(self, name=f"{self.name}: {control}", permuted=what, **options)
            for control, what in rows.items()
            if self.asks(control)
        ]

    @property
    def options(self) -> Mapping[str, Any]:
        """The space, looked up if it is a name."""
        if isinstance(self.space, str):
            from llmrec.tuning import spaces

            return spaces()[self.space]
        return self.space or {}

    @property
    def is_searched(self) -> bool:
        """Whether the space is more than a grid."""
        return not all(isinstance(tried, list) for tried in self.options.values())

    def grid(self) -> list[dict[str, Any]]:
        """Return the values at each point of the grid, the last argument moving first."""
        points = product(*self.options.values())
        return [{**self.values, **dict(zip(self.options, one, strict=True))} for one in points]

    def model(self, run: Run, values: Mapping[str, Any]) -> Recommender:
        """Return the model, not fitted."""
        given = {key: value for key, value in values.items() if key != "reading"}
        if "run" in inspect.signature(self.make).parameters:
            given["run"] = run
        return self.make(**given)

    def features(self, run: Run, values: Mapping[str, Any], seed: int) -> Features:
        """Return what the model reads in a run."""
        names = {"items": values.get("reading", self.reading), "users": self.users_reading}
        tables = {}
        for what, name in names.items():
            if name is not None and name not in run.readings:
                have = ", ".join(run.readings) or "none"
                raise ValueError(
                    f"arm {self.name!r} reads {name!r}, which run {run.name!r} lacks: put it into"
                    f" the run's readings (there: {have})"
                )
            table = None if name is None else np.asarray(run.readings[name])
            if table is not None and what == self.permuted:
                table = permuted(table, [seed, run.seed])
            tables[what] = table
        return Features(**tables)


def permuted(table: np.ndarray, seed: list[int]) -> np.ndarray:
    """Return the rows in another order; zero rows, those without a text, stay in place."""
    there = np.flatnonzero(np.any(table, axis=1))
    out = table.copy()
    out[there] = table[np.random.default_rng(seed).permutation(there)]
    return out

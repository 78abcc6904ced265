"""One arm on one run: from the cache, or fitted once and judged on every slice."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from llmrec.cache import Cache, key_of
from llmrec.data import History, Split
from llmrec.evaluation import Evaluation
from llmrec.evaluation.statistics import PerUser
from llmrec.experiment.parts import Arm, Run
from llmrec.fingerprint import code_of
from llmrec.models import Features, Inverses, Recommender

CELLS = 4_000_000  # scores held at once: 16 MB
Slicer = Callable[[Run], Mapping[str, Any]]
Place = tuple[str, str]  # an arm's or a control's name, and a slice's


class OneList(Recommender):
    """A fitted model's scores, averaged over the users of train: the same list for everybody.

    What a personal list gains beyond it is not the prediction of what is popular.
    """

    def __init__(self, model: Recommender) -> None:
        self.model = model

    def _fit(self, split: Split, features: Features) -> None:
        known = np.unique(split.train["user"])
        parts = np.array_split(known, -(-len(known) * split.n_items // CELLS))
        total = sum(self.model.score(codes).sum(axis=0, dtype=np.float64) for codes in parts)
        self.scores_ = np.asarray(total / len(known), np.float32)

    def score(self, users: np.ndarray) -> np.ndarray:
        return np.tile(self.scores_, (len(users), 1))

    def fold_in(self, histories: Sequence[History]) -> np.ndarray:
        return np.tile(self.scores_, (len(histories), 1))


@dataclass(frozen=True)
class Measurer:
    """How the arms of one experiment are measured."""

    judge: Callable[..., PerUser]
    metrics: tuple[str, ...]
    slices: Mapping[str, Slicer | None]
    seed: int
    cache: Cache | None

    def measure(
        self,
        arm: Arm,
        run: Run,
        values: Mapping[str, Any],
        one_list: bool = False,
        part: Literal["test", "valid"] = "test",
        inverses: Inverses | None = None,
    ) -> dict[Place, Evaluation]:
        """Return what an arm and, if asked, its one list reach, by name and slice.

        Of a rehearsal (``part="valid"``) the model sees neither valid nor test, its make neither.
        """
        try:
            return self._measure(arm, run, values, one_list, part, inverses)
        except (ValueError, NotImplementedError) as error:
            raise ValueError(f"arm {arm.name!r}, run {run.name!r}: {error}") from error

    def _measure(
        self,
        arm: Arm,
        run: Run,
        values: Mapping[str, Any],
        one_list: bool,
        part: str,
        inverses: Inverses | None,
    ) -> dict[Place, Evaluation]:
        shown, judged = run, run.split
        if part == "valid":
            nothing = run.split.train.iloc[:0]
            judged = replace(judged, test=nothing)
            shown = replace(run, split=replace(judged, valid=nothing))
        model, features = arm.model(shown, values), arm.features(run, values, self.seed)
        cuts = self.slices if part == "test" else {"": None}
        names = [arm.name, f"{arm.name}: one list"] if one_list else [arm.name]
        options = {
            (name, slice): {"users": run.users, "items": run.items, **(cut(run) if cut else {})}
            for slice, cut in cuts.items()
            for name in names
        }
        keys: dict[Place, str] = {}
        with contextlib.suppress(TypeError):  # what nothing pins is measured each time
            if self.cache:
                same = [pinned(one) for one in (model, features, self.judge, self.metrics)]
                content = [*same, run.hash, part]
                for place, asked in options.items():
                    keys[place] = key_of([*content, place[0] == arm.name, pinned(asked)])
        kept = self.cache.get(keys.values()) if self.cache and keys else {}
        found = {
            place: _unpacked(place[0], kept[key]) for place, key in keys.items() if key in kept
        }
        if len(found) < len(options):
            given = {} if inverses is None else inverses.given(model)
            models = {arm.name: model.fit(shown.split, features, **given)}
            if one_list:
                models[names[1]] = OneList(model).fit(shown.split)
            found = {p: self._judged(models[p[0]], p[0], judged, part, options[p]) for p in options}
            if self.cache and keys:
                self.cache.put({key: _packed(found[place]) for place, key in keys.items()})
        return found

    def _judged(
        self, model: Recommender, name: str, split: Split, part: str, options: Mapping[str, Any]
    ) -> Evaluation:
        kinds, ks = zip(*(metric.split("@") for metric in self.metrics), strict=True)
        cuts = tuple(sorted({int(k) for k in ks}))
        reached = self.judge(model, split, cuts, tuple(dict.fromkeys(kinds)), **options, part=part)
        values = {m: np.asarray(reached.per_user(m), np.float64) for m in self.metrics}
        if any(np.isnan(of_metric).any() for of_metric in values.values()):
            raise ValueError("the judge gave NaN: leave out users without a value")
        return Evaluation(name, cuts, np.asarray(reached.users), values)


def pinned(value: Any) -> Any:
    """Return JSON-able content that changes with a value; TypeError where nothing pins it."""
    if isinstance(value, (str, int, float, type(None))):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        head = f"{value.shape} {value.dtype}".encode()
        return hashlib.sha256(head + np.ascontiguousarray(value).tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return [[pinned(key), pinned(one)] for key, one in value.items()]
    if isinstance(value, Sequence):
        return [pinned(one) for one in value]
    if isinstance(value, Recommender):
        return [code_of(type(value)), pinned(value.params)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [code_of(type(value)), pinned(vars(value))]
    if inspect.isfunction(value) and not value.__closure__ and value.__name__ != "<lambda>":
        return code_of(value)
    raise TypeError(f"nothing pins a {type(value).__name__}")


def _packed(one: Evaluation) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, users=one.users, **one.values)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked(name: str, content: bytes) -> Evaluation:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        values = {key: arrays[key] for key in arrays.files if key != "users"}
        ks = tuple(sorted({int(metric.split("@")[1]) for metric in values}))
        return Evaluation(name, ks, arrays["users"], values)

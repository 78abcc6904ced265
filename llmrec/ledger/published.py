"""Published numbers as ``results/published.yml`` holds them: value, source, protocol, tolerance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Row:
    """One published number and how it is re-measured."""

    id: str  # protocol.model.metric, such as "spectralcf.ease.recall@20"
    model: str  # as the source calls it
    metric: str
    value: float
    recipe: str | None  # what measures it, in `chapters.ledger_recipes`; None: nothing here does
    same: bool  # the recipe is the published model, else one beside which to read it
    tolerance: float  # the largest difference that counts as equal
    must: bool  # anything but equal is a failure
    source: str  # key in book/references.bib
    where: str  # the table there
    reread: bool  # read in the source itself, not only where others quote it
    note: str  # why ours differs, or what to know when reading it


@dataclass(frozen=True)
class Protocol:
    """Rows measured in one way on one data set."""

    id: str
    title: str
    says: str
    rows: tuple[Row, ...]


_PROTOCOL = {"title", "says", "source", "where", "tolerance", "reread", "models"}
_MODEL = {"model", "recipe", "same", "must", "source", "where", "tolerance", "reread", "note"}
_MODEL |= {"values"}


def load_published(path: Path) -> tuple[Protocol, ...]:
    """Read and check the published numbers.

    A protocol holds ``title``, ``says``, defaults for its models (``source``, ``where``,
    ``tolerance``, ``reread``) and ``models``: name → ``model``, ``recipe`` (without the protocol's
    name), ``same``, ``must``, ``note`` and ``values`` by metric.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When an entry has an unknown key or lacks one; the entry is named.
    """
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(_protocol(path.name, name, entry) for name, entry in content.items())


def _protocol(file: str, name: str, entry: Mapping[str, Any]) -> Protocol:
    where = f"{file}: {name}"
    _check(where, entry, _PROTOCOL, {"title", "says", "models"})
    models: Mapping[str, Mapping[str, Any]] = entry["models"]
    rows = [row for key, model in models.items() for row in _rows(where, name, key, entry, model)]
    return Protocol(name, entry["title"], " ".join(entry["says"].split()), tuple(rows))


def _rows(
    where: str, protocol: str, key: str, defaults: Mapping[str, Any], model: Mapping[str, Any]
) -> Iterator[Row]:
    where = f"{where}.{key}"
    _check(where, model, _MODEL, {"model", "values"})
    entry = {**defaults, **model}
    _check(where, entry, _PROTOCOL | _MODEL, {"source", "where", "tolerance"})
    recipe = entry.get("recipe")
    same = bool(entry.get("same", False))
    note = " ".join(str(entry.get("note", "")).split())
    if not note and not (recipe and same):
        raise ValueError(f"{where}: not the published model itself, so it needs a note")
    for metric, value in entry["values"].items():
        yield Row(
            id=f"{protocol}.{key}.{metric}",
            model=entry["model"],
            metric=metric,
            value=float(value),
            recipe=f"{protocol}/{recipe}" if recipe else None,
            same=same,
            tolerance=float(entry["tolerance"]),
            must=bool(entry.get("must", False)),
            source=entry["source"],
            where=entry["where"],
            reread=bool(entry.get("reread", True)),
            note=note,
        )


def _check(where: str, entry: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    if unknown := sorted(set(entry) - known):
        raise ValueError(f"{where} has the unknown key {unknown[0]!r}")
    if missing := sorted(needed - set(entry)):
        raise ValueError(f"{where} has no {missing[0]!r}")

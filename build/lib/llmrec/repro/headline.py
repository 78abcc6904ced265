"""The table of headline results: chosen by key in ``results/headline.yml``, never typed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from llmrec.repro.report import table

BEGIN, END = "<!-- headline:begin -->", "<!-- headline:end -->"
HEADER = ("result", "value")


def format_value(value: Any, spec: str = "") -> str:
    """Format one recorded value; without a spec floats get four significant digits.

    Raises
    ------
    ValueError
        When the spec does not fit the value.
    """
    if isinstance(value, list):
        return ", ".join(format_value(part, spec) for part in value)
    try:
        text = format(value, spec or (".4g" if isinstance(value, float) else ""))
    except ValueError as error:
        raise ValueError(f"format {spec!r} does not fit {value!r}") from error
    if isinstance(value, (int, float)):
        text = text.replace("-", "−", 1) if text.startswith("-") else text  # a minus, not a hyphen
    return text


def headline_rows(
    path: Path, entries: Mapping[str, Mapping[str, Any]], *, partial: bool = False
) -> list[tuple[str, str]]:
    """Return ``(label, value)`` rows; with an interval the value reads ``0.12 [0.10, 0.14]``.

    Parameters
    ----------
    path:
        ``results/headline.yml``: a list of label, key and, optionally, format and interval.
    partial:
        Leave out rows whose keys are not recorded, instead of refusing.

    Raises
    ------
    KeyError
        When a key is not recorded.
    ValueError
        When an entry has another field, or none that is needed.
    """
    rows = []
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        if not {"label", "key"} <= entry.keys() <= {"label", "key", "format", "interval"}:
            raise ValueError(f"{path.name}: {entry} needs label and key, may have format, interval")
        spec, interval = entry.get("format", ""), entry.get("interval", [])
        missing = [key for key in (entry["key"], *interval) if key not in entries]
        if missing and partial:
            continue
        if missing:
            raise KeyError(f"{path.name}: {missing[0]} is not recorded: correct the key")
        value, *bounds = (
            format_value(entries[key]["value"], spec) for key in (entry["key"], *interval)
        )
        rows.append((entry["label"], f"{value} [{', '.join(bounds)}]" if bounds else value))
    return rows


def with_headline(readme: str, rows: list[tuple[str, str]]) -> str:
    """Return the README's text with the table between its two markers replaced.

    Raises
    ------
    ValueError
        When the markers are not there exactly once, in order.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end) or BEGIN in rest or END in tail:
        raise ValueError(f"README.md needs {BEGIN} and {END} once each, in this order")
    return f"{head}{BEGIN}\n\n{table(HEADER, rows)}\n\n{END}{tail}"

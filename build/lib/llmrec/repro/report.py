"""What a run found, as Markdown and JSON for files and as a summary for the terminal."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec.repro.claims import Claim
from llmrec.repro.record import write_json, write_text
from llmrec.repro.reference import Records, Row

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_ROWS = 20  # failing keys on the terminal; the written report has all of them
SHOWN_NOTE = 120  # characters of a note on the terminal
SHOWN_LENGTH = 40  # a longer value (a list, a hash) is cut in tables; the JSON report has all of it


@dataclass(frozen=True)
class Report:
    """Everything that one run or one check found.

    ``chapters`` maps a chapter to a mapping with notebook, seconds, peak_mb and error.
    """

    title: str
    rows: Sequence[Row]
    verdicts: Sequence[tuple[Claim, str]]
    chapters: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, Any]
    note: str = ""

    @property
    def failed(self) -> bool:
        errors = [chapter for chapter in self.chapters.values() if chapter.get("error")]
        return bool(errors) or any(row.failed for row in self.rows)

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(row.verdict for row in self.rows).most_common())

    def write(self, folder: Path) -> None:
        """Write ``report.md`` and ``report.json`` into a folder."""
        write_text(folder / "report.md", self.markdown())
        write_json(
            folder / "report.json",
            {
                "failed": self.failed,
                "note": self.note,
                "counts": self.counts,
                "keys": [asdict(row) for row in self.rows],
                "claims": {claim.id: verdict for claim, verdict in self.verdicts},
                "chapters": self.chapters,
                "environment": self.environment,
            },
        )

    def markdown(self) -> str:
        """Return the report as Markdown tables, failures first."""
        failing = [_cells(row) for row in self.rows if row.failed]
        rest = [_cells(row) for row in self.rows if not row.failed]
        outcome = "**Failed.**" if self.failed else "**All numbers are accounted for.**"
        parts = [f"# {self.title}", " ".join(filter(None, [outcome, self.note, self._summary()]))]
        header = ["key", "reference", "got", "difference", "tolerance", "verdict", "note"]
        if failing:
            parts += ["## What failed", table(header, failing)]
        parts += [
            "## Claims",
            table(
                ["claim", "in our words", "verdict"], [(c.id, c.claim, v) for c, v in self.verdicts]
            ),
            "## Time and memory",
            table(["notebook", "seconds", "peak MB", "error"], map(_cost, self.chapters.values())),
            "## Keys",
            table(header, rest),
            "## Environment",
            table(["what", "value"], self.environment.items()),
        ]
        return "\n\n".join(parts) + "\n"

    def show(self, console: Console) -> None:
        """Print the summary: what failed, verdicts of tested claims, counts of keys."""

        def line(text: str, style: str = "") -> None:
            console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)

        failing = [row for row in self.rows if row.failed]
        failing.sort(key=lambda row: row.verdict == "stale")  # many, and no news to who edited
        for row in failing[:SHOWN_ROWS]:
            line(_sentence(row), "red")
        if len(failing) > SHOWN_ROWS:
            line(f"and {len(failing) - SHOWN_ROWS} more such keys", "red")
        for chapter in self.chapters.values():
            if chapter.get("error"):
                line(f"failed: {chapter['error']}", "red")
        tested = [f"{claim.id} {v}" for claim, v in self.verdicts if v != "not yet tested"]
        line(f"claims: {', '.join(tested) or 'none tested'}")
        line(f"keys: {self._summary()}")
        if self.note:
            line(self.note)

    def _summary(self) -> str:
        return ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items()) or "none"


def verdicts(claims: Iterable[Claim], records: Records) -> list[tuple[Claim, str]]:
    """Return each claim with the verdict that the records give."""
    return [(claim, claim.verdict(records)) for claim in claims]


def table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table; pipes and line breaks inside cells are kept from breaking it."""
    lines = [list(header), ["---"] * len(header), *(map(_escape, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shorten(value: Any) -> str:
    """Return a value as short text: six significant digits, long lists and strings cut."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def _sentence(row: Row) -> str:
    names = ("reference", "got", "difference", "tolerance")
    parts = [
        f"{name} {shorten(value)}" for name in names if (value := getattr(row, name)) is not None
    ]
    note = textwrap.shorten(row.note, SHOWN_NOTE, placeholder=" …")
    return f"{row.verdict} {row.key}: {', '.join([*parts, *filter(None, [note])])}"


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (row.reference, row.got, row.difference, row.tolerance)
    return (row.key, *map(shorten, numbers), row.verdict, row.note)


def _cost(chapter: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(chapter.get(name) or "" for name in ("notebook", "seconds", "peak_mb", "error"))


def _escape(cell: Any) -> str:
    return str(cell).replace("|", "\\|").replace("\n", " ")

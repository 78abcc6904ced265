"""Hold a run, a folder of records or just the sources against the reference, and report."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmrec.cache import write_atomic, write_json
from llmrec.repro.claims import Claim, load_claims
from llmrec.repro.environment import environment
from llmrec.repro.layout import Layout
from llmrec.repro.record import broken_rule
from llmrec.repro.reference import Outcome, Records, Reference, Row, compare
from llmrec.repro.runner import ChapterRun

if TYPE_CHECKING:
    from rich.console import Console

NO_REFERENCE = "There is no reference yet: read this report, then `llmrec publish` makes it one."
OTHER_SETTINGS = (
    "The reference was made with another profile or seed, so keys are compared and values are not."
)
OTHER_MACHINE = "The reference is of another machine, whose last bits may differ: "
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
    def failing(self) -> list[Row]:
        """The rows that failed: what drifted before what is stale, the farthest off first."""
        failing = [row for row in self.rows if row.failed]
        return sorted(failing, key=lambda row: (row.outcome == "stale", -_times_off(row)))

    @property
    def failed(self) -> bool:
        return bool(self.failing) or any(about.get("error") for about in self.chapters.values())

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(row.outcome for row in self.rows).most_common())

    def write(self, folder: Path) -> None:
        """Write ``report.md`` and ``report.json`` into a folder."""
        write_atomic(folder / "report.md", self.markdown())
        content = {
            "failed": self.failed,
            "note": self.note,
            "counts": self.counts,
            "keys": [asdict(row) for row in self.rows],
            "claims": {claim.id: verdict for claim, verdict in self.verdicts},
            "chapters": self.chapters,
            "environment": self.environment,
        }
        write_json(folder / "report.json", content)

    def markdown(self) -> str:
        """Return the report as Markdown tables, failures first."""
        outcome = "**Failed.**" if self.failed else "**All numbers are accounted for.**"
        header = ["key", "reference", "got", "difference", "tolerance", "outcome", "note"]
        costs = ("notebook", "seconds", "peak_mb", "error")
        tables = {
            "What failed": (header, map(_cells, self.failing)),
            "Claims": (
                ["claim", "in our words", "verdict"],
                [(claim.id, claim.claim, verdict) for claim, verdict in self.verdicts],
            ),
            "Time and memory": (
                ["notebook", "seconds", "peak MB", "error"],
                [[about.get(name) or "" for name in costs] for about in self.chapters.values()],
            ),
            "Keys": (header, [_cells(row) for row in self.rows if not row.failed]),
            "Environment": (["what", "value"], self.environment.items()),
        }
        parts = [f"# {self.title}", " ".join(filter(None, [outcome, self.note, self._summary()]))]
        for title, (columns, rows) in tables.items():
            if title != "What failed" or self.failing:
                parts += [f"## {title}", table(columns, rows)]
        return "\n\n".join(parts) + "\n"

    def show(self, console: Console, most: int = SHOWN_ROWS) -> None:
        """Print the summary: what failed, verdicts of tested claims, counts of keys."""

        def line(text: str, style: str = "") -> None:
            console.print(text, style=style, soft_wrap=True, highlight=False, markup=False)

        for row in self.failing[:most]:
            parts = {name: getattr(row, name) for name in ("reference", "got", "difference")}
            parts |= {"tolerance": row.tolerance}
            words = [f"{k} {shorten(value)}" for k, value in parts.items() if value is not None]
            words += [textwrap.shorten(row.note, SHOWN_NOTE, placeholder=" …")] if row.note else []
            line(f"{row.outcome} {row.key}: {', '.join(words)}", "red")
        if len(self.failing) > most:
            line(f"and {len(self.failing) - most} more such keys", "red")
        for about in self.chapters.values():
            if about.get("error"):
                line(f"failed: {about['error']}", "red")
        tested = [f"{claim.id} {v}" for claim, v in self.verdicts if v != "not yet tested"]
        line(f"claims: {', '.join(tested) or 'none tested'}")
        line(f"keys: {self._summary()}")
        if self.note:
            line(self.note)

    def _summary(self) -> str:
        return ", ".join(f"{count} {name}" for name, count in self.counts.items()) or "none"


def check_run(
    layout: Layout,
    profile: str,
    runs: Mapping[str, ChapterRun],
    *,
    strict: bool = False,
    exact: bool = False,
) -> Report:
    """Compare what these chapters recorded with the reference and write the run's report."""
    folder = layout.run(profile) / "records"
    records = Records.read(folder, runs)
    whole = Reference.load(layout.reference) if layout.reference.is_file() else Reference("", {})
    reference = whole.only(runs)
    settings = {
        name: (about["profile"], about["seed"]) for name, about in reference.chapters.items()
    }
    same = all(settings.get(c) in (None, (run.profile, run.seed)) for c, run in runs.items())
    note = NO_REFERENCE if not layout.reference.is_file() else "" if same else OTHER_SETTINGS
    about = {chapter: asdict(run) for chapter, run in runs.items()}
    title = f"Run of profile {profile}"
    report = _report(layout, title, reference, records, strict, exact, same, about, note)
    report.write(layout.run(profile))
    return report


def check_records(
    layout: Layout,
    folder: Path,
    *,
    only: Iterable[str] = (),
    strict: bool = False,
    exact: bool = False,
) -> Report:
    """Compare a folder of records, such as one that nbval filled, with the reference.

    Every chapter counts, also one that recorded nothing, unless ``only`` names some.

    Raises
    ------
    FileNotFoundError
        When the folder is absent.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"no records folder {folder}: run notebooks with LLMREC_RECORDS set"
        )
    chapters = layout.notebooks(only) if only else None
    records, reference = Records.read(folder, chapters), Reference.load(layout.reference)
    reference = reference.only(chapters) if chapters else reference
    return _report(layout, f"Check of {folder.name}", reference, records, strict, exact)


def check_static(layout: Layout) -> dict[str, list[str]]:
    """Return chapter or claim → what is wrong with the reference, without running anything.

    That is what changed since the reference run, a notebook or a claim's rule that it does not
    know, and values, tolerances and verdicts that do not go together.
    """
    reference = Reference.load(layout.reference)
    out = reference.stale(layout)
    for chapter in layout.notebooks().keys() - reference.chapters.keys():
        out[chapter] = ["not in the reference yet"]
    for key, entry in reference.entries.items():
        if problem := broken_rule(entry):
            out.setdefault(key.partition(".")[0], []).append(f"{key} {problem}")
    for row in _flips(load_claims(layout.claims), reference, Records(reference.entries)):
        out.setdefault(row.key, []).append(f"{row.reference} → {row.got} {row.note}".strip())
    return dict(sorted(out.items()))


def _report(
    layout: Layout,
    title: str,
    reference: Reference,
    records: Records,
    strict: bool,
    exact: bool,
    values: bool = True,
    chapters: Mapping[str, Mapping[str, Any]] | None = None,
    note: str = "",
) -> Report:
    # A number equal to the last bit is right whatever changed: that is what `exact` is asked for.
    stale = reference.stale(layout) if values and not exact else {}
    rows = compare(reference, records, strict=strict, exact=exact, values=values, stale=stale)
    claims, machine = load_claims(layout.claims), environment()
    if values:
        rows += _flips(claims, reference, records)
    others = [name for name, value in reference.environment.items() if machine.get(name) != value]
    if exact and others:
        note = f"{note} {OTHER_MACHINE}{', '.join(others)}.".strip()
    found = [(claim, claim.verdict(records)) for claim in claims]
    return Report(title, rows, found, chapters or {}, machine, note)


def _flips(claims: Iterable[Claim], reference: Reference, records: Records) -> list[Row]:
    """Return a row for each verdict, or comparison within one, that is not the reference's.

    A claim counts when all its keys are recorded: another one's keys are rows of their own.
    """
    rows = []
    for claim in claims if reference.entries else ():
        now, before = claim.judged(records), reference.verdicts.get(claim.id, {})
        outcome: Outcome = "reported" if now["verdict"] == before.get("verdict") else "flipped"
        flips = [
            leg for leg, holds in now["legs"].items() if before.get("legs", {}).get(leg) != holds
        ]
        if now["rule"] != before.get("rule"):
            outcome, note = "flipped", "its rule or its keys are not those of the reference"
        elif any(key not in records.entries for key in claim.keys):
            continue
        else:
            note = ", ".join(f"{leg} is now {now['legs'][leg]}" for leg in flips)
        if note or outcome == "flipped":
            verdicts = before.get("verdict"), now["verdict"]
            rows.append(Row(claim.id, *verdicts, None, None, outcome, note))
    return rows


def table(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a Markdown table; pipes and line breaks inside cells are kept from breaking it."""
    cells = ([str(c).replace("|", "\\|").replace("\n", " ") for c in row] for row in rows)
    lines = [list(header), ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def shorten(value: Any) -> str:
    """Return a value as short text: six significant digits, long lists and strings cut."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}…"


def _times_off(row: Row) -> float:
    """How many tolerances a row is off; without a number, more than any."""
    return float("inf") if row.difference is None else row.difference / (row.tolerance or 1e-12)


def _cells(row: Row) -> tuple[str, ...]:
    numbers = (row.reference, row.got, row.difference, row.tolerance)
    return (row.key, *map(shorten, numbers), row.outcome, row.note)

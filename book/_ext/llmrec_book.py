"""Sphinx extension of the book: no number is typed, every one comes from results/reference.json.

Role ``{result}`key:.3f` `` prints one recorded number, ``{minutes}`04` `` what a chapter took; an
unknown key is a warning, and the build treats warnings as errors. Directives ``{claims-table}``,
``{status-table}`` and ``{headline-table}`` write the tables of claims, costs and headline results,
``{ledger-table}`` those of published numbers beside ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from llmrec.ledger import Entry, Ledger, Protocol, load_published
from llmrec.repro.claims import Claim, load_claims
from llmrec.repro.headline import HEADER, format_value, headline_rows
from llmrec.repro.layout import Layout
from llmrec.repro.provenance import Snapshot
from llmrec.repro.reference import Records, Reference

Cell = str | nodes.Node | list[nodes.Node]
logger = logging.getLogger(__name__)

# Colours only repeat what the badge's word says.
BADGES = {
    "supported": "success",
    "partly": "warning",
    "refuted": "danger",
    "not testable here": "secondary",
    "not yet tested": "light",
    # of the ledger
    "equal": "success",
    "above": "info",
    "below": "warning",
    "not run": "secondary",
}


class Result(SphinxRole):
    """Print one recorded number: ``key`` or ``key:format``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        key, _, spec = self.text.partition(":")
        layout, reference = _known(self.env)
        self.env.note_dependency(str(layout.reference))
        try:
            if key not in reference.entries:
                raise ValueError(f"no number is recorded under {key!r}")
            text = format_value(reference.entries[key]["value"], spec)
        except ValueError as error:
            logger.warning("result: %s", error, location=self.get_location(), type="llmrec")
            return [nodes.problematic(self.rawtext, f"{{result: {self.text}}}")], []
        return [nodes.inline(self.rawtext, text, classes=["result"])], []


class Minutes(SphinxRole):
    """Print how long a chapter took in the reference run: ``04`` gives "2.3 minutes"."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        layout, reference = _known(self.env)
        self.env.note_dependency(str(layout.reference))
        about = reference.chapters.get(f"ch{self.text}")
        if about is None:
            message = f"no run of chapter {self.text!r} is published"
            logger.warning("minutes: %s", message, location=self.get_location(), type="llmrec")
            return [nodes.problematic(self.rawtext, f"{{minutes: {self.text}}}")], []
        return [nodes.inline(self.rawtext, f"{about['seconds'] / 60:.1f} minutes")], []


class ClaimsTable(SphinxDirective):
    """All claims with verdict, chapter and the numbers behind the verdict."""

    def run(self) -> list[nodes.Node]:
        layout, reference = _known(self.env)
        for path in (layout.claims, layout.reference):
            self.env.note_dependency(str(path))
        records = Records(reference.entries)
        rows = [self._row(claim, records) for claim in load_claims(layout.claims)]
        header = ("claim", "in our words", "verdict", "tested in", "numbers")
        return [
            _table("Every claim of the article and its verdict", header, rows, (6, 36, 14, 12, 32))
        ]

    def _row(self, claim: Claim, records: Records) -> list[Cell]:
        verdict = claim.verdict(records)
        chapters: list[nodes.Node] = []
        for chapter in claim.chapters:
            chapters += [nodes.Text(", ")] if chapters else []
            chapters.append(_chapter_link(self.env, chapter))
        return [
            claim.id,
            claim.claim + (f" ({claim.untestable})" if claim.untestable else ""),
            _badge(verdict),
            chapters,
            _numbers(claim.keys, records),
        ]


class StatusTable(SphinxDirective):
    """Time and memory of each chapter, then the environment of the reference run."""

    def run(self) -> list[nodes.Node]:
        layout, reference = _known(self.env)
        self.env.note_dependency(str(layout.reference))
        if not reference.chapters:
            return [nodes.paragraph("", "No run has been published yet.")]
        rows: list[list[Cell]] = [
            [
                [_chapter_link(self.env, int(chapter[2:]))],
                f"{about['seconds'] / 60:.1f}",
                f"{about['peak_mb'] / 1000:.1f}",
                str(sum(key.startswith(f"{chapter}.") for key in reference.entries)),
            ]
            for chapter, about in sorted(reference.chapters.items())
        ]
        costs = ("chapter", "minutes", "peak memory (GB)", "recorded numbers")
        machine: list[list[Cell]] = [
            [name.replace("_", " "), str(value)]
            for name, value in sorted(reference.environment.items())
        ]
        return [
            _table("What each chapter costs", costs, rows, (40, 20, 20, 20)),
            _table("What the reference run ran on", ("part", "version or size"), machine, (40, 60)),
        ]


class HeadlineTable(SphinxDirective):
    """The headline results that the README shows, too."""

    def run(self) -> list[nodes.Node]:
        layout, reference = _known(self.env)
        for path in (layout.headline, layout.reference):
            self.env.note_dependency(str(path))
        rows = [
            list(row) for row in headline_rows(layout.headline, reference.entries, partial=True)
        ]
        return [_table("Headline results, with 95 % intervals", HEADER, rows, (70, 30))]


class LedgerTable(SphinxDirective):
    """A table a protocol: the published number, ours, the verdict and what explains a difference.

    A recipe that never ran, or whose code or data changed since, is a warning: the build fails.
    """

    def run(self) -> list[nodes.Node]:
        layout, _ = _known(self.env)
        for path in (layout.published, layout.ledger):
            self.env.note_dependency(str(path))
        protocols, ledger = load_published(layout.published), Ledger.load(layout.ledger)
        self._warn_of_stale(protocols, ledger, Snapshot.take(layout.package))
        out: list[nodes.Node] = []
        header = (
            "model",
            "metric",
            "paper",
            "ours",
            "verdict",
            "what ours is, and why they differ",
        )
        for protocol in protocols:
            rows = [self._row(entry) for entry in ledger.entries(protocol)]
            table = _table(protocol.title, header, rows, (16, 11, 8, 23, 9, 33))
            out += [table, nodes.paragraph("", protocol.says)]
        return out

    def _warn_of_stale(
        self, protocols: tuple[Protocol, ...], ledger: Ledger, now: Snapshot
    ) -> None:
        for protocol in protocols:
            for recipe in dict.fromkeys(row.recipe for row in protocol.rows if row.recipe):
                if changed := ledger.stale(recipe, now):
                    logger.warning(
                        "ledger: %s is out of date (%s): run llmrec ledger --only %s",
                        recipe,
                        ", ".join(changed),
                        protocol.id,
                        location=self.get_location(),
                        type="llmrec",
                    )

    def _row(self, entry: Entry) -> list[Cell]:
        row, ours = entry.row, entry.ours
        said = [entry.ours_model if row.same else f"{entry.ours_model} (another model)"]
        return [
            row.model + ("" if row.reread else " †"),
            row.metric.replace("map_total", "map"),
            f"{row.value:.4f}",
            f"{ours.value:.4f} [{ours.low:.4f}, {ours.high:.4f}]" if ours else "",
            _badge(entry.verdict),
            ". ".join(part for part in (*(said if entry.ours_model else ()), entry.note) if part),
        ]


def _known(env: Any) -> tuple[Layout, Reference]:
    """Return the layout and the reference, read once a build; an absent reference is empty."""
    cache = env.app.llmrec_known
    if not cache:
        layout = Layout.find(env.srcdir)
        found = Reference.load(layout.reference) if layout.reference.is_file() else None
        cache.extend((layout, found or Reference("", {})))
    return cache[0], cache[1]


def _badge(verdict: str) -> nodes.Node:
    colour = BADGES[verdict]
    classes = ["sd-sphinx-override", "sd-badge", f"sd-bg-{colour}", f"sd-bg-text-{colour}"]
    return nodes.inline("", verdict, classes=[*classes, f"verdict-{verdict.replace(' ', '-')}"])


def _numbers(keys: Iterable[str], records: Records) -> list[nodes.Node]:
    """One line a recorded key: its name as code, its value."""
    lines: list[nodes.Node] = []
    for key in keys:
        if key in records.entries:
            value = format_value(records.entries[key]["value"])
            lines.append(nodes.line("", "", nodes.literal("", key), nodes.Text(f" {value}")))
    return [nodes.line_block("", *lines)] if lines else []


def _chapter_link(env: Any, chapter: int) -> nodes.Node:
    """Link to a chapter's notebook; plain text when the book does not have it."""
    text = f"chapter {chapter}"
    start = f"notebooks/{chapter:02d}_"
    name = next((doc for doc in sorted(env.found_docs) if doc.startswith(start)), None)
    if name is None:
        return nodes.Text(text)
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget=f"/{name}", refexplicit=True, refwarn=True
    )
    link += nodes.inline("", text, classes=["std", "std-doc"])
    return link


def _table(
    title: str, header: Iterable[str], rows: list[list[Cell]], widths: tuple[int, ...]
) -> nodes.table:
    """Build a table with a caption, column headers and the first column as row headers."""
    group = nodes.tgroup(cols=len(widths))
    for column, width in enumerate(widths):
        group += nodes.colspec(colwidth=width, stub=1 if column == 0 else None)
    group += nodes.thead("", _row(list(header)))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", nodes.title("", title), group, classes=["llmrec-table"])


def _row(cells: list[Cell]) -> nodes.row:
    return nodes.row("", *map(_entry, cells))


def _entry(cell: Cell) -> nodes.entry:
    if isinstance(cell, list) and cell and isinstance(cell[0], nodes.line_block):
        return nodes.entry("", *cell)
    inside = (
        [nodes.Text(cell)] if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
    )
    return nodes.entry("", nodes.paragraph("", "", *inside))


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role and the directives."""
    app.llmrec_known = []  # type: ignore[attr-defined]
    app.add_role("result", Result())
    app.add_role("minutes", Minutes())
    tables: dict[str, type[Directive]] = {
        "claims-table": ClaimsTable,
        "status-table": StatusTable,
        "headline-table": HeadlineTable,
        "ledger-table": LedgerTable,
    }
    for name, directive in tables.items():
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

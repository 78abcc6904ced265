"""The tables of the book: claims, sections, chapters, costs, headline results, published numbers.

What the roles of `llmrec_book` share with them is here, too: records, badges, links to chapters.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from llmrec.ledger import Entry, Ledger, Protocol, load_published, load_recipes
from llmrec.repro.claims import Claim, load_claims
from llmrec.repro.layout import Layout, chapter_of
from llmrec.repro.publish import HEADER, format_value, headline_rows
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
CHINESE = {
    "supported": "成立",
    "partly": "部分成立",
    "refuted": "不成立",
    "not testable here": "本书无法检验",
    "not yet tested": "尚未检验",
}


class ClaimsTable(SphinxDirective):
    """All claims with verdict, chapter and the numbers behind the verdict."""

    def run(self) -> list[nodes.Node]:
        layout, reference = known(self.env)
        for path in (layout.claims, layout.reference):
            self.env.note_dependency(str(path))
        records = Records(reference.entries)
        rows = [self._row(claim, records) for claim in load_claims(layout.claims)]
        header = ("claim", "in our words", "verdict", "tested in", "effect, with its 95 % interval")
        title = "Every claim of the article and its verdict"
        return [_table(title, header, rows, (6, 36, 14, 12, 32), "claims")]

    def _row(self, claim: Claim, records: Records) -> list[Cell]:
        verdict = claim.verdict(records)
        return [
            claim.id,
            claim.claim + (f" ({claim.untestable})" if claim.untestable else ""),
            badge(verdict),
            _joined([chapter_link(self.env, chapter) for chapter in claim.chapters]),
            _numbers(claim.keys, records),
        ]


class SectionsTable(SphinxDirective):
    """Where each section of the article is: a line ``number | title | places`` for each.

    A place is a chapter's number or the name of a page beside this one. The chapters of claims
    that stand in the section are added.
    """

    has_content = True

    def run(self) -> list[nodes.Node]:
        layout, reference = known(self.env)
        for path in (layout.claims, layout.reference):
            self.env.note_dependency(str(path))
        records, claims = Records(reference.entries), load_claims(layout.claims)
        rows: list[list[Cell]] = []
        for line in self.content:
            number, title, listed = (part.strip() for part in line.split("|"))
            of_section = [claim for claim in claims if number in _sections(claim)]
            chapters = {int(place) for place in listed.split() if place.isdigit()}
            chapters |= {chapter for claim in of_section for chapter in claim.chapters}
            links = [chapter_link(self.env, chapter) for chapter in sorted(chapters)]
            links += [_page_link(place) for place in listed.split() if not place.isdigit()]
            verdicts = [f"{claim.id} {claim.verdict(records)}" for claim in of_section]
            rows.append([f"{number} {title}", _joined(links), ", ".join(verdicts) or "–"])
        header = ("section of the article", "in this book", "its claims")
        return [_table("Where each section of the article is", header, rows, (30, 25, 45))]


class ChaptersTable(SphinxDirective):
    """Each notebook: its title, what it took, the command that opens it, its file to download."""

    option_spec: ClassVar[dict[str, Any]] = {"chinese": directives.flag}

    def run(self) -> list[nodes.Node]:
        layout, reference = known(self.env)
        self.env.note_dependency(str(layout.reference))
        rows: list[list[Cell]] = []
        for chapter, path in layout.notebooks().items():
            if f"notebooks/{path.stem}" not in self.env.found_docs:
                continue
            self.env.note_dependency(str(path))
            rows.append(self._row(chapter, path, reference))
        if "chinese" in self.options:
            header = ("章", "标题", "运行时间（分钟）")
            return [_table("各章", header, rows, (15, 60, 25))]
        header = ("chapter", "minutes", "open it", "or take it along")
        return [_table("The notebooks", header, rows, (32, 10, 43, 15))]

    def _row(self, chapter: str, path: Path, reference: Reference) -> list[Cell]:
        text = json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"]
        english, chinese = _titles("".join(text))
        about = reference.chapters.get(chapter)
        minutes = f"{about['seconds'] / 60:.1f}" if about else "–"
        number = chapter[2:].lstrip("0")
        if "chinese" in self.options:
            return [
                [chapter_link(self.env, chapter, number or "–")],
                chinese,
                minutes,
            ]
        download = addnodes.download_reference(
            "",
            "",
            nodes.literal("", path.name),
            reftarget=f"/notebooks/{path.name}",
            refdoc=self.env.docname,
        )
        link = chapter_link(self.env, chapter, f"{number} · {english}" if number else english)
        return [[link], minutes, nodes.literal("", f"jupyter lab notebooks/{path.name}"), download]


class StatusTable(SphinxDirective):
    """Time, memory and verdicts of each chapter, then the environment of the reference run."""

    def run(self) -> list[nodes.Node]:
        layout, reference = known(self.env)
        for path in (layout.claims, layout.reference):
            self.env.note_dependency(str(path))
        if not reference.chapters:
            return [nodes.paragraph("", "No run has been published yet.")]
        records, claims = Records(reference.entries), load_claims(layout.claims)
        rows: list[list[Cell]] = [
            [
                [chapter_link(self.env, chapter)],
                f"{about['seconds'] / 60:.1f}",
                f"{about['peak_mb'] / 1000:.1f}",
                str(sum(key.startswith(f"{chapter}.") for key in reference.entries)),
                _counted(claims, records, chapter),
            ]
            for chapter, about in sorted(reference.chapters.items())
        ]
        about_all = reference.chapters.values()
        rows.append(
            [
                "all",
                f"{sum(about['seconds'] for about in about_all) / 60:.1f}",
                f"{max(about['peak_mb'] for about in about_all) / 1000:.1f}",
                str(len(reference.entries)),
                _counted(claims, records),
            ]
        )
        costs = ("chapter", "minutes", "peak memory (GB)", "recorded numbers", "verdicts on claims")
        machine: list[list[Cell]] = [
            [name.replace("_", " "), str(value)]
            for name, value in sorted(reference.environment.items())
        ]
        return [
            _table("What each chapter costs", costs, rows, (24, 12, 16, 16, 32)),
            _table("What the reference run ran on", ("part", "version or size"), machine, (40, 60)),
        ]


class HeadlineTable(SphinxDirective):
    """The headline results that the README shows, too."""

    def run(self) -> list[nodes.Node]:
        layout, reference = known(self.env)
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
        layout, _ = known(self.env)
        for path in (layout.published, layout.ledger):
            self.env.note_dependency(str(path))
        protocols, ledger = load_published(layout.published), Ledger.load(layout.ledger)
        load_recipes(layout)
        self._warn_of_stale(protocols, ledger)
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

    def _warn_of_stale(self, protocols: tuple[Protocol, ...], ledger: Ledger) -> None:
        for protocol in protocols:
            for recipe in dict.fromkeys(row.recipe for row in protocol.rows if row.recipe):
                if changed := ledger.stale(recipe):
                    logger.warning(
                        "ledger: %s is out of date (%s): run llmrec ledger --only %s",
                        recipe,
                        changed,
                        protocol.id,
                        location=self.get_location(),
                        type="llmrec",
                    )

    def _row(self, entry: Entry) -> list[Cell]:
        row, ours = entry.row, entry.ours
        model = entry.ours_model + " (another model)" * bool(entry.ours_model and not row.same)
        return [
            row.model + ("" if row.reread else " †"),
            row.metric.replace("map_total", "map"),
            f"{row.value:.4f}",
            f"{ours.value:.4f} [{ours.low:.4f}, {ours.high:.4f}]" if ours else "",
            badge(entry.verdict),
            ". ".join(filter(None, (model, entry.note))),
        ]


def known(env: Any) -> tuple[Layout, Reference]:
    """Return the layout and the reference, read once a build; an absent reference is empty."""
    cache = env.app.llmrec_known
    if not cache:
        layout = Layout.find(env.srcdir)
        found = Reference.load(layout.reference) if layout.reference.is_file() else None
        cache.extend((layout, found or Reference("", {})))
    return cache[0], cache[1]


def badge(verdict: str, text: str = "") -> nodes.Node:
    colour = BADGES[verdict]
    classes = ["sd-sphinx-override", "sd-badge", f"sd-bg-{colour}", f"sd-bg-text-{colour}"]
    return nodes.inline(
        "", text or verdict, classes=[*classes, f"verdict-{verdict.replace(' ', '-')}"]
    )


def _numbers(keys: Iterable[str], records: Records) -> list[nodes.Node]:
    """One line a recorded key, its name as code; a difference takes its two bounds along."""
    lines: list[nodes.Node] = []
    values = {key: records.entries[key]["value"] for key in keys if key in records.entries}
    for key, value in values.items():
        name, _, part = key.rpartition(".")
        bounds = [f"{name}.low", f"{name}.high"]
        difference = {f"{name}.difference", *bounds} <= values.keys()
        if difference and part == "difference":
            low, high = (format_value(values[bound], "+.3f") for bound in bounds)
            text = f" {format_value(value, '+.3f')} [{low}, {high}]"
            lines.append(nodes.line("", "", nodes.literal("", name), nodes.Text(text)))
        elif not (difference and key in bounds):
            text = f" {format_value(value)}"
            lines.append(nodes.line("", "", nodes.literal("", key), nodes.Text(text)))
    return [nodes.line_block("", *lines)] if lines else []


def _counted(claims: Iterable[Claim], records: Records, chapter: str = "") -> str:
    """Count the verdicts on a chapter's claims (or on all), such as ``2 supported, 1 partly``."""
    mine = [c for c in claims if not chapter or chapter in map(chapter_of, c.chapters)]
    counts = Counter(claim.verdict(records) for claim in mine)
    return ", ".join(f"{counts[v]} {v}" for v in CHINESE if counts[v]) or "–"


def _sections(claim: Claim) -> set[str]:
    """Return the article's main sections of a claim: ``6.1`` stands in ``6``."""
    return {part.strip().split(".")[0] for part in claim.section.split(",")}


def _titles(markdown: str) -> tuple[str, str]:
    """Return the English and the Chinese title of a notebook's first heading."""
    title = markdown.splitlines()[0].lstrip("# ")
    match = re.fullmatch(r"(.*?)\s*[(（](.*)[)）]", title)
    return (match[1], match[2]) if match else (title, title)


def _joined(links: list[nodes.Node]) -> list[nodes.Node]:
    parts: list[nodes.Node] = []
    for link in links:
        parts += [nodes.Text(", ")] if parts else []
        parts.append(link)
    return parts


def chapter_link(env: Any, chapter: int | str, text: str = "") -> nodes.Node:
    """Link to a chapter's notebook, by its number or key; plain text when the book has none."""
    number = chapter_of(chapter)[2:]
    short = number.lstrip("0")
    text = text or (f"chapter {short}" if short else "interest explorer")
    start = f"notebooks/{number}_"
    name = next((doc for doc in sorted(env.found_docs) if doc.startswith(start)), None)
    if name is None:
        return nodes.Text(text)
    return _doc_link(f"/{name}", text)


def _page_link(name: str) -> nodes.Node:
    """Link to a page of the folder ``book``."""
    return _doc_link(f"/book/{name}", name)


def _doc_link(target: str, text: str) -> nodes.Node:
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="doc", reftarget=target, refexplicit=True, refwarn=True
    )
    link += nodes.inline("", text, classes=["std", "std-doc"])
    return link


def _table(
    title: str,
    header: Iterable[str],
    rows: list[list[Cell]],
    widths: tuple[int, ...],
    *classes: str,
) -> nodes.table:
    """Build a table with a caption, column headers and the first column as row headers."""
    group = nodes.tgroup(cols=len(widths))
    for column, width in enumerate(widths):
        group += nodes.colspec(colwidth=width, stub=1 if column == 0 else None)
    group += nodes.thead("", _row(list(header)))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", nodes.title("", title), group, classes=["llmrec-table", *classes])


def _row(cells: list[Cell]) -> nodes.row:
    return nodes.row("", *map(_entry, cells))


def _entry(cell: Cell) -> nodes.entry:
    if isinstance(cell, list) and cell and isinstance(cell[0], nodes.line_block):
        return nodes.entry("", *cell)
    inside = (
        [nodes.Text(cell)] if isinstance(cell, str) else cell if isinstance(cell, list) else [cell]
    )
    return nodes.entry("", nodes.paragraph("", "", *inside))


TABLES: dict[str, type[Directive]] = {
    "claims-table": ClaimsTable,
    "sections-table": SectionsTable,
    "chapters-table": ChaptersTable,
    "status-table": StatusTable,
    "headline-table": HeadlineTable,
    "ledger-table": LedgerTable,
}

"""Sphinx extension of the book: no number is typed, every one comes from results/reference.json.

Role ``{result}`key:.3f` `` prints one recorded number, ``{minutes}`04` `` what a chapter took,
``{verdict}`C6` `` (or ``C6:zh``) a claim's verdict; an unknown key is a warning, and the build
treats warnings as errors. ``{chapter}`4` `` links to a chapter. The tables are in `llmrec_tables`,
the index of figures in `llmrec_figures`, the search for Chinese words in `llmrec_search`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import bokeh
from docutils import nodes
from llmrec_tables import CHINESE, TABLES, badge, chapter_link, known
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import ReferenceRole, SphinxRole

from llmrec.repro.claims import load_claims
from llmrec.repro.publish import format_value
from llmrec.repro.reference import Records

BOKEH_JS = "bokeh.min.js"
logger = logging.getLogger(__name__)


class Result(SphinxRole):
    """Print one recorded number: ``key`` or ``key:format``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        key, _, spec = self.text.partition(":")
        layout, reference = known(self.env)
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
        layout, reference = known(self.env)
        self.env.note_dependency(str(layout.reference))
        about = reference.chapters.get(f"ch{self.text}")
        if about is None:
            message = f"no run of chapter {self.text!r} is published"
            logger.warning("minutes: %s", message, location=self.get_location(), type="llmrec")
            return [nodes.problematic(self.rawtext, f"{{minutes: {self.text}}}")], []
        return [nodes.inline(self.rawtext, f"{about['seconds'] / 60:.1f} minutes")], []


class Verdict(SphinxRole):
    """Print a claim's verdict as a badge: ``C6``, or ``C6:zh`` in Chinese."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        name, _, language = self.text.partition(":")
        layout, reference = known(self.env)
        for path in (layout.claims, layout.reference):
            self.env.note_dependency(str(path))
        claims = {claim.id: claim for claim in load_claims(layout.claims)}
        if name not in claims or language not in ("", "zh"):
            message = f"there is no claim {self.text!r}"
            logger.warning("verdict: %s", message, location=self.get_location(), type="llmrec")
            return [nodes.problematic(self.rawtext, f"{{verdict: {self.text}}}")], []
        verdict = claims[name].verdict(Records(reference.entries))
        return [badge(verdict, CHINESE[verdict] if language else verdict)], []


class Chapter(ReferenceRole):
    """Link to a chapter by its number: ``4``, or ``text <4>``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        title = self.title if self.has_explicit_title else ""
        return [chapter_link(self.env, self.target, title)], []


def _bring_bokeh(app: Sphinx, config: Any) -> None:
    """Copy the installed BokehJS into the book: the page asks no server for it."""
    js = Path(bokeh.__file__).parent / "server" / "static" / "js" / BOKEH_JS
    config.html_static_path.append(str(js))


def _load_bokeh(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Load BokehJS on the pages that hold the interest explorer, and on no other."""
    if "id='explorer-map'" in context.get("body", ""):
        app.add_js_file(BOKEH_JS)


def _fix_roles(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Say which page is Chinese; docutils' list of citations loses a role that it does not fill."""
    if body := context.get("body"):
        body = body.replace('<div role="list" class="citation-list">', "<div>")
        context["body"] = f'<div lang="zh">{body}</div>' if page == "book/zh" else body


def _filter_claims(
    app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    if 'class="llmrec-table claims' in context.get("body", ""):
        app.add_js_file("claims.js")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the roles and the directives."""
    app.llmrec_known = []  # type: ignore[attr-defined]
    app.connect("config-inited", _bring_bokeh)
    app.connect("html-page-context", _load_bokeh)
    app.connect("html-page-context", _fix_roles)
    app.connect("html-page-context", _filter_claims)
    app.setup_extension("llmrec_figures")
    app.setup_extension("llmrec_search")
    app.setup_extension("llmrec_api")
    roles = {"result": Result(), "minutes": Minutes(), "verdict": Verdict(), "chapter": Chapter()}
    for role, function in roles.items():
        app.add_role(role, function)
    for name, directive in TABLES.items():
        app.add_directive(name, directive)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

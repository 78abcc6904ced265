"""Directive ``{figure-index}``: for every figure a thumbnail, its first sentence and a link.

The pictures are known only when all pages are read, so the directive leaves a mark that is
replaced while its page is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

SIZE = 360  # pixels of a thumbnail's longer side
FOLDER = "_images/thumbnails"


class Mark(nodes.General, nodes.Element):
    """Where the index will stand."""


class FigureIndex(SphinxDirective):
    """Every named figure of the book, by page."""

    def run(self) -> list[nodes.Node]:
        return [Mark()]


def fill(app: Sphinx, doctree: nodes.document, name: str) -> None:
    """Replace the marks of one page by the index."""
    for mark in list(doctree.findall(Mark)):
        parts: list[nodes.Node] = []
        for page in _in_order(app, app.config.root_doc):
            cards = [_card(app, name, page, figure) for figure in _figures(app, page)]
            if cards:
                heading = nodes.rubric("", app.env.titles[page].astext())
                parts += [heading, nodes.bullet_list("", *cards, classes=["figure-index"])]
        mark.replace_self(parts)


def _in_order(app: Sphinx, page: str) -> Iterator[str]:
    """Yield a page and all below it, as the table of contents has them."""
    yield page
    for below in app.env.toctree_includes.get(page, []):
        yield from _in_order(app, below)


def _figures(app: Sphinx, page: str) -> list[nodes.figure]:
    found = app.env.get_doctree(page).findall(nodes.figure)
    return [figure for figure in found if figure["ids"] and next(figure.findall(nodes.image), None)]


def _card(app: Sphinx, here: str, page: str, figure: nodes.figure) -> nodes.list_item:
    image = next(figure.findall(nodes.image))
    name = figure["ids"][0]
    caption = next(figure.findall(nodes.caption)).astext()
    first = re.split(r"(?<=[.!?。])\s", " ".join(caption.split()), maxsplit=1)[0]
    parts: list[nodes.Node] = [nodes.inline("", first)]
    if app.builder.format == "html":
        up = "../" * here.count("/")
        source = f"{up}{_thumbnail(app, image['uri'], name)}"
        alt = escape(image.get("alt", first), quote=True)
        tag = f'<img src="{escape(source)}" alt="{alt}" loading="lazy" width="{SIZE}">'
        parts.insert(0, nodes.raw("", tag, format="html"))
        target = f"{app.builder.get_relative_uri(here, page)}#{name}"
    else:
        target = f"#{name}"
    link = nodes.reference("", "", *parts, refuri=target, internal=True)
    return nodes.list_item("", nodes.paragraph("", "", link))


def _thumbnail(app: Sphinx, uri: str, name: str) -> str:
    """Return where the small picture is, from the root of the pages; a drawing stays as it is."""
    source = Path(app.srcdir) / uri
    if source.suffix == ".svg":
        return f"_images/{app.env.images[uri][1]}"
    from PIL import Image

    target = Path(app.outdir) / FOLDER / f"{name}.webp"
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(source) as picture:
        small = picture.convert("RGB")
    small.thumbnail((SIZE, SIZE))
    small.save(target, quality=80)
    return f"{FOLDER}/{target.name}"


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive."""
    app.add_node(Mark)
    app.add_directive("figure-index", FigureIndex)
    app.connect("doctree-resolved", fill)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Small pieces of an accessible page. Whatever is passed in is text, never markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmrec.studies.figures import Figure

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'"


def text(value: object) -> str:
    """Return a value as text that no browser takes for markup."""
    return escape(str(value))


def signed(value: float) -> str:
    """Return a difference with its sign, and zero without one.

    Examples
    --------
    >>> signed(0.0123), signed(-0.00041), signed(-0.0)
    ('+0.012', '-0.00041', '0.000')
    """
    value = round(value, 6)
    return f"{value:+.{_places(value)}f}" if value else "0.000"


def number(value: float) -> str:
    """Return a value with three decimals, more where it is small.

    Examples
    --------
    >>> number(0.3), number(0.00412)
    ('0.300', '0.0041')
    """
    return f"{value:.{_places(value)}f}"


def _places(value: float) -> int:
    """Return decimals that show two digits, three at least and six at most."""
    size = abs(value)
    return 3 if size >= 0.01 or size == 0 else min(6, 1 - math.floor(math.log10(size)))


def page(title: str, style: str, parts: Iterable[str]) -> str:
    """Return a whole page that asks the network for nothing."""
    return PAGE.format(policy=escape(POLICY), title=text(title), style=style, body="\n".join(parts))


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    words: int = 1,
    best: Sequence[int] = (),
) -> str:
    """Return a table that scrolls by itself on a phone; the first cell of a row is its header.

    The first ``words`` columns are words, the others numbers; ``best`` are rows to stand out.
    """

    def cell(value: object, column: int, tag: str, scope: str = "") -> str:
        number = ' class="n"' if column >= words else ""
        return f"<{tag}{scope}{number}>{text(value)}</{tag}>"

    head = "".join(cell(one, n, "th", ' scope="col"') for n, one in enumerate(header))
    lines = []
    for number, row in enumerate(rows):
        first, *rest = row
        cells = [cell(first, 0, "th", ' scope="row"')]
        cells += [cell(one, n, "td") for n, one in enumerate(rest, start=1)]
        mark = ' class="best"' if number in best else ""
        lines.append(f"<tr{mark}>{''.join(cells)}</tr>")
    label = f'role="region" tabindex="0" aria-label="{text(caption)}"'
    return (
        f'<div class="scroll" {label}><table><caption>{text(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody></table></div>"
    )


def figure(one: Figure | None) -> str:
    """Return a figure with its caption, or nothing."""
    if one is None:
        return ""
    return (
        f'<figure><img src="{one.address}" alt="{text(one.alt)}">'
        f"<figcaption>{text(one.caption)}</figcaption></figure>"
    )


def bullets(lines: Iterable[str]) -> str:
    """Return a list, or nothing for no line."""
    items = "\n".join(f"<li>{text(line)}</li>" for line in lines)
    return f"<ul>\n{items}\n</ul>" if items else ""

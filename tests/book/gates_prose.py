"""Gates on prose: typed numbers and the order of headings: plain functions, each with its test."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

import yaml

FENCE = re.compile(r"^\s*(`{3,}|~{3,}|:{3,})\s*(\{[\w:-]+\})?(.*)$")
VERBATIM = {"{code-block}", "{code}", "{code-cell}", "{math}", "{literalinclude}", "{bibliography}"}
VERBATIM |= {"{sections-table}"}  # its content is numbers and titles of sections
# Directives whose first line is a title to be read, not a setting.
TITLED = {"{note}", "{tip}", "{warning}", "{important}", "{admonition}", "{dropdown}", "{card}"}
TITLED |= {"{grid-item-card}", "{tab-item}", "{list-table}", "{table}"}
HIDDEN = (
    r"<!--.*?-->",  # comments
    r"\$\$.*?\$\$(\s*\([\w-]+\))?",  # display formulas
    r"\\begin\{(\w+\*?)\}.*?\\end\{\1\}",
    r"(?<!\\)\$[^$\n]+?(?<!\\)\$",  # inline formulas
    r"\{[\w:-]+\}`[^`]*`",  # roles, among them `result`
    r"<https?://[^>]*>",
    r"\]\([^)]*\)",  # the target of a link
)
# Letters are named one by one: 汉字 stand beside a number without a space.
NUMBER = re.compile(r"(?<![A-Za-z0-9_@.\-/#])[-+−±]?\d+(?:[.,   ]\d+)*\s?[%×kKM]?(?![A-Za-z0-9_])")
CODED = re.compile(r"`[-+−]?(?:\d+\.\d+|\d+(?:\.\d+)?\s?%)`")  # a number dressed up as code


@dataclass(frozen=True)
class Allowed:
    """One entry of the allow-list: a pattern, why it may be typed, and (optionally) where."""

    pattern: str
    why: str
    where: str = "*"


def allow_list(path: Path) -> list[Allowed]:
    """Read the allow-list; an entry without a reason is refused."""
    entries = [Allowed(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]
    for entry in entries:
        if len(entry.why) < 10:
            raise ValueError(f"{path.name}: {entry.pattern!r} needs a reason of a few words")
    return entries


def prose(markdown: str) -> str:
    """Return the sentences of a MyST text, line for line: no code, formulas, roles or targets."""
    lines, fences = [], []
    for line in markdown.splitlines():
        fence = FENCE.match(line)
        if fence and fences and fence[1][0] == fences[-1][0][0] and not (fence[2] or fence[3]):
            fences.pop()
            line = ""
        elif fence and not any(hidden for _, hidden in fences):
            colon = fence[1][0] == ":"
            fences.append((fence[1], fence[2] in VERBATIM or (not fence[2] and not colon)))
            line = fence[3] if fence[2] in TITLED else ""
        elif any(hidden for _, hidden in fences) or re.match(r"^\s*\([\w-]+\)=\s*$", line):
            line = ""
        elif fences and re.match(r"^\s*:[\w-]+:", line):  # options, but for the alt text
            line = line.split(":alt:", 1)[1] if ":alt:" in line else ""
        lines.append(re.sub(r"^(\s*)\d+[.)]\s", r"\1", line))
    text = "\n".join(lines)
    for pattern in HIDDEN:
        text = re.sub(pattern, lambda m: "\n" * m[0].count("\n"), text, flags=re.DOTALL)
    return re.sub(r"`[^`\n]*`", lambda m: m[0].strip("`") if CODED.fullmatch(m[0]) else "", text)


def typed_numbers(markdown: str, name: str, allowed: list[Allowed]) -> list[str]:
    """Return ``"name:line: number in its sentence"`` for each number not on the allow-list."""
    text = prose(markdown)
    for entry in allowed:
        if fnmatch(name, entry.where):
            text = re.sub(
                entry.pattern, lambda m: "\n" * m[0].count("\n"), text, flags=re.IGNORECASE
            )
    return [
        f"{name}:{number}: {match[0].strip()} in “{line.strip()[:90]}”"
        for number, line in enumerate(text.splitlines(), start=1)
        for match in NUMBER.finditer(line)
    ]


@dataclass(frozen=True)
class Count:
    """How the numbers of a text got there: ``computed`` by a role or a cell, or ``typed``.

    Only what looks like a measurement counts, on both sides: a fraction, a percentage, a multiple.
    The 4 of “chapter 4” and the 10 of a list's length are names.
    """

    computed: int = 0
    typed: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.computed + other.computed, self.typed + other.typed)

    @property
    def share(self) -> float:
        """Computed numbers among all."""
        return self.computed / max(self.computed + self.typed, 1)


def count(markdown: str, outputs: str = "") -> Count:
    """Count the numbers of a text's sentences, and those of the sentences that its cells print."""
    roles = len(re.findall(r"\{(?:result|minutes)\}`", markdown))
    return Count(roles + len(_measurements(outputs)), len(_measurements(markdown)))


def _measurements(markdown: str) -> list[str]:
    found = [match[0].strip() for match in NUMBER.finditer(prose(markdown))]
    return [number for number in found if re.search(r"\d[.,]\d|[%×kKM]$", number)]


def headings(markdown: str) -> list[tuple[int, str]]:
    """Return ``(level, title)`` of the headings, code fences left out."""
    found, inside = [], None
    for line in markdown.splitlines():
        fence = re.match(r"^\s*(`{3,}|~{3,}|:{3,})", line)
        if fence and (inside is None or fence[1] == inside):
            inside = fence[1] if inside is None else None
        elif inside is None and (match := re.match(r"^(#{1,6})\s+(.+?)\s*$", line)):
            found.append((len(match[1]), match[2]))
    return found


def heading_problems(found: list[tuple[int, str]]) -> list[str]:
    """Return what is wrong: no title first, two titles, a level skipped, a heading said twice."""
    if not found or found[0][0] != 1:
        return ["the page does not begin with a level-1 title"]
    problems = [f"a second title: {title}" for level, title in found[1:] if level == 1]
    for (above, _), (level, title) in pairwise(found):
        if level > above + 1:
            problems.append(f"level {above} is followed by level {level}: {title}")
    return problems

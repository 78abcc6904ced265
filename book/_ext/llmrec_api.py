"""The API page: every public name, its signature, its first sentence, and who uses it.

All of it is read from stubs, syntax trees and notebooks: nothing is imported, so that the page
costs the build nothing and cannot be out of date.
"""

from __future__ import annotations

import ast
import json
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
Definition = ast.FunctionDef | ast.ClassDef


class ApiTable(SphinxDirective):
    """``{api-table} llmrec.models``: the public names of a package or module."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        rows = []
        for name, node in public(module):
            summary = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            users = ", ".join(sorted(used_by()[name])) or "–"
            rows.append(f"* - `{name}{signature(node)}`\n  - {summary}\n  - {users}")
        for source in (ROOT / "llmrec").rglob("*.py*"):
            self.env.note_dependency(str(source))
        table = (
            f":::{{list-table}} `{module}`\n:header-rows: 1\n:widths: 40 45 15\n:class: api\n\n"
            "* - name\n  - what it is\n  - used by\n" + "\n".join(rows) + "\n:::"
        )
        return self.parse_text_to_nodes(table)


def public(module: str) -> Iterator[tuple[str, Definition]]:
    """Yield the exported names of a package (its stub) or the public ones of a module."""
    path = ROOT / module.replace(".", "/")
    stub = path / "__init__.pyi"
    if not stub.is_file():
        tree = _tree(path.with_suffix(".py"))
        for node in tree.body:
            if isinstance(node, Definition) and not node.name.startswith("_"):
                yield node.name, node
        return
    for line in _tree(stub).body:
        if isinstance(line, ast.ImportFrom):
            source = (path / (line.module or "__init__").replace(".", "/")).with_suffix(".py")
            if not source.is_file():
                source = source.with_suffix("") / "__init__.py"
            found = {n.name: n for n in _tree(source).body if isinstance(n, Definition)}
            for alias in line.names:
                if node := found.get(alias.name):
                    yield alias.asname or alias.name, node


def signature(node: Definition) -> str:
    """Return ``(arguments)`` without annotations; of a class those of its constructor or fields."""
    if isinstance(node, ast.ClassDef):
        for part in node.body:
            if isinstance(part, ast.FunctionDef) and part.name == "__init__":
                return signature(part)
        fields = [
            part.target.id + ("=…" if part.value else "")
            for part in node.body
            if isinstance(part, ast.AnnAssign)
            and isinstance(part.target, ast.Name)
            and not part.target.id.endswith("_")
            and "ClassVar" not in ast.unparse(part.annotation)
        ]
        return f"({', '.join(fields)})"
    arguments = node.args
    plain = [
        a.arg for a in (*arguments.posonlyargs, *arguments.args) if a.arg not in {"self", "cls"}
    ]
    optional = len(arguments.defaults)
    named = [f"{a}=…" if i >= len(plain) - optional else a for i, a in enumerate(plain)]
    named += (
        [f"*{arguments.vararg.arg}"] if arguments.vararg else ["*"] * bool(arguments.kwonlyargs)
    )
    named += [
        a.arg + ("=…" if default else "")
        for a, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    named += [f"**{arguments.kwarg.arg}"] if arguments.kwarg else []
    return f"({', '.join(named)})"


@lru_cache(maxsize=1)
def used_by() -> dict[str, set[str]]:
    """Return name → who imports it: chapters (``"4"``), the ledger, the study, the command line."""
    users: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        _note(users, path.name.split("_")[0].lstrip("0") or "0", code)
    for path in (ROOT / "notebooks" / "chapters").glob("*.py"):
        who = path.name.split("_")[0].removeprefix("ch").lstrip("0") or "0"
        _note(users, who, [path.read_text(encoding="utf-8")])
    for who in ("study", "cli"):
        files = [*ROOT.glob(f"llmrec/{who}.py"), *ROOT.glob(f"llmrec/{who}/*.py")]
        _note(users, who, [path.read_text(encoding="utf-8") for path in files])
    return users


def _note(users: dict[str, set[str]], who: str, sources: Iterator[str] | list[str]) -> None:
    for source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:  # a magic in a cell
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmrec"):
                for alias in node.names:
                    users[alias.name].add(who)


@lru_cache(maxsize=256)
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("api-table", ApiTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

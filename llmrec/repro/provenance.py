"""What a notebook's numbers depend on, as hashes: its code, the modules it loads, their data.

Introduced in chapter 4.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Provenance:
    """Hashes of one notebook's ``code``, and by name of the ``modules`` and ``data`` behind it."""

    code: str
    modules: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)

    def changes(self, now: Provenance) -> list[str]:
        """Return what differs now, in words; empty when the numbers still belong to the code."""
        out = ["the notebook's code"] if self.code != now.code else []
        for before, after in ((self.modules, now.modules), (self.data, now.data)):
            out += [
                name for name in sorted({*before, *after}) if before.get(name) != after.get(name)
            ]
        return out

    def to_json(self) -> dict[str, Any]:
        """Return the hashes as JSON's own types."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Provenance:
        """Return the provenance that `to_json` wrote down."""
        return cls(content["code"], dict(content["modules"]), dict(content["data"]))


@dataclass(frozen=True)
class Snapshot:
    """Hashes of every module and data source of the package at one moment.

    Taken before a run: an edit made while a notebook runs must not pass for what it ran.
    """

    modules: Mapping[str, str]
    strings: Mapping[str, frozenset[str]]  # module → string constants, by which it names its data
    data: Mapping[str, str]

    @classmethod
    def take(cls, package: Path) -> Snapshot:
        """Hash the package in folder ``package``."""
        modules, strings = {}, {}
        for path in sorted(package.rglob("*.py")):
            name = ".".join([package.name, *path.relative_to(package).with_suffix("").parts])
            name = name.removesuffix(".__init__")
            modules[name], strings[name] = _module(path, path.stat().st_mtime_ns)
        return cls(modules, strings, _data(package))

    def provenance(self, notebook: Path, modules: Iterable[str]) -> Provenance:
        """Return the provenance of a notebook that loaded these modules.

        A source or data file counts when a loaded module names it in a string: the same answer
        with warm and cold caches, at the price of an unused source now and then.
        """
        loaded = [name for name in sorted(modules) if name in self.modules]
        named = frozenset().union(*(self.strings[name] for name in loaded))
        return Provenance(
            notebook_hash(notebook),
            {name: self.modules[name] for name in loaded},
            {name: digest for name, digest in self.data.items() if name in named},
        )


def source_hash(source: str) -> str:
    """Return the sha256 of Python source, blind to comments, layout and docstrings."""
    return _digest(_dump(ast.parse(source)))


def notebook_hash(path: Path) -> str:
    """Return the sha256 of a notebook's code cells, blind to comments, outputs and prose."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    return _digest("\n".join(_cell(source) for source in code))


def _cell(source: str) -> str:
    """Dump one cell's syntax tree; magics become the calls that IPython makes of them."""
    try:
        return _dump(ast.parse(source))
    except SyntaxError:
        pass
    try:
        from IPython.core.inputtransformer2 import TransformerManager

        return _dump(ast.parse(TransformerManager().transform_cell(source)))
    except (ImportError, SyntaxError):
        return source  # a cell in another language, or broken: every letter counts


def _dump(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


@lru_cache(maxsize=512)
def _module(path: Path, mtime: int) -> tuple[str, frozenset[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    dump = _dump(tree)
    strings = (
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return _digest(dump), frozenset(strings)


def _data(package: Path) -> dict[str, str]:
    """Hash the data files of the package, and each pinned source of ``sources.yml`` by itself."""
    out = {}
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".yml", ".mplstyle"}):
        text = path.read_text(encoding="utf-8")
        if path.name == "sources.yml":
            for name, source in yaml.safe_load(text).items():
                out[name] = _digest(json.dumps(source["members"], sort_keys=True))
        else:
            content = yaml.safe_load(text) if path.suffix == ".yml" else text
            out[path.name] = _digest(json.dumps(content, sort_keys=True, default=str))
    return out


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""What a notebook's numbers depend on, as hashes: its code, the modules it loads, their data."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

# Data files that are hashed entry by entry, and how deep in them the entries lie: a new dataset,
# wording or model must not make the chapters stale that know nothing of it.
ENTRIES = {"sources.yml": 1, "templates.yml": 2, "search_spaces.yml": 1, "tuned.yml": 1}


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
    strings: Mapping[str, frozenset[str]]  # module → its strings and classes, which name its data
    data: Mapping[str, str]
    names: Mapping[str, frozenset[str]]  # data → what has to be named for them to count

    @classmethod
    def take(cls, package: Path) -> Snapshot:
        """Hash the package in folder ``package``."""
        modules, strings = {}, {}
        for path in sorted(package.rglob("*.py")):
            name = ".".join([package.name, *path.relative_to(package).with_suffix("").parts])
            name = name.removesuffix(".__init__")
            modules[name], strings[name] = _module(path, path.stat().st_mtime_ns)
        data = {label: (digest, names) for label, digest, names in _data(package)}
        digests = {label: digest for label, (digest, _) in data.items()}
        return cls(modules, strings, digests, {label: names for label, (_, names) in data.items()})

    def provenance(self, notebook: Path, modules: Iterable[str]) -> Provenance:
        """Return the provenance of a notebook that loaded these modules.

        A source or data file counts when a loaded module or the notebook names it, an entry of a
        data file when its name is named, too: the same answer with warm and cold caches, at the
        price of an unused entry now and then.
        """
        loaded = [name for name in sorted(modules) if name in self.modules]
        cells = (strings_of(cell) for cell in _cells(notebook) if isinstance(cell, ast.Module))
        named = frozenset().union(*cells, *(self.strings[name] for name in loaded))
        hashes = {name: self.modules[name] for name in loaded}
        return Provenance(notebook_hash(notebook), hashes, self.named(named))

    def named(self, strings: Set[str]) -> dict[str, str]:
        """Return the hashes of the data that these strings name."""
        return {
            label: self.data[label] for label, all_of in self.names.items() if all_of <= strings
        }


def source_hash(source: str) -> str:
    """Return the sha256 of Python source, blind to comments, layout and docstrings."""
    return _digest(_dump(ast.parse(source)))


def notebook_hash(path: Path) -> str:
    """Return the sha256 of a notebook's code cells, blind to comments, outputs and prose."""
    # A cell in another language, or broken: every letter counts.
    dumps = (_dump(cell) if isinstance(cell, ast.Module) else cell for cell in _cells(path))
    return _digest("\n".join(dumps))


def _cells(path: Path) -> Iterator[ast.Module | str]:
    """Yield a notebook's code cells as syntax trees, or as they stand where they are no Python."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            try:
                yield _tree(source)
            except (ImportError, SyntaxError):
                yield source


def _tree(source: str) -> ast.Module:
    """Parse a cell; magics become the calls that IPython makes of them."""
    try:
        return ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source))


def _dump(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def strings_of(tree: ast.Module) -> frozenset[str]:
    """Return the strings and the names of classes in a syntax tree without docstrings."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    return frozenset(found)


@lru_cache(maxsize=512)
def _module(path: Path, mtime: int) -> tuple[str, frozenset[str]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    dump = _dump(tree)
    return _digest(dump), strings_of(tree)


def _data(package: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Yield label, hash, and what must be named, of data files or of their entries."""
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".yml", ".mplstyle"}):
        text = path.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text) if path.suffix == ".yml" else text
        if path.name == "sources.yml":  # titles and addresses may change: the bytes are pinned
            content = {name: source["members"] for name, source in content.items()}
        for keys, value in _entries(content, ENTRIES.get(path.name, 0)):
            digest = _digest(json.dumps(value, sort_keys=True, default=str))
            yield ": ".join((path.name, *keys)), digest, frozenset({path.name, *keys[-1:]})


def _entries(content: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the entries ``depth`` mappings deep, with the keys that lead there."""
    if depth == 0:
        yield (), content
        return
    for key, value in content.items():
        for keys, entry in _entries(value, depth - 1):
            yield (key, *keys), entry


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

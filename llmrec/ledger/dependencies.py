"""Which modules and data a recipe's number depends on, read from the source without running it.

Introduced in chapter 12.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from llmrec.repro.provenance import Provenance, Snapshot, source_hash


def provenance(name: str, function: Callable[..., object], now: Snapshot) -> Provenance:
    """Return hashes of a recipe's own code, of every module it leads to, and of their data.

    Its own code includes the functions and plain values of its module that it names.

    A name imported from a package (``from llmrec.models import EASE``) leads to the module that
    defines it, not to all that the package holds. Sources and data files count when a string of
    such a module, or of the recipe, names them.

    Introduced in chapter 12.
    """
    source = _source(function)
    tree = ast.parse(source)
    file = ast.parse(Path(inspect.getfile(function)).read_text(encoding="utf-8"))
    above = ast.Module([node for node in file.body if isinstance(node, ast.ImportFrom)], [])
    root = Path(__file__).parents[1]
    modules: set[str] = set()
    for start in (*_imports(tree), *_imports(above)):
        _follow(root, *start, modules)
    strings = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    modules &= now.modules.keys()
    strings = strings.union(*(now.strings[module] for module in modules))
    hashes = {module: now.modules[module] for module in modules}
    hashes[f"recipe {name}"] = source_hash(source)
    data = {key: digest for key, digest in now.data.items() if key in strings}
    return Provenance("", hashes, data)


def _source(function: Callable[..., object]) -> str:
    source = textwrap.dedent(inspect.getsource(function))
    around = inspect.getmodule(function).__dict__
    for name in sorted({n.id for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name)}):
        value = around.get(name)
        if isinstance(value, tuple | str | int | float):
            source += f"\n{name} = {value!r}"
        elif inspect.isfunction(value) and value.__module__ == function.__module__:
            source += "\n" + _source(value) if name != "recipe" else ""
    return source


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield ``(module, name)`` for each name imported from this package; "" for a whole module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmrec"):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.startswith("llmrec"))


def _follow(root: Path, module: str, name: str, found: set[str]) -> None:
    """Add the module that a name leads to, and all that it imports."""
    target, path = module, _path(root, module)
    if name and (below := _path(root, f"{module}.{name}")).is_file():
        target, path = f"{module}.{name}", below
    elif path.name == "__init__.py" and name:
        for origin, inner in _imports_of(path, path.stat().st_mtime_ns):
            if inner == name:
                return _follow(root, origin, name, found)
    if target in found or target == root.name:
        return None
    found.add(target)
    for origin, inner in _imports_of(path, path.stat().st_mtime_ns):
        _follow(root, origin, inner, found)
    return None


@lru_cache(maxsize=512)
def _imports_of(path: Path, mtime: int) -> tuple[tuple[str, str], ...]:
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8"))))


def _path(root: Path, module: str) -> Path:
    """Return a module's file; of a package the ``__init__.py``."""
    base = root.parent.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")

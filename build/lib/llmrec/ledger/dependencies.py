"""Which modules and data a recipe's number depends on, read from the source without running it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

from llmrec.data import available
from llmrec.repro.provenance import Provenance, Snapshot, source_hash, strings_of


def provenance(name: str, function: Callable[..., object], now: Snapshot) -> Provenance:
    """Return hashes of a recipe's own code, of every module it leads to, and of their data.

    Its own code includes the functions and plain values of its module that it names.

    A name imported from a package (``from llmrec.models import EASE``) leads to the module that
    defines it, not to all that the package holds; a dataset's name leads to its loader. Sources and
    data files count when a string of such a module, or of the recipe, names them.
    """
    source = _source(function)
    tree = ast.parse(source)
    file = ast.parse(Path(inspect.getfile(function)).read_text(encoding="utf-8"))
    above = ast.Module([node for node in file.body if isinstance(node, ast.ImportFrom)], [])
    root = Path(__file__).parents[1]
    modules: set[str] = set()
    for start in (*_imports(tree), *_imports(above)):
        _follow(root, *start, modules)
    own = strings_of(tree)
    named = own.union(*(now.strings[module] for module in modules & now.modules.keys()))
    for dataset in named.intersection(available()):
        _follow(root, f"llmrec.data.loaders.{dataset.replace('-', '_')}", "", modules)
    modules &= now.modules.keys()
    strings = own.union(*(now.strings[module] for module in modules))
    hashes = {module: now.modules[module] for module in modules}
    hashes[f"recipe {name}"] = source_hash(source)
    return Provenance("", hashes, now.named(strings))


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


def _imports(tree: ast.AST, package: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(module, name)`` for each name imported from llmrec; "" for a whole module.

    ``package`` is where a relative import begins.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = f"{package}.{node.module}" if node.level else node.module or ""
            if module.startswith("llmrec"):
                yield from ((module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.name, "") for a in node.names if a.name.startswith("llmrec"))


def _follow(root: Path, module: str, name: str, found: set[str]) -> None:
    """Add the module that a name leads to, and all that it imports."""
    target, path = module, _path(root, module)
    if name and (below := _path(root, f"{module}.{name}")).is_file():
        target, path = f"{module}.{name}", below
    elif path.stem == "__init__" and name:
        for origin, inner in _imports_of(path, path.stat().st_mtime_ns, module):
            if inner == name:
                return _follow(root, origin, name, found)
    if target in found or target == root.name:
        return None
    found.add(target)
    for origin, inner in _imports_of(path, path.stat().st_mtime_ns, module):
        _follow(root, origin, inner, found)
    return None


@lru_cache(maxsize=512)
def _imports_of(path: Path, mtime: int, package: str) -> tuple[tuple[str, str], ...]:
    return tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), package))


def _path(root: Path, module: str) -> Path:
    """Return a module's file; of a package the list of what it exports."""
    base = root.parent.joinpath(*module.split("."))
    if not base.is_dir():
        return base.with_suffix(".py")
    stub = base / "__init__.pyi"
    return stub if stub.is_file() else stub.with_suffix(".py")

"""Which code does a number depend on? The definitions that a name, an object or a notebook reaches.

A *definition* is a function, a class or an assignment of a module. From where one begins, each name
is resolved through imports and ``.pyi`` stubs, again and again; a dataset's name in a string leads
to its loader. Definitions are keyed without their module, so that moving one changes nothing. What
only writes numbers down (`BOOKKEEPING`) is not followed: it computes none.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import re
import sys
import types
import uuid
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import yaml

LOADERS = "llmrec.data.loaders"
BOOKKEEPING = re.compile(r"llmrec\.(fingerprint|ledger|repro)\b(?!\.kit)")
# Data files that are hashed entry by entry, and how deep in them the entries lie: a new dataset,
# wording or model must not touch what knows nothing of it.
ENTRIES = {"sources.yml": 1, "templates.yml": 2, "search_spaces.yml": 1, "tuned.yml": 1}
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Key = tuple[str, str]  # module and name: ("llmrec.models.ease", "EASE"); "" for loose statements


class Reached(NamedTuple):
    """Hashes of the definitions by name, and of the package's data files or entries by label."""

    definitions: dict[str, str]
    data: dict[str, str]


class _Definition(NamedTuple):
    digest: str
    targets: set[Key]
    words: set[str]  # strings and names of classes, which name data


class _Module:
    """Imports (name → ``"module:name"``) and the statements that bind a module's other names."""

    def __init__(self, tree: ast.Module, stub: ast.Module, package: str) -> None:
        self.package, self.imports = package, dict[str, str]()
        self.bodies: defaultdict[str, list[ast.stmt]] = defaultdict(list)
        for node in without_docstrings(tree).body:
            if isinstance(node, DOCUMENTED):
                self.bodies[node.name].append(node)
                continue
            self.imports |= _imports(node, package)
            names = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _stores(n)]
            typing = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            loose = not (typing or isinstance(node, (ast.Import, ast.ImportFrom)))
            for name in names or [""] * loose:
                self.bodies[name].append(node)
        self.imports |= _imports(stub, package)  # a stub decides what a package's names are


class Snapshot:
    """The sources of some packages at one moment.

    Taken before a run: an edit made while it runs must not pass for what ran.
    """

    def __init__(self, *roots: Path) -> None:
        """Read the packages in these folders, ``llmrec`` first."""
        self.roots = [root.name for root in roots]
        self.times: dict[str, float] = {}
        self._texts: dict[str, tuple[str, str]] = {}  # module, or module.pyi → source, package
        for path in (path for root in roots for path in sorted(root.rglob("*.py*"))):
            root = next(root for root in roots if path.is_relative_to(root))
            *package, stem = path.relative_to(root.parent).with_suffix("").parts
            name = ".".join(package if stem == "__init__" else [*package, stem])
            if path.suffix in (".py", ".pyi"):
                name += ".pyi" * (path.suffix == ".pyi")
                self._texts[name] = path.read_text(encoding="utf-8"), ".".join(package)
                self.times[name] = path.stat().st_mtime
        self._data = list(_data(roots[0]))
        self._modules: dict[str, _Module] = {}
        self._known: dict[Key, _Definition] = {}

    def of(self, *names: str) -> Reached:
        """Return what dotted names such as ``"llmrec.models.EASE"`` reach, themselves included."""
        return self.hashes(self.reach(key for name in names for key in self.find(name)))

    def of_tree(self, tree: ast.Module) -> Reached:
        """Return what a script or notebook reaches, without its own definitions."""
        self._modules[""] = own = _Module(tree, ast.Module([], []), "")
        self._known = {key: one for key, one in self._known.items() if key[0]}
        return self.hashes(self.reach(("", name) for name in own.bodies))

    def find(self, dotted: str) -> set[Key]:
        """Return the definitions that a dotted name leads to; KeyError when there is none."""
        head, *rest = dotted.split(".")
        if not (found := self._resolve(head, rest)):
            raise KeyError(f"{dotted} leads to no definition in {', '.join(self.roots)}")
        return found

    def reach(self, starts: Iterable[Key]) -> dict[Key, _Definition]:
        """Return everything that the starts lead to."""
        todo, found = list(starts), dict[Key, _Definition]()
        while todo:
            if (key := todo.pop()) not in found:
                if key not in self._known:
                    self._known[key] = self._definition(*key)
                found[key] = self._known[key]
                todo += found[key].targets
        return found

    def hashes(self, found: dict[Key, _Definition]) -> Reached:
        """Return the hashes by name; where definitions share a name, all of them."""
        by_name: defaultdict[str, set[str]] = defaultdict(set)
        for (module, name), one in found.items():
            if module:
                by_name[name or "(statements)"].add(one.digest)
        words = {word for one in found.values() for word in one.words}
        data = {label: digest for label, digest, names in self._data if names <= words}
        return Reached({name: "+".join(sorted(by_name[name])) for name in sorted(by_name)}, data)

    def _module(self, name: str) -> _Module | None:
        if name in self._texts and name not in self._modules:
            text, package = self._texts[name]
            stub, _ = self._texts.get(f"{name}.pyi", ("", ""))
            self._modules[name] = _Module(ast.parse(text), ast.parse(stub), package)
        return self._modules.get(name)

    def _resolve(self, name: str, path: Iterable[str]) -> set[Key]:
        """Follow ``name.path``; a module's attributes come before its submodules, as in Python."""
        if (module := self._module(name)) is None:
            return set()
        if not (path := list(path)):  # the module itself is a value: anything in it may be used
            return {(name, body) for body in module.bodies}
        origin = module.imports.get(path[0], "")
        if origin and origin != f"{name}:{path[0]}":  # that is a submodule: "from . import study"
            return self._follow(origin, path[1:])
        return (
            {(name, path[0])}
            if path[0] in module.bodies
            else self._resolve(f"{name}.{path[0]}", path[1:])
        )

    def _follow(self, target: str, path: Iterable[str]) -> set[Key]:
        origin, _, inner = target.partition(":")
        return self._resolve(origin, [*inner.split(), *path])

    def _definition(self, module: str, name: str) -> _Definition:
        home = self._module(module)
        assert home is not None
        nodes, targets, bound = home.bodies[name], set[Key](), set[str]()
        chains, words, local = set[str](), set[str](), dict[str, str]()
        for node in nodes:
            local |= _imports(node, home.package)
            _uses(node, chains, words)
        for chain in chains:
            head, *path = chain.split(".")
            known = local.get(head)
            leads = self._follow(known, path) if known else self._resolve(module, [head, *path])
            names = sorted({key for _, key in leads})
            if names and names != [chain]:  # under another name: that belongs to the code, too
                bound.add(f"{chain}={names}")
            elif not names and (foreign := known or home.imports.get(head)):
                bound.add(f"{head}={foreign}")
            targets |= {key for key in leads if not BOOKKEEPING.match(key[0])}
        for word in words:
            targets |= self._resolve(f"{LOADERS}.{word.replace('-', '_')}", ["load"])
        targets |= {(module, "")} if "" in home.bodies else set()
        digest = digest_of([[ast.dump(node) for node in nodes], sorted(bound)])
        return _Definition(digest[:16], targets, words)


def code_of(*things: object) -> str:
    """Return one hash of the code behind functions, classes, instances or dotted names.

    What lies outside ``llmrec`` and ``chapters``, such as a notebook's function, is hashed by its
    compiled code and by what its names hold. Arrays and tables that it captures are the caller's
    to hash.

    Raises
    ------
    KeyError
        When a name leads to no definition.
    """
    now, starts, facts = _now(), set[Key](), list[str]()
    for thing in things:
        if isinstance(thing, str):
            starts |= now.find(thing)
        else:
            _collect(thing, starts, facts, {})
    found, born = now.reach(starts), psutil.Process().create_time() + 2  # known to a second or so
    edited = {module for module, _ in found if now.times[module] > born} & sys.modules.keys()
    if edited:  # what runs may be the old code: none of its keys may be the new one's
        names = ", ".join(sorted(edited))
        warnings.warn(f"{names} changed since this process began: restart it", stacklevel=2)
        facts.append(_SALT)
    return digest_of([facts, *now.hashes(found)])


_SALT = uuid.uuid4().hex


@functools.cache
def _now() -> Snapshot:
    """The sources as this process finds them when it first asks."""
    package = Path(__file__).parent
    chapters = package.parent / "notebooks" / "chapters"
    return Snapshot(package, *([chapters] if chapters.is_dir() else []))


def _collect(thing: Any, starts: set[Key], facts: list[str], seen: dict[int, Any]) -> None:
    """Add the definitions behind an object, and facts of its code where it lies outside."""
    thing = getattr(thing, "fget", thing)  # of a property
    parts: Iterable[Any] = ()
    if isinstance(thing, str | bytes | int | float | None):
        facts.append(repr(thing))
    elif isinstance(thing, list | tuple | dict):
        parts = thing.items() if isinstance(thing, dict) else thing
    elif isinstance(thing, functools.partial):
        parts = thing.func, thing.args, thing.keywords
    elif isinstance(thing, types.MethodType | classmethod | staticmethod):
        parts = getattr(thing, "__self__", None), thing.__func__
    elif not isinstance(thing, type | types.FunctionType):
        parts = (type(thing),)
    elif thing.__module__.partition(".")[0] in _now().roots:
        starts |= _now().find(f"{thing.__module__}.{thing.__qualname__}")
    else:
        facts.append(f"{thing.__module__}.{thing.__qualname__}")
        origin = seen.setdefault(0, thing.__module__)  # other libraries count by name
        parts = _parts(thing) if thing.__module__ == origin and id(thing) not in seen else ()
        seen[id(thing)] = thing
    for part in parts:
        _collect(part, starts, facts, seen)


def _parts(thing: Any) -> Iterator[Any]:
    """Yield what a class or a function consists of: bases and members, or code and what it uses."""
    if isinstance(thing, type):
        yield thing.__bases__
        yield {key: each for key, each in vars(thing).items() if key != "__doc__"}
        return
    yield thing.__defaults__, thing.__kwdefaults__
    cells = [cell.cell_contents for cell in thing.__closure__ or ()]
    holds = thing.__globals__ | dict(zip(thing.__code__.co_freevars, cells, strict=True))
    codes = [thing.__code__]
    for code in codes:  # grows by the functions within
        codes += [each for each in code.co_consts if isinstance(each, types.CodeType)]
        yield code.co_code, code.co_names
        yield [
            c for c in code.co_consts if not isinstance(c, types.CodeType) and c != thing.__doc__
        ]
        for held in (holds.get(name) for name in (*code.co_names, *code.co_freevars)):
            if not isinstance(held, types.ModuleType):
                yield held
            elif held.__name__.partition(".")[0] in _now().roots:  # text.item_text
                yield [getattr(held, name) for name in code.co_names if hasattr(held, name)]


def digest_of(content: Any) -> str:
    """Return the sha256 of a JSON-able value."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Take the docstrings out of a tree, in place, and return it."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return tree


def _stores(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _imports(tree: ast.AST, package: str) -> dict[str, str]:
    """Return what the import statements in a tree bind: name → ``"module:name"``."""
    out = dict[str, str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level else ""
            origin = ".".join(filter(None, [above, node.module]))
            out |= {each.asname or each.name: f"{origin}:{each.name}" for each in node.names}
        elif isinstance(node, ast.Import):
            for each in node.names:
                root = each.name.partition(".")[0]
                out[each.asname or root] = f"{each.name if each.asname else root}:"
    return out


def _uses(node: ast.AST, chains: set[str], words: set[str]) -> None:
    """Collect the dotted names that a node reads from around it, and its words."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        chains.add(".".join([node.id, *path]))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        words.add(node.value)
    elif isinstance(node, ast.ClassDef):
        words.add(node.name)
    inside = set[str]() if isinstance(node, (ast.FunctionDef, ast.Lambda)) else chains
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                _uses(child, inside if field == "body" else chains, words)
    if isinstance(node, (ast.FunctionDef, ast.Lambda)):  # a parameter or variable hides a name
        own = {n.arg for n in ast.walk(node.args) if isinstance(n, ast.arg)}
        own |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and _stores(n)}
        chains |= {chain for chain in inside if chain.partition(".")[0] not in own}


def _data(package: Path) -> Iterator[tuple[str, str, set[str]]]:
    """Yield label, hash and what must be named of the data files, or of their entries."""
    for path in sorted(p for p in package.rglob("*") if p.suffix in {".yml", ".mplstyle"}):
        text = path.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text) if path.suffix == ".yml" else text
        if path.name == "sources.yml":  # titles and addresses may change: the bytes are pinned
            content = {name: source["members"] for name, source in content.items()}
        for keys, value in _entries(content, ENTRIES.get(path.name, 0)):
            yield ": ".join((path.name, *keys)), digest_of(value), {path.name, *keys[-1:]}


def _entries(content: Any, depth: int) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the entries ``depth`` mappings deep, with the keys that lead there."""
    if depth == 0:
        yield (), content
        return
    for key, value in content.items():
        for keys, entry in _entries(value, depth - 1):
            yield (key, *keys), entry

"""The repository as a whole: versions, layers, docstrings, the README's map, unwanted things."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "llmrec"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXT = {".py", ".md", ".yml", ".yaml", ".toml", ".lock", ".cff", ".bib", ".css", ".json", ".ipynb"}
TEXT |= {".svg", ".mplstyle", ".txt", ""}


# --- versions -----------------------------------------------------------------------------------


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def locked() -> dict[str, str]:
    """Return name → version of requirements.lock."""
    pins = re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text())
    return {canonicalize_name(name): version for name, version in pins}


def direct() -> list[Requirement]:
    """Return the direct dependencies of pyproject.toml, those of the extras included."""
    about = project()
    extras = about["optional-dependencies"].values()
    return [Requirement(text) for group in (about["dependencies"], *extras) for text in group]


def test_the_lock_pins_and_hashes_everything_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pin = (
        r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+(?: ; [^\n]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    )
    assert re.fullmatch(rf"# Made by: make lock\n(?:{pin})+", text)


def test_the_lock_satisfies_pyproject():
    versions = locked()
    for requirement in direct():
        if requirement.name == "torch":  # in the build that a machine prefers, see the Makefile
            assert str(requirement.specifier) == "==2.13.0"
        else:
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_conda_users_are_led_to_the_lock():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    assert "python=3.11" in yaml.safe_load(text)["dependencies"]
    assert "pip install --no-deps --require-hashes -r requirements.lock" in text


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == project()["version"]
    assert citation["license"] == project()["license"] == "MIT"
    assert citation["authors"] == [{"name": author["name"]} for author in project()["authors"]]


def test_the_licences_are_there():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    prose = (ROOT / "LICENSE-prose").read_text(encoding="utf-8")
    assert "Creative Commons Attribution 4.0 International" in prose
    assert "https://creativecommons.org/licenses/by/4.0/" in prose


# --- the package --------------------------------------------------------------------------------


def public(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield the public functions, classes and methods (no properties, no overloads) of a module."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        decorators = {ast.unparse(d).split("(")[0] for d in node.decorator_list}
        attribute = decorators & {"property", "cached_property", "overload"}
        if node.name.startswith("_") or attribute or node.name == "forward":
            continue  # forward: torch's own contract
        yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from public(node, f"{prefix}{node.name}.")


def undocumented(source: str, inherited: set[str]) -> list[str]:
    """Return public names without a docstring; an override may inherit its method's."""
    return [
        name
        for name, node in public(ast.parse(source))
        if not ast.get_docstring(node)  # type: ignore[arg-type]
        and not ("." in name and name.split(".")[-1] in inherited)
    ]


def documented_methods() -> set[str]:
    """Return the names of all methods that have a docstring somewhere in the package."""
    return {
        name.split(".")[-1]
        for path in MODULES
        for name, node in public(ast.parse(path.read_text(encoding="utf-8")))
        if "." in name and ast.get_docstring(node)  # type: ignore[arg-type]
    }


def test_every_public_name_has_a_docstring():
    inherited = documented_methods()
    missing = {p.name: undocumented(p.read_text(encoding="utf-8"), inherited) for p in MODULES}
    assert {name: names for name, names in missing.items() if names} == {}


def test_a_missing_docstring_is_found():
    source = (
        "def f(): ...\nclass A:\n    'x'\n    def g(self): ...\n    def h(self): ...\ndef _p(): ..."
    )
    assert undocumented(source, {"h"}) == ["f", "A.g"]


def test_public_names_are_exported_and_exist():
    for init in PACKAGE.rglob("__init__.py"):
        tree = ast.parse(init.read_text(encoding="utf-8"))
        bound = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        } | {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        listed = next(
            (
                ast.literal_eval(node.value)
                for node in tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
            ),
            [],
        )
        assert len(set(listed)) == len(listed), init
        if init.parent != PACKAGE:  # the top level is lazy
            assert set(listed) <= bound, init


# --- files --------------------------------------------------------------------------------------


def tracked() -> list[Path]:
    """Return the text files that are, or will be, under version control."""
    command = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    paths = {ROOT / name for name in done.stdout.split("\0") if name}
    return sorted(p for p in paths if p.is_file() and p.suffix in TEXT and "_vendor" not in p.parts)


# Written in pieces, so that this file does not contain what it looks for.
MACHINE = re.compile(
    "|".join(
        (
            r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|ho" + r"me/\w+|Us" + r"ers/\w+)/",
            r"(?<![\w.])/t" + r"mp/\w",
            "py" + r"pi\.org",
            "python" + r"hosted\.org",
            r"(?:extra-)?index-" + r"url",
            "find-" + "links",
        )
    )
)


def machine_bound(text: str) -> list[str]:
    """Return paths of one machine and addresses of package registries in a text."""
    return [match[0] for match in MACHINE.finditer(text)]


def test_no_file_names_a_machine_or_a_registry():
    bad = {
        path.relative_to(ROOT).as_posix(): found
        for path in tracked()
        if (found := machine_bound(path.read_text(encoding="utf-8")))
    }
    assert bad == {}


def test_a_machine_path_and_a_registry_are_found():
    for text in ("/wo" + "rk/main/x", "/ho" + "me/ann/x", "https://py" + "pi.org/simple"):
        assert machine_bound(text)
    assert machine_bound("../shared/data and network/x and framework/y") == []


def test_no_committed_file_is_huge():
    large = {p.name for p in tracked() if p.stat().st_size > 3_000_000}
    assert large == set()


def readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def mapped(text: str) -> list[str]:
    """Return the first word of each line of the README's map."""
    block = re.search(r"## Map of the repository\n+```text\n(.*?)```", text, re.DOTALL)
    assert block
    return [line.split()[0] for line in block[1].splitlines() if line and not line.startswith(" ")]


def test_the_map_of_the_readme_is_true():
    names = mapped(readme())
    assert len(names) >= 8
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_links_of_the_readme_lead_to_files():
    targets = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", readme())
    local = [a or b for a, b in targets if "://" not in (a or b)]
    assert local
    assert [target for target in local if not (ROOT / target).is_file()] == []


def test_the_readme_names_the_two_commands_and_the_markers():
    text = readme()
    assert "make reproduce" in text
    assert "make test" in text
    assert text.count("<!-- headline:begin -->") == text.count("<!-- headline:end -->") == 1
    assert text.index("headline:begin") < text.index("headline:end")


def test_the_python_of_the_readme_and_the_book_uses_what_exists():
    """Names that the pages import are exported: a renamed function breaks a page's example."""
    import importlib

    pages = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
    for page in pages:
        for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("llmrec"):
                    module = importlib.import_module(node.module)
                    missing = [a.name for a in node.names if not hasattr(module, a.name)]
                    assert missing == [], f"{page.name}: {node.module} has no {missing}"


def test_notebooks_are_valid_json_with_a_final_newline():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)["nbformat"] == 4
        assert text.endswith("\n"), path.name

"""What a notebook's numbers depend on: its code, the definitions that it reaches, their data."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from llmrec.fingerprint import Snapshot, digest_of, without_docstrings


class Provenance(NamedTuple):
    """Hashes of ``code``, and by name of the ``definitions`` and ``data`` behind it."""

    code: str
    definitions: Mapping[str, str]
    data: Mapping[str, str]

    @classmethod
    def of(cls, notebook: Path, now: Snapshot) -> Provenance:
        """Return the provenance of a notebook: blind to its comments, outputs and prose."""
        cells = _cells(notebook)
        dumps = [ast.dump(cell) if isinstance(cell, ast.Module) else cell for cell in cells]
        body = [node for cell in cells if isinstance(cell, ast.Module) for node in cell.body]
        return cls(digest_of(dumps), *now.of_tree(ast.Module(body, [])))

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Provenance:
        """Return what `_asdict` wrote down; what is absent there counts as changed."""
        return cls(content.get("code", ""), *(content.get(k, {}) for k in ("definitions", "data")))

    def changes(self, now: Provenance) -> list[str]:
        """Return what differs now, in words; empty when the numbers still belong to the code."""
        out = ["the notebook's code"] if self.code != now.code else []
        for before, after in ((self.definitions, now.definitions), (self.data, now.data)):
            names = sorted({*before, *after})
            out += [name for name in names if before.get(name) != after.get(name)]
        return out


def _cells(path: Path) -> list[ast.Module | str]:
    """Return a notebook's code cells as syntax trees, or as they stand where they are no Python."""
    out: list[ast.Module | str] = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            try:
                out.append(without_docstrings(_tree(source)))
            except (ImportError, SyntaxError):
                out.append(source)  # another language, or broken: every letter counts
    return out


def _tree(source: str) -> ast.Module:
    """Parse a cell; magics become the calls that IPython makes of them."""
    try:
        return ast.parse(source)
    except SyntaxError:
        from IPython.core.inputtransformer2 import TransformerManager

        return ast.parse(TransformerManager().transform_cell(source))

"""Gates on the chapters' notebooks: shape, parameters, outputs, figures, metadata."""

from __future__ import annotations

import ast
from typing import Any

from gates_prose import headings

SECTIONS = (
    "What you will learn",
    "Prerequisites",
    "The article's claim",
    "Build",
    "Measure",
    "Verdict",
    "Summary",
    "Exercises",
    "Further reading",
)
CELL_METADATA = {"tags", "mystnb"}
NOTEBOOK_METADATA = {"kernelspec", "language_info"}
IMAGES = ("image/png", "image/svg+xml", "image/jpeg")


def markdown_of(notebook: dict[str, Any]) -> str:
    """Return the text cells and the captions and alt texts of the figures, as one MyST text."""
    parts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append("".join(cell["source"]))
        figure, image = figure_of(cell)
        parts += [text for text in (figure.get("caption"), image.get("alt")) if text]
    return "\n\n".join(parts)


def figure_of(cell: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the ``figure`` and ``image`` settings of a cell's ``mystnb`` metadata."""
    mystnb = cell["metadata"].get("mystnb", {})
    return mystnb.get("figure", {}), mystnb.get("image", {})


def shape_problems(notebook: dict[str, Any]) -> list[str]:
    """Return the sections of a chapter that are missing or out of order, matched by prefix."""
    titles = [
        title.replace("’", "'").casefold()
        for level, title in headings(markdown_of(notebook))
        if level == 2
    ]
    places: list[int] = []
    problems = []
    for section in SECTIONS:
        at = next((i for i, t in enumerate(titles) if t.startswith(section.casefold())), None)
        if at is None:
            problems.append(f"no section “{section}”")
        elif places and at < places[-1]:
            problems.append(f"section “{section}” stands too early")
        else:
            places.append(at)
    return problems


def parameter_problems(notebook: dict[str, Any]) -> list[str]:
    """Return what is wrong with the one cell tagged ``parameters``: literals only, book profile."""
    tagged = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if len(tagged) != 1 or tagged[0]["cell_type"] != "code":
        return [f"{len(tagged)} code cells are tagged “parameters”: there must be one"]
    values: dict[str, Any] = {}
    problems = []
    for node in ast.parse("".join(tagged[0]["source"])).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        try:
            values[target.id] = ast.literal_eval(node.value)  # type: ignore[union-attr, attr-defined]
        except (AttributeError, ValueError):
            problems.append(f"parameters hold more than plain values: {ast.unparse(node)}")
    if values.get("profile") != "book":
        problems.append("the parameters cell does not set profile = “book”")
    if not isinstance(values.get("seed"), int):
        problems.append("the parameters cell does not set a whole seed")
    return problems


def output_problems(notebook: dict[str, Any]) -> list[str]:
    """Return cells that failed, warned, or were not run from top to bottom in one go."""
    problems = []
    code = [c for c in notebook["cells"] if c["cell_type"] == "code" and "".join(c["source"])]
    for place, cell in enumerate(code, start=1):
        if cell["execution_count"] != place:
            problems.append(f"code cell {place} has execution count {cell['execution_count']}")
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                problems.append(f"code cell {place} failed: {output['ename']}")
            if output.get("name") == "stderr":
                problems.append(f"code cell {place}: stderr: {''.join(output['text'])[:80]}")
    return problems


def figure_problems(notebook: dict[str, Any]) -> list[str]:
    """Return figures without a name, a caption that says something, or an alt text."""
    problems = []
    for place, cell in enumerate(notebook["cells"]):
        pictures = sum(
            any(kind in output.get("data", {}) for kind in IMAGES)
            for output in cell.get("outputs", [])
        )
        if not pictures:
            continue
        figure, image = figure_of(cell)
        if pictures > 1:
            problems.append(f"cell {place} shows {pictures} figures: one a cell")
        if not figure.get("name", "").startswith("fig-"):
            problems.append(f"cell {place}: the figure's name does not begin with fig-")
        if len(figure.get("caption", "").split()) < 5:
            problems.append(f"cell {place}: the caption is missing or says too little")
        if len(image.get("alt", "").split()) < 5:
            problems.append(f"cell {place}: the alt text is missing or says too little")
        elif image["alt"] == figure.get("caption"):
            problems.append(f"cell {place}: the alt text repeats the caption; say what is drawn")
    return problems


def figure_names(notebook: dict[str, Any]) -> list[str]:
    """Return the names of all figures, which must differ across the whole book."""
    return [name for c in notebook["cells"] if (name := figure_of(c)[0].get("name"))]


def metadata_problems(notebook: dict[str, Any]) -> list[str]:
    """Return metadata that a run or an editor left behind (paths, times, widget state)."""
    extra = set(notebook["metadata"]) - NOTEBOOK_METADATA
    problems = [f"notebook metadata: {key}" for key in sorted(extra)]
    kernel = notebook["metadata"].get("kernelspec", {}).get("name")
    if kernel != "python3":
        problems.append(f"the kernel is {kernel!r}, not python3")
    for place, cell in enumerate(notebook["cells"]):
        for key in sorted(set(cell["metadata"]) - CELL_METADATA):
            problems.append(f"cell {place} metadata: {key}")
    return problems

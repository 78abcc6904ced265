"""Print the whole book as one PDF: ``python book/pdf.py`` writes ``_build/book.pdf``.

Sphinx joins all pages into one, and a headless Chromium (Debian's `chromium`) prints it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Paper neither scrolls nor unfolds: long lines wrap, and what is wide shrinks.
STYLE = """<style>
@page { size: A4; margin: 15mm; }
html { font-size: 75%; }
pre { white-space: pre-wrap !important; overflow-wrap: anywhere; }
figure, table.dataframe { break-inside: avoid; }
table { font-size: 0.8em; }
.pst-scrollable-table-container, div.output, div.cell_output { overflow: visible !important; }
</style></head>"""


def print_book() -> Path:
    """Return where the PDF is.

    Raises
    ------
    RuntimeError
        When there is no Chromium, or a step fails.
    """
    browser = next((path for name in NAMES if (path := shutil.which(name))), None)
    if browser is None:
        raise RuntimeError("no Chromium here: install it, such as Debian's `chromium`")
    jupyter_book = Path(sys.executable).with_name("jupyter-book")
    build = [str(jupyter_book), "build", str(ROOT), "--builder", "singlehtml", "--all"]
    _run([*build, "-W", "-n", "--keep-going"])
    folder = ROOT / "_build" / "singlehtml"
    # The page is made for the folder of its root document, but names its files from above it.
    text = (folder / "book" / "index.html").read_text(encoding="utf-8")
    text = text.replace("</head>", STYLE, 1).replace(' loading="lazy"', "")
    text = text.replace('["ui/lazy"]', "[]")  # paper is not scrolled: all formulas at once
    page = folder / "whole.html"
    page.write_text(text.replace('"../_images/', '"_images/'), encoding="utf-8")
    target = ROOT / "_build" / "book.pdf"
    target.unlink(missing_ok=True)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    flags += ["--virtual-time-budget=120000", f"--print-to-pdf={target}"]
    _run([browser, *flags, page.as_uri()])
    if not target.is_file():
        raise RuntimeError("the browser wrote no PDF")
    return target


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"{Path(command[0]).name} failed:\n{(done.stdout + done.stderr)[-2000:]}"
        )


if __name__ == "__main__":
    try:
        print(f"The book is in {print_book().relative_to(ROOT)}")
    except RuntimeError as error:
        sys.exit(str(error))

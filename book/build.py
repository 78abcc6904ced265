"""Build the book once a content: ``python book/build.py`` runs the strict build unless it is done.

A second, incremental build would be quick but blind: Sphinx does not repeat the warnings of pages
that it does not read again, so a broken book would look clean. Here a build counts only when all
of it was clean, and its stamp is a hash of everything that the pages are made of.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

ROOT = Path(__file__).resolve().parent.parent
INPUTS = (
    "_config.yml",
    "_toc.yml",
    "requirements.lock",
    "CITATION.cff",
    "book/**/*",
    "notebooks/*.ipynb",
    "results/*",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "llmrec/**/*.py*",
    "notebooks/chapters/*.py",
)


def content_hash(root: Path = ROOT) -> str:
    """Return a sha256 over the names and bytes of everything that the book is made of."""
    digest = hashlib.sha256()
    found = {path for pattern in INPUTS for path in root.glob(pattern) if path.is_file()}
    for path in sorted(path for path in found if "__pycache__" not in path.parts):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}:{len(content)}:".encode())
        digest.update(content)
    return digest.hexdigest()


def build(root: Path = ROOT) -> Path:
    """Return the folder of the built pages, after a strict build if the content is new.

    Raises
    ------
    RuntimeError
        With the warnings of Sphinx, when the build is not clean.
    """
    html = root / "_build" / "html"
    stamp = root / "_build" / "content.sha256"
    stamp.parent.mkdir(exist_ok=True)
    with FileLock(root / "_build" / ".lock"):
        wanted = content_hash(root)
        if html.is_dir() and stamp.is_file() and stamp.read_text() == wanted:
            return html
        stamp.unlink(missing_ok=True)
        shutil.rmtree(html, ignore_errors=True)  # a page that is gone must not stay behind
        jupyter_book = Path(sys.executable).with_name("jupyter-book")
        command = [str(jupyter_book), "build", str(root), "-W", "-n", "--keep-going", "--all"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode:
            log = done.stdout + done.stderr
            lines = [line for line in log.splitlines() if "WARNING" in line or "ERROR" in line]
            raise RuntimeError("the book does not build cleanly:\n" + "\n".join(lines or [log]))
        stamp.write_text(wanted)
    return html


if __name__ == "__main__":
    try:
        print(f"The book is in {build().relative_to(ROOT)}/index.html")
    except RuntimeError as error:
        sys.exit(str(error))

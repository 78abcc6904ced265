"""Where the book's files are, seen from the root of a clone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmrec.fingerprint import Snapshot

NUMBER = r"\d\d[a-z]?"  # of a chapter; 08b is an appendix to chapter 8


@dataclass(frozen=True)
class Layout:
    """The places that the reproduction reads and writes, below one root folder."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Layout:
        """Return the layout of the clone that holds ``start`` (default: the working folder).

        Raises
        ------
        FileNotFoundError
            When no folder from ``start`` upwards holds ``book/claims.yml``.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if cls(folder).claims.is_file():
                return cls(folder)
        raise FileNotFoundError(
            f"{here} is not inside a clone of the book (no book/claims.yml above it): "
            "change to the clone's folder"
        )

    @property
    def claims(self) -> Path:
        return self.root / "book" / "claims.yml"

    @property
    def reference(self) -> Path:
        return self.root / "results" / "reference.json"

    @property
    def published(self) -> Path:
        return self.root / "results" / "published.yml"

    @property
    def ledger(self) -> Path:
        return self.root / "results" / "ledger.json"

    @property
    def headline(self) -> Path:
        return self.root / "results" / "headline.yml"

    @property
    def readme(self) -> Path:
        return self.root / "README.md"

    def run(self, profile: str) -> Path:
        """Return the folder that a run of this profile writes into."""
        return self.root / "_run" / profile

    def snapshot(self) -> Snapshot:
        """Return the sources of the package, and of the chapters' own modules, as they are now."""
        folders = (self.root / "llmrec", self.root / "notebooks" / "chapters")
        return Snapshot(*(folder for folder in folders if folder.is_dir()))

    def notebooks(self, only: Iterable[str] = ()) -> dict[str, Path]:
        """Return chapter → notebook (``"ch04"`` → ``notebooks/04_algorithm.ipynb``), sorted.

        Parameters
        ----------
        only:
            Chapter numbers, such as ``"04"``, ``"4"`` or ``"08b"``; empty means all.

        Raises
        ------
        ValueError
            When a file name does not begin with its chapter's number, two files claim one
            chapter, or ``only`` asks for a chapter that has no notebook.
        """
        found: dict[str, Path] = {}
        for path in sorted((self.root / "notebooks").glob("*.ipynb")):
            match = re.fullmatch(rf"({NUMBER})_\w+", path.stem)
            if match is None:
                raise ValueError(
                    f"{path.name}: name notebooks by chapter, such as 04_algorithm.ipynb"
                )
            other = found.setdefault(f"ch{match[1]}", path)
            if other is not path:
                raise ValueError(f"{path.name} and {other.name} are both chapter {match[1]}")
        wanted = {chapter_of(number) for number in only}
        if unknown := wanted - found.keys():
            have = ", ".join(name[2:] for name in found) or "none"
            raise ValueError(
                f"no notebook for chapter {', '.join(sorted(unknown))[2:]}: there are {have}"
            )
        return {name: path for name, path in sorted(found.items()) if not wanted or name in wanted}


def chapter_of(number: str | int) -> str:
    """Return ``"ch04"`` for 4, ``"4"``, ``"04"`` or ``"ch04"``, and ``"ch08b"`` for ``"8b"``."""
    text = str(number).removeprefix("ch")
    if not re.fullmatch(r"\d{1,2}[a-z]?", text):
        raise ValueError(f"{number!r} is not a chapter number: write 04")
    return f"ch{text.zfill(3 if text[-1].isalpha() else 2)}"

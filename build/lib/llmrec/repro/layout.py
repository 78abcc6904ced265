"""Where the book's files are, seen from the root of a clone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_NOTEBOOK = re.compile(r"(\d\d)_\w+")


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
            if (folder / "book" / "claims.yml").is_file():
                return cls(folder)
        raise FileNotFoundError(
            f"{here} is not inside a clone of the book (no book/claims.yml above it): "
            "change to the clone's folder"
        )

    @property
    def package(self) -> Path:
        return self.root / "llmrec"

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

    def notebooks(self, only: Iterable[str] = ()) -> dict[str, Path]:
        """Return chapter → notebook (``"ch04"`` → ``notebooks/04_algorithm.ipynb``), sorted.

        Parameters
        ----------
        only:
            Chapter numbers, such as ``"04"`` or ``"4"``; empty means all.

        Raises
        ------
        ValueError
            When a file name does not begin with its chapter's two digits, two files claim one
            chapter, or ``only`` asks for a chapter that has no notebook.
        """
        found: dict[str, Path] = {}
        for path in sorted((self.root / "notebooks").glob("*.ipynb")):
            match = _NOTEBOOK.fullmatch(path.stem)
            if match is None:
                raise ValueError(
                    f"{path.name}: name notebooks by chapter, such as 04_algorithm.ipynb"
                )
            chapter = f"ch{match[1]}"
            if chapter in found:
                raise ValueError(
                    f"{path.name} and {found[chapter].name} are both chapter {match[1]}"
                )
            found[chapter] = path
        wanted = {chapter_of(number) for number in only}
        if unknown := wanted - found.keys():
            have = ", ".join(name[2:] for name in found) or "none"
            raise ValueError(
                f"no notebook for chapter {', '.join(sorted(unknown))[2:]}: there are {have}"
            )
        return {name: path for name, path in found.items() if not wanted or name in wanted}


def chapter_of(number: str | int) -> str:
    """Return ``"ch04"`` for 4, ``"4"``, ``"04"`` or ``"ch04"``."""
    text = str(number).removeprefix("ch")
    if not text.isdigit() or len(text) > 2:
        raise ValueError(f"{number!r} is not a chapter number: write 04")
    return f"ch{int(text):02d}"

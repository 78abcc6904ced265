"""The machine and the versions that a run's numbers were made with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

from llmrec import config

PACKAGES = ("numpy", "pandas", "scikit-learn", "implicit", "torch", "transformers")
BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # as x86 and Arm name it


def environment() -> dict[str, str | int]:
    """Return Python, package versions, processor, cores, threads, memory and matrix precision.

    No package is imported for it: versions come from the installed metadata.
    """
    import psutil

    cpu, flags = _processor(Path("/proc/cpuinfo"))
    versions = {name: _version(name) for name in PACKAGES}
    return {
        "python": platform.python_version(),
        **versions,
        "system": platform.system(),
        "processor": cpu,
        "cores": os.cpu_count() or 1,
        "threads": config.threads(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9),
        "cpu_bfloat16": "yes" if flags & BFLOAT16_FLAGS else "no",
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor(cpuinfo: Path) -> tuple[str, set[str]]:
    """Return the processor's name and feature flags, from Linux's table where there is one."""
    name, flags = platform.processor() or platform.machine(), set()
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            field, _, value = line.partition(":")
            if field.strip() == "model name":
                name = value.strip()
            elif field.strip() in ("flags", "Features"):
                flags = set(value.split())
                break
    return name, flags

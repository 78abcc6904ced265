"""What numbers are made with: the machine, the versions, the kernel of a notebook."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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


@contextmanager
def kernel(environment: Mapping[str, str]) -> Iterator[None]:
    """Let kernels that start within the block be this interpreter, with these variables set."""
    from ipykernel.kernelspec import write_kernel_spec

    with tempfile.TemporaryDirectory() as scratch:
        # First on Jupyter's path: a kernel of the same name elsewhere must not be picked up.
        # Critical only: errors of cells come back as outputs, the rest is noise of its shutdown.
        spec = Path(scratch) / "kernels" / "python3"
        write_kernel_spec(str(spec), extra_arguments=["--log-level=CRITICAL"])
        wanted = {"JUPYTER_PATH": scratch, **environment}
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value

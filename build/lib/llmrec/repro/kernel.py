"""The surroundings of a notebook's kernel: this interpreter, and environment variables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


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

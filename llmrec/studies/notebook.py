"""The notebook of a finished study: a packaged template, executed through papermill.

Introduced in chapter 11.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).with_name("study.ipynb")
NAME = "study.ipynb"


def execute(folder: Path) -> Path:
    """Run the template on the results in a folder and put the executed notebook beside them.

    Raises
    ------
    ModuleNotFoundError
        When papermill is not installed.

    Introduced in chapter 11.
    """
    try:
        import papermill
        from traitlets.config import Config
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the executed notebook needs papermill: pip install 'llmrec[book]', or ask for none"
        ) from error
    target = folder / NAME
    aside = folder / f".{NAME}"
    with _kernel():
        papermill.execute_notebook(
            str(TEMPLATE),
            str(aside),
            parameters={"folder": "."},
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=str(folder),
            config=Config(KernelManager={"transport_encryption": "auto"}),
        )
    aside.replace(target)
    return target


@contextmanager
def _kernel() -> Iterator[None]:
    """Let papermill find a kernel of this very interpreter, whatever else is installed."""
    from ipykernel.kernelspec import write_kernel_spec

    with tempfile.TemporaryDirectory() as scratch:
        spec = Path(scratch) / "kernels" / "python3"
        write_kernel_spec(str(spec), extra_arguments=["--log-level=CRITICAL"])
        wanted = {"JUPYTER_PATH": scratch, "TQDM_DISABLE": "1"}
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

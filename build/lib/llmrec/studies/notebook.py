"""The notebook of a finished study: a packaged template, executed through papermill."""

from __future__ import annotations

from pathlib import Path

from llmrec.repro.kernel import kernel

TEMPLATE = Path(__file__).with_name("study.ipynb")
NAME = "study.ipynb"


def execute(folder: Path) -> Path:
    """Run the template on the results in a folder and put the executed notebook beside them.

    Raises
    ------
    ModuleNotFoundError
        When papermill is not installed.
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
    with kernel({"TQDM_DISABLE": "1"}):
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

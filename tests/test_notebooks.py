"""The notebooks run from top to bottom, show what they claim, and are kept without their outputs."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = {path.stem: path for path in sorted((Path(__file__).parents[1] / "demos").glob("*.ipynb"))}
SHOWN = {  # what a notebook must show: kinds of output, and words in them
    "backprop_by_hand": ("text/html", r"of 29 gradients: \d\.\de-1[67]|of 29 gradients: 0\.0e\+00"),
    "decision_boundary": ("image/svg+xml", r"(59|60) of 60 points"),
    "first_gradient": ("image/svg+xml", r"-0\.58"),
}


def test_each_is_tested() -> None:
    """No notebook without a row above."""
    assert NOTEBOOKS.keys() == SHOWN.keys()


@pytest.mark.xdist_group("notebooks")  # one after the other: two kernels that start at once may choose one port
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell runs, in order and in an empty folder, and the last pictures and numbers are there."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    client = NotebookClient(notebook, timeout=100, resources={"metadata": {"path": str(tmp_path)}})
    try:
        client.execute()
    except RuntimeError as error:
        if "died before replying to kernel_info" not in str(error):
            raise
        client.execute()  # once more: its port was free when it was chosen, and taken when the kernel wanted it
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    kind, words = SHOWN[name]
    assert any(kind in output.get("data", {}) for output in outputs)
    assert re.search(words, str(outputs))
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_kept_without_outputs(name: str) -> None:
    """A notebook in the repository is valid, begins with a title, and holds no output and no count."""
    notebook = nbformat.read(NOTEBOOKS[name], as_version=4)
    nbformat.validate(notebook)
    assert notebook.cells[0].source.startswith("# ")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert (cell.outputs, cell.execution_count) == ([], None)

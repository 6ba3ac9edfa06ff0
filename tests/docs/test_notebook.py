"""The notebook of the docs: it is stored with its output, and it runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"
UPDATES = "data.training.max_steps=1200"


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def codes(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_cell_was_executed_once_in_order_and_shows_its_output() -> None:
    cells = codes(read())
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert cell.outputs, cell.source
        assert all(output.output_type != "error" for output in cell.outputs)
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)


@pytest.mark.e2e
@pytest.mark.thorough
def test_it_runs(tmp_path: Path) -> None:
    shutil.copy(NOTEBOOK, tmp_path)
    notebook = read()
    train = codes(notebook)[0]
    assert UPDATES in train.source
    train.source = train.source.replace(
        UPDATES, "data.training.max_steps=20 validation.sentences=8"
    )
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=280, resources=resources).execute()
    kinds = [[output.output_type for output in cell.outputs] for cell in codes(notebook)[1:]]
    assert kinds == [[output.output_type for output in cell.outputs] for cell in codes(read())[1:]]

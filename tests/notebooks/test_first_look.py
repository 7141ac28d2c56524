"""The notebook runs from top to bottom on a published lake, says what it shows, and is kept without outputs."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.page.tiny_lake import publish

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "first_look.ipynb"


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def run(notebook: nbformat.NotebookNode, project: Path, home: Path) -> nbformat.NotebookNode:
    """Execute it in a fresh kernel that keeps its files in `home`."""
    environment = {
        **os.environ,
        "KLANTSPOOR_PROJECT": str(project),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
    }
    client = NotebookClient(notebook, timeout=120, startup_timeout=120, kernel_name="python3")
    return client.execute(env=environment, cwd=str(home))


def outputs(notebook: nbformat.NotebookNode, kinds: tuple[str, ...] = ("text/plain", "text/html")) -> str:
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            texts += [output.get("text", ""), *(data.get(kind, "") for kind in kinds)]
    return "\n".join(texts)


def test_is_kept_without_outputs(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_every_code_cell_is_introduced(notebook: nbformat.NotebookNode) -> None:
    kinds = [cell.cell_type for cell in notebook.cells]
    assert all(before == "markdown" for before, kind in itertools.pairwise(kinds) if kind == "code")


def test_runs_and_shows_the_figures(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    project = publish(tmp_path / "project")
    executed = run(notebook, project, tmp_path)
    shown = outputs(executed)
    assert "Tiny Energy, version 000001, as of 2026-06-14" in shown
    assert "one journey of one person" in shown
    assert "Meter reading sent" in shown
    assert "wait: organisation" in shown
    assert "moving.html" in shown
    assert "#08446f" in shown
    assert "&lt;script&gt;alert" in outputs(executed, ("text/html",))
    assert "<script>alert" not in outputs(executed, ("text/html",))


def test_says_so_when_nothing_was_published(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    from tests.page.tiny_lake import write_project

    project = write_project(tmp_path / "project")
    with pytest.raises(Exception, match="Nothing has been published yet"):
        run(notebook, project, tmp_path)

"""A working project in a temporary folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from project_folder import ProjectFolder

from klantspoor.project.scaffold import init_project


@pytest.fixture(scope="session")
def scaffold_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "project"
    init_project(folder)
    return folder


@pytest.fixture
def project(scaffold_folder: Path, tmp_path: Path) -> ProjectFolder:
    return ProjectFolder(Path(shutil.copytree(scaffold_folder, tmp_path / "project")))

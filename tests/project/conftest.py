"""A working project in a temporary folder that tests change one thing of."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from klantspoor.errors import Problem
from klantspoor.project.load import check_project
from klantspoor.project.scaffold import init_project


@dataclass
class ProjectFolder:
    root: Path

    def change(self, file: str, old: str, new: str) -> None:
        text = (self.root / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        (self.root / file).write_text(text.replace(old, new), encoding="utf-8")

    def add(self, file: str, text: str) -> None:
        with (self.root / file).open("a", encoding="utf-8") as handle:
            handle.write(text)

    def write(self, file: str, text: str) -> None:
        (self.root / file).write_text(text, encoding="utf-8")

    def problems(self, level: str | None = None) -> list[Problem]:
        return [p for p in check_project(self.root)[1] if level in (None, p.level)]

    def only(self) -> Problem:
        problems = self.problems()
        assert len(problems) == 1, "\n".join(map(str, problems))
        return problems[0]


@pytest.fixture(scope="session")
def scaffold_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scaffold") / "project"
    init_project(folder)
    return folder


@pytest.fixture
def project(scaffold_folder: Path, tmp_path: Path) -> ProjectFolder:
    return ProjectFolder(Path(shutil.copytree(scaffold_folder, tmp_path / "project")))

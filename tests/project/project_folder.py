"""A project folder that tests change one thing of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from klantspoor.errors import Problem
from klantspoor.project.load import check_project


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

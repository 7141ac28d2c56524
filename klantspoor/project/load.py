"""Finds and reads a project's files and gives the valid project, or every mistake in all of them at once.

What a file may say is in `klantspoor.project.model`, what must hold beyond one field in `klantspoor.project.lint`.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.lint import lint_scope
from klantspoor.project.mistakes import judge
from klantspoor.project.model import JourneyFile, Project, ProjectFile, SourceFile, Strict
from klantspoor.project.scope import Scope
from klantspoor.project.yamlfile import Document, read_yaml

PROJECT_FILE = "klantspoor.yaml"
ENVIRONMENT = "KLANTSPOOR_PROJECT"

Kind = TypeVar("Kind", bound=Strict)


def load_project(path: Path | None = None, *, strict: bool = False) -> Project:
    """Loads a project.

    Args:
        path: the project's folder; None: what the variable KLANTSPOOR_PROJECT names, else the current folder.
        strict: whether warnings are mistakes too.

    Raises:
        ConfigError: with all problems of all files.
    """
    project, problems = check_project(path)
    blocking = [problem for problem in problems if strict or problem.level == "error"]
    if blocking or project is None:
        raise ConfigError(blocking or problems)
    return project


def check_project(path: Path | None = None) -> tuple[Project | None, list[Problem]]:
    """The project, None where it holds an error, and all its errors and warnings; raises nothing about its content."""
    root = _root(path)
    if not root.is_dir():
        return None, [_no_project(root, "is no folder")]
    if not (root / PROJECT_FILE).is_file():
        return None, [_no_project(root, f"holds no {PROJECT_FILE}")]
    documents = {PROJECT_FILE: read_yaml(root / PROJECT_FILE, PROJECT_FILE)}
    problems: list[Problem] = []
    file = _judged(ProjectFile, documents[PROJECT_FILE], problems)
    sources = _folder(root, "sources", SourceFile, documents, problems)
    journeys = _folder(root, "journeys", JourneyFile, documents, problems)
    faulty = {(problem.file, problem.where) for problem in problems}
    scope = Scope(
        root=root,
        file=file,
        sources={name: source for name, source in sources.items() if source is not None},
        journeys={name: journey for name, journey in journeys.items() if journey is not None},
        unread=frozenset(name for name, source in sources.items() if source is None),
    )
    # A key that is wrong in itself need not be told to be wrong beside others as well.
    problems += [problem for problem in lint_scope(scope) if (problem.file, problem.where) not in faulty]
    problems = sorted({_with_line(problem, documents) for problem in problems}, key=_order)
    if file is None or any(problem.level == "error" for problem in problems):
        return None, problems
    return Project(root=str(root), file=file, sources=scope.sources, journeys=scope.journeys), problems


def _root(path: Path | None) -> Path:
    chosen = path if path is not None else Path(os.environ.get(ENVIRONMENT) or ".")
    return Path(chosen).expanduser().absolute()


def _no_project(root: Path, message: str) -> Problem:
    return Problem(
        file=str(root),
        where="",
        message=message,
        expected=f"a project folder with {PROJECT_FILE}, sources/ and journeys/",
        hint=f"make one with `klantspoor init DIR`, or point {ENVIRONMENT} at one",
    )


def _folder(
    root: Path, name: str, model: type[Kind], documents: dict[str, Document], problems: list[Problem]
) -> dict[str, Kind | None]:
    """Every file of one folder by its name; None where nothing can be made of a file."""
    folder, key = root / name, name.removesuffix("s")
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError:
        paths = None
    if paths is None:
        problems.append(Problem(f"{name}/", "", "is missing", expected=f"a folder with a file for each {key}"))
        return {}
    found: dict[str, Kind | None] = {}
    for path in paths:
        label = f"{name}/{path.name}"
        if path.suffix.lower() == ".yml" or (path.suffix.lower() == ".yaml" and path.suffix != ".yaml"):
            problems.append(Problem(label, "", "is not read", hint=f"rename it to {path.stem}.yaml"))
        if path.suffix != ".yaml":
            continue
        documents[label] = read_yaml(path, label)
        found[path.stem] = judged = _judged(model, documents[label], problems)
        declared = getattr(judged, key, path.stem)
        if declared != path.stem:
            problems.append(_other_name(label, key, path.stem, declared))
    if not found:
        problems.append(Problem(f"{name}/", "", "holds no *.yaml file", expected=f"a file for each {key}"))
    return found


def _judged(model: type[Kind], document: Document, problems: list[Problem]) -> Kind | None:
    problems += document.problems
    if document.data is None:
        return None
    judged, mistakes = judge(model, document)
    problems += mistakes
    return judged


def _other_name(label: str, key: str, stem: str, declared: str) -> Problem:
    return Problem(
        file=label,
        where=key,
        message="differs from the name of its file",
        value=repr(declared),
        expected=repr(stem),
        hint=f"write {key}: {stem}, or rename the file to {declared}.yaml",
    )


def _with_line(problem: Problem, documents: dict[str, Document]) -> Problem:
    if problem.line is not None or problem.file not in documents or not problem.where:
        return problem
    return replace(problem, line=documents[problem.file].line_of(problem.where))


def _order(problem: Problem) -> tuple[str, str, int, str, str]:
    folder, _, name = problem.file.rpartition("/")
    return folder, name, problem.line or 0, problem.where, problem.message

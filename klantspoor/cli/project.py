"""`klantspoor init`, `lint` and `schemas`: a project's own files.

What a project may say and how mistakes are found is `klantspoor.project`'s matter; here it is only asked and told.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from klantspoor.cli.context import ProjectPath, console, plain, say, tell_problem
from klantspoor.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add the commands of this file to the app."""
    app.command("init")(init)
    app.command("lint")(lint)
    app.command("schemas")(schemas)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The new project's folder: absent or empty.")],
) -> None:
    """Make a new project: the three kinds of file with an example of each, to be filled in.

    Example: klantspoor init my-project
    """
    from klantspoor.project.scaffold import init_project

    written = init_project(folder)
    say(f"Made the project {folder}:")
    for path in written:
        say(f"  {path.relative_to(folder)}")
    say(f"\nNext: describe your sources and journeys in these files, then: klantspoor lint --project {folder}")


def lint(
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for mistakes.")] = False,
    project: ProjectPath = None,
) -> None:
    """Check the project's files: mistakes (exit code 2) and warnings; nothing is changed.

    Example: klantspoor lint --strict
    """
    from klantspoor.project.load import check_project

    loaded, problems = check_project(project)
    mistakes = [problem for problem in problems if problem.level == "error"]
    warnings = [problem for problem in problems if problem.level != "error"]
    if strict and warnings:
        raise ConfigError(problems)
    for warning in warnings:
        tell_problem(warning)
    if loaded is None or mistakes:
        raise ConfigError(mistakes or problems)
    sources, journeys = len(loaded.sources), len(loaded.journeys)
    console.print(plain(f"{loaded.file.name}: {_many(sources, 'source')}, {_many(journeys, 'journey type')}."))
    if warnings:
        console.print(plain(f"No mistakes, {_many(len(warnings), 'warning')}.", "yellow"))
    else:
        console.print(plain("No mistakes, no warnings.", "green"))


def _many(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def schemas(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write them.")]) -> None:
    """Write the JSON Schemas of the project's files, with which editors complete and check them.

    Example: klantspoor schemas .schemas
    """
    from klantspoor.project.schema import write_schemas

    for path in write_schemas(folder):
        say(path)

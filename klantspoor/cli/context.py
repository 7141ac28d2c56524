"""What every command shares: consoles, harmless text, the project and its published version.

No command here, and no figures: only how commands reach their project and how they may print what came from data.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from klantspoor.errors import KlantspoorError, LakeError, Problem

if TYPE_CHECKING:
    from klantspoor.lake import Version
    from klantspoor.project.model import Project


class CommandError(KlantspoorError):
    """A command cannot do what was asked: a query that fails, a part that this installation lacks."""


console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

ProjectPath = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-p",
        envvar="KLANTSPOOR_PROJECT",
        help="The project's folder (the one that holds klantspoor.yaml).",
        show_default="the current folder",
    ),
]

# Control characters (escape sequences start with one), and those that reorder or hide what stands around them.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def clean(text: object) -> str:
    """The text on one line, without anything a terminal would act on: each such character becomes a space."""
    return _UNSAFE.sub(" ", str(text))


def clean_lines(text: object) -> str:
    """As `clean`, but line ends and tabs stay: for messages of several lines."""
    return "\n".join(clean(line.replace("\t", "    ")) for line in str(text).splitlines())


def plain(text: object, style: str = "") -> Text:
    """Text from data for Rich: cleaned, and never read as markup."""
    return Text(clean(text), style=style)


def say(message: object, style: str = "") -> None:
    """Print a message, wrapped; nothing in it is read as markup."""
    console.print(Text(clean_lines(message), style=style))


def note(message: object) -> None:
    """Print a remark beside the result, on the error stream, so that pipes stay clean."""
    errors.print(Text(clean_lines(message), style="dim"))


def tell_error(message: object) -> None:
    """Print an error in one line, on the error stream."""
    errors.print(Text.assemble(("Error: ", "bold red"), clean_lines(message)))


def tell_problems(problems: list[Problem]) -> None:
    """Print all mistakes of a project's files, on the error stream."""
    number = len(problems)
    errors.print(Text(f"{number} mistake{'' if number == 1 else 's'} in the project's files:", style="bold red"))
    for problem in problems:
        tell_problem(problem)


def tell_problem(problem: Problem) -> None:
    """Print one mistake or warning: where, what, what was found, what is allowed and what to do."""
    file = problem.file if problem.line is None else f"{problem.file}:{problem.line}"
    place = f"{file}: {problem.where}" if problem.where else file
    level = ("warning: ", "yellow") if problem.level == "warning" else ""
    rule = f" [{problem.rule}]" if problem.rule else ""
    errors.print(Text.assemble("\n", level, (clean(place), "bold"), "\n  ", clean(problem.message), (rule, "cyan")))
    for label, text in (("found", problem.value), ("allowed", problem.expected), ("hint", problem.hint)):
        if text is not None:
            errors.print(Text.assemble("  ", (f"{label}: ", "dim"), clean(text)))


def open_project(path: Path | None) -> Project:
    """The project in `path`, or where KLANTSPOOR_PROJECT points, or in the current folder.

    Raises:
        ConfigError: its files hold mistakes, or there are none.
    """
    from klantspoor.project.load import load_project

    return load_project(path)


def current_version(project: Project) -> Version:
    """The published version of the project's lake.

    Raises:
        LakeError: where nothing was published yet.
    """
    from klantspoor.lake import open_lake

    version = open_lake(project).current()
    if version is None:
        raise LakeError("Nothing has been published yet. Start the nightly job with: klantspoor run")
    return version


def checkout() -> Path | None:
    """The root of the source checkout this library runs from; None where it was installed from a wheel."""
    import klantspoor

    root = Path(klantspoor.__path__[0]).resolve().parent
    return root if (root / "pyproject.toml").is_file() and (root / "pipelines").is_dir() else None

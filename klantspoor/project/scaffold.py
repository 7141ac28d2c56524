"""Writes the files of a new project: small, commented, and working as they stand.

The files' texts are in `templates/`; nothing is filled in, so that what is written can be read there.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from klantspoor.errors import ConfigError, Problem
from klantspoor.project.key import make_key
from klantspoor.project.schema import write_schemas

KEY_FILE = "pseudonym.key"
_RENAMED = {"gitignore.txt": ".gitignore"}  # as .gitignore it would hide files of this repository
_MAY_BE_THERE = {".git"}


def init_project(folder: Path) -> list[Path]:
    """Writes a new project with a source, a journey, an example file in the landing folder, schemas and a key.

    Args:
        folder: where; made when absent, and else empty (a fresh git repository counts as empty).

    Returns:
        The files written, in order of their paths.

    Raises:
        ConfigError: where the folder is not empty or cannot be written to. Nothing is written then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = sorted(path.name for path in folder.iterdir() if path.name not in _MAY_BE_THERE)
        if there:
            more = ", …" if len(there) > 5 else ""
            hint = "give a new folder; files that exist are never overwritten"
            found = ", ".join(there[:5]) + more
            raise ConfigError([Problem(str(folder), "", "is not empty", found, "a new or empty folder", hint)])
        written = _write(files("klantspoor.project") / "templates", folder)
        written += write_schemas(folder / "schemas")
    except OSError as error:
        message = "is a file" if isinstance(error, FileExistsError | NotADirectoryError) else "cannot be written to"
        raise ConfigError([Problem(str(folder), "", message, expected="a new or empty folder")]) from None
    return sorted([*written, make_key(folder / KEY_FILE)])


def _write(template: Traversable, folder: Path) -> list[Path]:
    written = []
    for entry in template.iterdir():
        target = folder / _RENAMED.get(entry.name, entry.name)
        if entry.is_dir():
            target.mkdir()
            written += _write(entry, target)
        else:
            target.write_bytes(entry.read_bytes())
            written.append(target)
    return written

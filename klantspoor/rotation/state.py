"""How a project's keys and its lake stand to each other; nothing of a key is ever told."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.intake.ledger import Ledger, LedgerFile
from klantspoor.intake.take import other_key
from klantspoor.lake import open_lake
from klantspoor.lake.rotating import refuse_while_rotating
from klantspoor.project.key import Keys, load_key
from klantspoor.project.model import Project


@dataclass(frozen=True, slots=True)
class KeyState:
    """Where the keys come from (`place`), how many there are, and how many files of the ledger were made with them all."""

    place: str
    keys: int
    files: int


def key_state(project: Project) -> KeyState:
    """The state of a project whose next night may read files.

    Raises:
        ConfigError: the key is not there, is open to others, or is not the one that the ledger was made with.
        LakeError: a rotation was interrupted, or the ledger cannot be read.
    """
    keys = load_key(project)
    root = open_lake(project).root
    refuse_while_rotating(root)
    files = Ledger(root).files()
    if files and layers_of(keys, files) < len(keys):
        raise other_key(keys, files[0].record.key_check)
    return KeyState(_place(project), len(keys), len(files))


def layers_of(keys: Keys, files: Sequence[LedgerFile]) -> int:
    """With how many of the keys, the oldest first, the files of the ledger (one at least) were made.

    Raises:
        ConfigError: with none of them.
        LakeError: with different ones.
    """
    checks = sorted({file.record.key_check for file in files})
    if len(checks) > 1:
        raise LakeError("files of the ledger were made with different keys: restore the lake from one back-up")
    if checks[0] not in keys.checks:
        raise other_key(keys, checks[0])
    return keys.checks.index(checks[0]) + 1


def _place(project: Project) -> str:
    declared = project.file.pseudonym_key
    if declared.file is None:
        return f"the environment variable {declared.env}"
    mode = stat.S_IMODE((Path(project.root) / declared.file).stat().st_mode)
    return f"the file {declared.file} (mode {mode:04o})"

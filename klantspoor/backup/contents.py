"""What belongs to a back-up of a project, where it lies, and copying one file of it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from klantspoor.backup.manifest import Entry
from klantspoor.forget.beside import DECISIONS
from klantspoor.forget.steps import RECEIPTS
from klantspoor.intake.vault import Vault
from klantspoor.lake import Lake
from klantspoor.project.load import PROJECT_FILE
from klantspoor.project.model import Project

_CHUNK = 1 << 20


def contents(project: Project, lake: Lake) -> dict[str, Path]:
    """Every file of a back-up but the key, by its path there; for the holder of the lake's and the ledger's locks.

    Landing files are the organisation's own, and versions are made again.
    """
    return dict(sorted([*_ledger(lake), *_receipts(lake), *configuration(Path(project.root)), *_vault(project)]))


def configuration(root: Path) -> Iterator[tuple[str, Path]]:
    """The project's own files, and what stewards decided."""
    paths = [root / PROJECT_FILE, root / DECISIONS]
    paths += [path for folder in ("sources", "journeys") for path in (root / folder).glob("*.yaml")]
    yield from ((f"project/{path.relative_to(root)}", path) for path in paths if path.is_file())


def _ledger(lake: Lake) -> Iterator[tuple[str, Path]]:
    for path in lake.ledger.rglob("*"):
        within = path.relative_to(lake.ledger)
        if path.is_file() and path.name != ".lock" and not within.parts[0].startswith(".tmp-"):
            yield f"ledger/{within}", path


def _receipts(lake: Lake) -> Iterator[tuple[str, Path]]:
    yield from ((f"{RECEIPTS}/{path.name}", path) for path in (lake.root / RECEIPTS).glob("*.json"))


def _vault(project: Project) -> Iterator[tuple[str, Path]]:
    yield from ((f"vault/{path.name}", path) for path in Vault(project).files())


def copy_file(source: Path, target: Path, mode: int | None = None) -> Entry:
    """Copies one file to where there is none, forced to disk, and gives what was copied.

    `mode` is that of the copy from its first byte on, by default the source's.
    """
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as read:
        if source.name == DECISIONS:
            fcntl.flock(read, fcntl.LOCK_SH)  # no steward's decision is added while it is read
        status = os.fstat(read.fileno())
        kept = stat.S_IMODE(status.st_mode) & 0o777
        mode = kept if mode is None else mode
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as written:
            os.fchmod(handle, mode)
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                written.write(chunk)
                size += len(chunk)
            written.flush()
            os.fsync(handle)
    return Entry(digest.hexdigest(), size, kept, status.st_mtime_ns)

"""How much lies in the landing folder that no night has read yet, told by names and times alone: nothing is opened."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from klantspoor.intake.landing import LandingFile, find
from klantspoor.intake.ledger import Ledger
from klantspoor.project.model import Project

PER_FILE = 16_384
"""Bytes that a file takes in the ledger whatever it holds: four small files with their footers."""
_PARQUET, _GZIPPED, _TEXT = 4.0, 5.0, 1.0
"""Bytes in the ledger for each byte of a file; measured on the demo: 0.5 for text, which gzip makes a fifth to a tenth of."""


def ledger_bytes_waiting(project: Project, lake_root: Path, as_of: datetime) -> int:
    """Bytes that the ledger will roughly hold of the files that are not in it.

    A file counts as read if one of its source, name and landing time was; a copy under another name counts as new,
    though intake will find that it is not.

    Raises:
        LakeError: the ledger cannot be read.
    """
    as_of = as_of.astimezone(UTC)
    landing = Path(project.root) / project.file.landing
    known = {(file.record.source, file.record.file, file.record.landed_at) for file in Ledger(lake_root).files()}
    waiting = 0
    for name, source in project.sources.items():
        for file in find(landing, name, source.files, as_of)[0]:
            if (name, file.file, file.landed_at) not in known:
                waiting += PER_FILE + round(_swelling(file, source.reader.format) * _size(file))
    return waiting


def _swelling(file: LandingFile, form: str) -> float:
    if form == "parquet":
        return _PARQUET
    return _GZIPPED if file.path.name.endswith(".gz") else _TEXT


def _size(file: LandingFile) -> int:
    try:
        return file.path.stat().st_size
    except OSError:  # it vanished meanwhile
        return 0

"""Verifying: everything built aside from the same ledger, as if nothing had been published before, and compared.

No lock is held: what is rebuilt from is pinned first (`klantspoor.verify.pins`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import duckdb

from klantspoor.errors import KlantspoorError, LakeError
from klantspoor.lake import Lake
from klantspoor.lake.publishing import dictionary_fingerprint
from klantspoor.lake.verifying import VERIFYING, is_dropped, verification_folder
from klantspoor.night import build
from klantspoor.project.model import Project
from klantspoor.verify.compare import Difference, compare_versions, compared
from klantspoor.verify.pins import Pinned, pin

_DROPPED = "A person was forgotten meanwhile, and the rebuild with them: start again after the night that follows"


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification came to.

    Attributes:
        version: the version's name; `as_of` and `published_at` are its own.
        files: files of the ledger that it was made of.
        rows: rows of the tables that were compared, by table.
        differences: the tables that are not the same; `one` is the version, the `other` the rebuild.
        changed: what was changed since the version was made. Then nothing was rebuilt: it cannot be made again.
        is_other_software: whether a Klantspoor with other tables made it.
        seconds: how long it took.
    """

    version: str
    as_of: datetime
    published_at: datetime
    files: int
    rows: dict[str, int] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    changed: tuple[str, ...] = ()
    is_other_software: bool = False
    seconds: float = 0.0

    @property
    def verdict(self) -> Literal["equal", "different", "changed"]:
        """`changed`: what the version was made of is not there any more, so nothing was compared."""
        if self.changed:
            return "changed"
        return "different" if self.differences else "equal"


def verify(
    project: Project, lake: Lake, scratch: Path | None = None, *, progress: Callable[[str], None] | None = None
) -> Report:
    """Rebuilds every table from what the current version was made of, with its `as_of`, and compares.

    Nights may run meanwhile. Nothing is left behind, and nothing but the folder `scratch` is written to.

    Args:
        project: a loaded, valid project.
        lake: its lake.
        scratch: an absent or empty folder to work in, removed at the end; by default one in the lake. On the lake's file
            system the ledger is linked, elsewhere copied.
        progress: is told in a line when the long part begins.

    Raises:
        BusyError: another verification is at work there.
        LakeError: nothing was published yet, or the lake was changed in a way that ends the verification.
        KlantspoorError: as the stages raise it.
    """
    began = time.perf_counter()
    with verification_folder((scratch or lake.root / VERIFYING).absolute()) as folder:
        try:
            report = _verify(project, lake, folder, began, progress or (lambda _: None))
        except (KlantspoorError, OSError, duckdb.Error) as error:
            if is_dropped(folder):
                raise LakeError(_DROPPED) from error
            if isinstance(error, duckdb.Error):
                # The error's own words may quote what it read: its kind must do.
                raise LakeError(f"The tables could not be rebuilt aside ({type(error).__name__})") from error
            raise
        if is_dropped(folder):
            raise LakeError(_DROPPED)
        return report


def _verify(project: Project, lake: Lake, folder: Path, began: float, progress: Callable[[str], None]) -> Report:
    pinned = pin(project, lake, folder)
    manifest = pinned.version.manifest
    said = Report(
        version=pinned.version.name,
        as_of=datetime.fromisoformat(manifest["as_of"]),
        published_at=datetime.fromisoformat(manifest["published_at"]),
        files=pinned.files,
        changed=pinned.changed,
        is_other_software=manifest["dictionary"] != dictionary_fingerprint(),
    )
    if pinned.changed:
        return said
    progress(f"rebuilding version {said.version} aside: this takes as long as a first night without its checks")
    differences = _rebuilt(pinned, said.as_of, folder)
    rows = {name: number for name, number in manifest["tables"].items() if name in {table.name for table in compared()}}
    return replace(said, rows=rows, differences=tuple(differences), seconds=time.perf_counter() - began)


def _rebuilt(pinned: Pinned, as_of: datetime, folder: Path) -> list[Difference]:
    with pinned.lake.open_run("verification", as_of) as staging:
        build(pinned.project, pinned.lake, staging)
        memory_mb = pinned.project.file.limits.memory_mb
        return compare_versions(pinned.version, staging, memory_mb=memory_mb, scratch=folder / "spill")

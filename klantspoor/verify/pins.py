"""What the current version was made of, held as it was then, so that a rebuild needs no lock.

Files of the lake are replaced, never written in place: a second link to each keeps it as it was, whatever a night, a
rotation or the forgetting of a person does meanwhile. What was changed since the version was made is told, for from it the
version cannot be made again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.identity.decisions import FILE as DECISIONS
from klantspoor.identity.decisions import read_decisions
from klantspoor.intake.evidence import evidence_files
from klantspoor.intake.tombstones import SHARED, TOMBSTONES
from klantspoor.lake import Lake, Version
from klantspoor.lake.rotating import refuse_while_rotating
from klantspoor.project.load import PROJECT_FILE
from klantspoor.project.model import Project

_SECOND = timedelta(seconds=1)
"""How exactly versions and decisions tell when they were made."""


@dataclass(frozen=True, slots=True)
class Moments:
    """When the night that made a version began, and when it began and had ended reading evidence and decisions."""

    began: datetime
    read_from: datetime
    read_until: datetime


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a version can be made of again, and what was changed since it was made: then it cannot.

    `version` is the version itself; `lake` holds the ledger as it knew it, and `project` is in a folder with the decisions as
    it knew them. `files` counts the ledger's files.
    """

    version: Version
    project: Project
    lake: Lake
    files: int
    changed: tuple[str, ...]


def pin(project: Project, lake: Lake, scratch: Path) -> Pinned:
    """Holds the current version and what it was made of, in the folder `scratch`.

    Raises:
        LakeError: nothing was published yet, a rotation was interrupted, or the version was removed while it was looked at.
    """
    refuse_while_rotating(lake.root)
    current = lake.current()
    if current is None:
        raise LakeError("Nothing has been published yet. Start the nightly job with: klantspoor run")
    memory_mb = project.file.limits.memory_mb
    aside = Lake(scratch / "lake", timezone=project.file.timezone, memory_mb=memory_mb)
    aside.ledger.mkdir(parents=True)
    version = Version(scratch / "versions" / current.name, memory_mb)
    try:
        _pin_version(current, version)
    except FileNotFoundError:
        raise LakeError(f"version {current.name} was removed while it was looked at: start again") from None
    moments = _moments(version)
    files, changed = _pin_files(lake, aside, version, moments)
    changed += [*_pin_beside(lake, aside, moments), *_pin_decisions(project, scratch / "project", moments)]
    changed += _changed_configuration(Path(project.root), moments)
    moved = project.model_copy(update={"root": str(scratch / "project")})
    return Pinned(version, moved, aside, files, tuple(changed))


def _pin_version(current: Version, held: Version) -> None:
    held.root.mkdir(parents=True)
    _link(current.root / "manifest.json", held.root / "manifest.json")
    for name in TABLES:
        if current.has(name):
            _link_tree(current.root / name, held.root / name)


def _moments(version: Version) -> Moments:
    """From the steps that the version's night noted; where it noted none, all is as late as can be."""
    manifest = version.manifest
    latest = datetime.fromisoformat(manifest["published_at"]) + _SECOND
    if not version.has("runs"):
        return Moments(latest, latest, latest)
    with version.connect() as connection:
        [(began, read_from, read_until)] = connection.execute(
            """SELECT min(started_at), min(started_at) FILTER (step = 'identity'),
                      max(started_at + to_microseconds((elapsed_seconds * 1e6)::BIGINT)) FILTER (step = 'identity')
               FROM runs WHERE run_id = $run_id""",
            {"run_id": manifest["run_id"]},
        ).fetchall()
    return Moments(began or latest, read_from or latest, read_until or latest)


def _pin_files(lake: Lake, aside: Lake, version: Version, moments: Moments) -> tuple[int, list[str]]:
    """The folders of the files that the version's table `intake` lists; gives their number, and those that are other now."""
    with version.connect() as connection:
        listed = connection.execute("SELECT sequence, content_hash FROM intake ORDER BY sequence").fetchall()
    changed = []
    for sequence, content_hash in listed:
        name = f"{sequence:08d}-{content_hash[:12]}"
        try:
            _link_tree(lake.ledger / name, aside.ledger / name)
        except FileNotFoundError:
            changed.append(f"ledger/{name} is gone")
            continue
        if _changed_at((aside.ledger / name).iterdir()) > moments.read_from:
            changed.append(f"ledger/{name} was written anew")
    return len(listed), changed


def _pin_beside(lake: Lake, aside: Lake, moments: Moments) -> Iterator[str]:
    """What the ledger knows of the forgotten, and the newest fuzzy evidence of then."""
    for name in (TOMBSTONES, SHARED):
        try:
            _link(lake.ledger / name, aside.ledger / name)
        except FileNotFoundError:
            continue
        if _changed_at([aside.ledger / name]) > moments.read_from:
            yield f"ledger/{name} was written anew: a person was forgotten, or the key rotated"
    for path in reversed(evidence_files(lake.root)):
        held = aside.ledger / path.parent.name / path.name
        held.parent.mkdir(exist_ok=True)
        _link(path, held)
        if _changed_at([held]) <= moments.read_from:
            break
        held.unlink()


def _pin_decisions(project: Project, folder: Path, moments: Moments) -> Iterator[str]:
    """The decisions of stewards as they were: lines are only added, each with its moment."""
    folder.mkdir(parents=True)
    if not (Path(project.root) / DECISIONS).exists():
        return
    shutil.copy2(Path(project.root) / DECISIONS, folder / DECISIONS)
    if _changed_at([folder / DECISIONS]) <= moments.read_from:
        return
    taken = read_decisions(folder)
    kept = [one for one in taken if one.decided_at + _SECOND <= moments.read_from]
    if any(one.decided_at <= moments.read_until for one in taken[len(kept) :]):
        yield f"{DECISIONS}: a decision was taken while that night was reading them"
    (folder / DECISIONS).write_text("".join(f"{one.to_json()}\n" for one in kept), "utf-8")


def _changed_configuration(root: Path, moments: Moments) -> Iterator[str]:
    """Files of the configuration written after the night began, and folders to which one was added, or lost one."""
    folders = [root / "sources", root / "journeys"]
    paths = [root / PROJECT_FILE, *(path for folder in folders for path in sorted(folder.glob("*.yaml")))]
    changed = [path.relative_to(root) for path in paths if _changed_at([path]) > moments.began]
    yield from (f"{path} was changed" for path in changed)
    for folder in folders:
        if folder.name not in {path.parts[0] for path in changed} and _changed_at([folder]) > moments.began:
            yield f"{folder.name}/ has other files"


def _changed_at(paths: Iterable[Path]) -> datetime:
    """When the last of these was written."""
    return datetime.fromtimestamp(max(path.stat().st_mtime_ns for path in paths) / 1e9, UTC)


def _link_tree(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise FileNotFoundError(source)
    for folder, _, files in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in files:
            _link(Path(folder) / name, into / name)


def _link(source: Path, target: Path) -> None:
    """The file again at `target`: linked, or copied where links fail."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(source, target)

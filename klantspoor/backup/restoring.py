"""Restoring a back-up: checked first, then put in its place, and what is left to do.

How it is put there is in `klantspoor.backup.putting`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from klantspoor.backup.contents import configuration
from klantspoor.backup.make import refuse_nested
from klantspoor.backup.manifest import KEY, Manifest, check
from klantspoor.backup.putting import BEFORE, Putting, is_as_kept
from klantspoor.errors import BackupError, ConfigError
from klantspoor.forget.steps import RECEIPTS
from klantspoor.intake.ledger import Ledger
from klantspoor.intake.vault import Vault
from klantspoor.lake import Lake, open_lake
from klantspoor.project.key import load_key
from klantspoor.project.load import PROJECT_FILE, load_project
from klantspoor.project.model import Project

_FAULTS = 5
KeyState = Literal["fits", "absent", "rotated", "other"]


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What was restored, and what is left to do.

    Attributes:
        made_at: when the back-up was made.
        files: the files taken in that the ledger holds now.
        lake: the lake's folder.
        aside: folders that hold what was there before, for its owner to remove.
        own_configuration: files of the project that are not as the back-up has them, and were left as they were.
        key: whether the project's key is the ledger's, or that and further ones (`rotated`).
        key_is_in_backup: whether the back-up has the ledger's key.
        receipts_since: receipts, of what was there before, that the back-up does not hold: their persons are back.
        read_since: files that the ledger before held and the back-up does not.
    """

    made_at: datetime
    files: int
    lake: Path
    aside: tuple[Path, ...]
    own_configuration: tuple[str, ...]
    key: KeyState
    key_is_in_backup: bool
    receipts_since: tuple[str, ...]
    read_since: int


def restore(
    source: Path, folder: Path, *, replace: bool = False, progress: Callable[[str], None] | None = None
) -> RestoreReport:
    """Restores the back-up in `source` into the project in `folder`.

    The project's own files are put back only where there is no project; a key is put back only where there is none.

    Args:
        source: a back-up.
        folder: the project's folder; made where it is absent.
        replace: whether what lake, vault and decisions hold already is moved aside.
        progress: is told in a line what is being done.

    Raises:
        BusyError: a run is writing to this lake.
        BackupError: the back-up is damaged, something is in the way, or there is not enough room. Nothing was changed.
        ConfigError: the project's files hold mistakes.
        LakeError: the lake's folder was not made by Klantspoor, or another process reads files into it.
    """
    source, folder, tell = source.absolute(), folder.absolute(), progress or (lambda _: None)
    tell("checking the back-up")
    manifest = whole(source)
    project = _project(source / manifest.folder / "project", folder)
    lake, vault = open_lake(project), Vault(project)
    vault.check()
    refuse_nested(source, {"project": folder, "lake": lake.root, "vault": vault.folder})
    with lake.writing("restore"), Ledger(lake.root).locked():
        Putting(source / manifest.folder, manifest, project, lake, vault).run(replace, tell)
    return _report(manifest, project, lake, vault)


def whole(source: Path) -> Manifest:
    """The manifest of a back-up that is whole.

    Raises:
        BackupError: it is not; the first faults are named.
    """
    found = check(source)
    if found.faults:
        more = f" and {len(found.faults) - _FAULTS} more" if len(found.faults) > _FAULTS else ""
        raise BackupError(f"the back-up in {source} is damaged: {'; '.join(found.faults[:_FAULTS])}{more}")
    return found.manifest


def _project(kept: Path, folder: Path) -> Project:
    """The project in the folder; the back-up's where there is none yet.

    Raises:
        BackupError: the folder holds something else.
    """
    if (folder / PROJECT_FILE).exists():
        return load_project(folder)
    project = load_project(kept)
    file = project.file
    ours = [*(path.name for path in kept.iterdir()), file.lake, file.landing, file.vault, file.pseudonym_key.file or ""]
    allowed = {Path(name).parts[0] for name in ours if name}
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    foreign = [name for name in found if name not in allowed and not name.startswith(".")]
    if foreign:
        raise BackupError(f"{folder} is no project and holds {foreign[0]!r}: give a project, or a new folder")
    return project.model_copy(update={"root": str(folder)})


def _report(manifest: Manifest, project: Project, lake: Lake, vault: Vault) -> RestoreReport:
    aside = [path for place in (lake.root, vault.folder) for path in sorted(place.glob(f"{BEFORE}*"))]
    receipts = {path.stem for folder in aside for path in (folder / RECEIPTS).glob("*.json")}
    read = {path.parent.name for folder in aside for path in folder.glob("ledger/*/file.json")}
    return RestoreReport(
        made_at=manifest.made_at,
        files=len(manifest.ledger_folders),
        lake=lake.root,
        aside=tuple(aside),
        own_configuration=tuple(_own_configuration(manifest, Path(project.root))),
        key=_key(manifest, project),
        key_is_in_backup=KEY in manifest.files,
        receipts_since=tuple(sorted(receipts - {Path(path).stem for path in manifest.of(RECEIPTS)})),
        read_since=len(read - manifest.ledger_folders),
    )


def _own_configuration(manifest: Manifest, root: Path) -> list[str]:
    there, kept = dict(configuration(root)), manifest.of("project")
    same = {name for name in there.keys() & kept.keys() if is_as_kept(manifest, there[name], name)}
    return sorted(name.removeprefix("project/") for name in (there.keys() | kept.keys()) - same)


def _key(manifest: Manifest, project: Project) -> KeyState:
    try:
        keys = load_key(project)
    except ConfigError:
        return "absent"
    if manifest.key_check not in keys.checks:
        return "other"
    return "fits" if keys.check == manifest.key_check else "rotated"

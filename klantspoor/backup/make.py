"""Making a back-up: a new folder beside the one before, then one replaced manifest, then the one before goes.

Files that did not change are linked from the back-up before, so that a night's back-up costs what the night brought. What
the lake does not hold any more, such as the rows of a forgotten person, is not in the new folder, and the old one goes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

from klantspoor.backup.contents import contents, copy_file
from klantspoor.backup.manifest import KEY, Entry, Manifest, read_manifest, write_manifest
from klantspoor.errors import BackupError, LakeError
from klantspoor.intake.ledger import Ledger
from klantspoor.intake.take import other_key
from klantspoor.lake import BusyError, Lake
from klantspoor.lake.publishing import force
from klantspoor.project.key import Keys, load_key, write_keys
from klantspoor.project.model import Project

MARK = ".klantspoor-backup"
_MAY_BE_THERE = {"lost+found"}
_OURS = re.compile(r"^(\d{6}|\.tmp-.*)$")
_SPARE = 16 << 20
"""Bytes left free for folders, the manifest and whatever rounds up."""
_PRIVATE = 0o700


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What a back-up came to.

    Attributes:
        folder: where it lies; `is_first`: it held none before. `ledger_files`: the files taken in that it holds.
        files: its files, `bytes` in all.
        new: files that the back-up before did not hold; `replaced`: those it held otherwise; `removed`: those it held and
            this one does not.
        copied_bytes: what was copied; all else was linked.
        gone: folders of the ledger that the back-up before held and the lake does not any more.
        has_key: whether the key is in it; `lost_key`: whether it was in the one before, and is not in this one.
        has_vault: whether any of the vault is.
    """

    folder: Path
    is_first: bool
    ledger_files: int
    files: int
    bytes: int
    new: int
    replaced: int
    removed: int
    copied_bytes: int
    gone: tuple[str, ...]
    has_key: bool
    lost_key: bool
    has_vault: bool


def back_up(
    project: Project,
    lake: Lake,
    target: Path,
    *,
    with_key: bool = False,
    whole: bool = False,
    progress: Callable[[str], None] | None = None,
) -> BackupReport:
    """Backs up ledger, receipts, decisions, configuration and vault into `target`; holds the lake meanwhile.

    Interrupted at any moment, `target` holds the back-up that it held before.

    Args:
        project: a loaded, valid project.
        lake: its lake.
        target: an absent or empty folder, or one that holds a back-up of this lake.
        with_key: whether the keys for pseudonyms go with it.
        whole: whether every file is copied, whatever the back-up holds already.
        progress: is told in a line what is being copied.

    Raises:
        BusyError: a run is writing to this lake, or another back-up to that folder.
        BackupError: the folder cannot be used, has not enough room, or holds the back-up of another lake.
        LakeError: nothing was read into this lake yet, its ledger cannot be read, or a change of it was interrupted.
        ConfigError: the key is asked for and not there, or is another than the ledger was made with.
    """
    target = target.absolute()
    refuse_nested(target, places(project, lake))
    ledger = Ledger(lake.root)
    if not ledger.files():
        raise LakeError("Nothing was read into this lake yet: there is nothing to back up")
    with lake.writing("backup"), ledger.writing():
        key_check = ledger.files()[0].record.key_check
        keys = _keys(project, key_check) if with_key else None
        with _held(target):
            making = _Making(target, contents(project, lake), keys, whole)
            return making.run(project.file.name, key_check, progress or (lambda _: None))


def places(project: Project, lake: Lake) -> dict[str, Path]:
    """The folders of a project that a back-up has to lie apart from."""
    root = Path(project.root)
    file = project.file
    return {"project": root, "lake": lake.root, "landing": root / file.landing, "vault": root / file.vault}


def refuse_nested(folder: Path, others: dict[str, Path]) -> None:
    """Sees that a back-up's folder lies apart from others, links followed.

    Raises:
        BackupError: it lies in one of these, or that in it.
    """
    mine = folder.resolve()
    for name, other in others.items():
        theirs = other.resolve()
        if mine == theirs or theirs in mine.parents or mine in theirs.parents:
            raise BackupError(
                f"{folder} is no place for a back-up: it lies in the {name} folder, or that in it. Best is another disk"
            )


def _keys(project: Project, key_check: str) -> Keys:
    keys = load_key(project)
    if keys.check != key_check:
        raise other_key(keys, key_check)
    return keys


@contextmanager
def _held(target: Path) -> Iterator[None]:
    """The folder, made where it is absent, ours, and ours alone.

    Raises:
        BackupError: it holds something and no back-up.
        BusyError: another process is making one there.
    """
    if target.exists() and not target.is_dir():
        raise BackupError(f"{target} is no folder")
    target.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
    mark = target / MARK
    foreign = sorted(path.name for path in target.iterdir() if path.name not in _MAY_BE_THERE)
    if foreign and not mark.exists():
        raise BackupError(f"{target} holds {foreign[0]!r} and is no back-up of ours: give a new or empty folder")
    with mark.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BusyError(f"another process is making a back-up in {target}: wait until it ends") from None
        yield


class _Making:
    """One back-up in the making, with all locks in hand."""

    def __init__(self, target: Path, sources: dict[str, Path], keys: Keys | None, whole: bool) -> None:
        self._target = target
        self._sources = sources
        self._keys = keys
        self._before = read_manifest(target)
        self._known = {} if self._before is None or whole else self._before.files

    def run(self, project: str, key_check: str, progress: Callable[[str], None]) -> BackupReport:
        """Makes it, and gives what came of it."""
        self._refuse_loss()
        self._sweep()
        number = int(self._before.folder) + 1 if self._before else 1
        aside = self._target / f".tmp-{number:06d}"
        same = {path for path, source in self._sources.items() if self._is_same(path, source)}
        needed = self._require_room(same)
        progress(f"copying {len(self._sources) - len(same):,} of {len(self._sources):,} files ({told_bytes(needed)})")
        try:
            files = self._fill(aside, same)
            manifest = Manifest(f"{number:06d}", datetime.now(UTC), project, _software(), key_check, files)
            self._finish(aside, manifest)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return self._report(manifest, sum(files[path].bytes for path in self._sources if path not in same))

    def _refuse_loss(self) -> None:
        """A lake that lost most of what the back-up holds must not take the back-up with it."""
        if self._before is None:
            return
        for part, ending in (("ledger", "/file.json"), ("vault", ".parquet")):
            held = {path for path in self._before.of(part) if path.endswith(ending)}
            gone = held - set(self._sources)
            if 2 * len(gone) > len(held):
                raise BackupError(
                    f"of the {part}'s {len(held):,} files in {self._target} most ({len(gone):,}) are not there any more:"
                    " it is the back-up of another lake, or this one was lost. Nothing was touched; restore it, or give"
                    " another folder"
                )

    def _sweep(self) -> None:
        """What interrupted runs left."""
        for path in self._target.iterdir():
            if _OURS.match(path.name) and (self._before is None or path.name != self._before.folder):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _held(self, path: str) -> Path:
        assert self._before is not None  # noqa: S101 - asked only of what it holds
        return self._target / self._before.folder / path

    def _is_same(self, path: str, source: Path) -> bool:
        """Whether the back-up holds it as it is: files of a lake are replaced, never written in place."""
        known, status = self._known.get(path), source.stat()
        if known is None or (known.bytes, known.modified_ns) != (status.st_size, status.st_mtime_ns):
            return False
        try:
            return self._held(path).stat().st_size == known.bytes
        except OSError:
            return False

    def _require_room(self, same: set[str]) -> int:
        """The bytes to be copied, for which there must be room; all of them where files cannot be linked."""
        linked = same if self._can_link() else set()
        needed = sum(source.stat().st_size for path, source in self._sources.items() if path not in linked)
        free = shutil.disk_usage(self._target).free
        if needed + _SPARE > free:
            raise BackupError(
                f"{self._target} has {told_bytes(free)} free and the back-up needs {told_bytes(needed)} more: nothing was"
                " touched"
            )
        return needed

    def _can_link(self) -> bool:
        probe = self._target / f".tmp-{uuid4().hex[:8]}"
        try:
            os.link(self._target / MARK, probe)
        except OSError:
            return False
        probe.unlink()
        return True

    def _fill(self, aside: Path, same: set[str]) -> dict[str, Entry]:
        aside.mkdir(mode=_PRIVATE)
        files = {}
        for path, source in self._sources.items():
            (aside / path).parent.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
            if path in same:
                files[path] = self._again(path, source, aside / path)
            else:
                files[path] = copy_file(source, aside / path)
        if self._keys is not None:
            write_keys(aside / KEY, self._keys)
            text = self._keys.text()
            files[KEY] = Entry(hashlib.sha256(text).hexdigest(), len(text), 0o600, 0)
        return files

    def _again(self, path: str, source: Path, new: Path) -> Entry:
        try:
            os.link(self._held(path), new)
        except OSError:
            return copy_file(source, new)
        return replace(self._known[path], mode=source.stat().st_mode & 0o777)

    def _finish(self, aside: Path, manifest: Manifest) -> None:
        for folder in [path for path in aside.rglob("*") if path.is_dir()]:
            force(folder)
        force(aside)
        aside.rename(self._target / manifest.folder)
        force(self._target)
        write_manifest(self._target, manifest)
        if self._before is not None:
            shutil.rmtree(self._target / self._before.folder)

    def _report(self, manifest: Manifest, copied: int) -> BackupReport:
        before = self._before.files if self._before else {}
        gone = self._before.ledger_folders - manifest.ledger_folders if self._before else set()
        both = before.keys() & manifest.files.keys()
        return BackupReport(
            folder=self._target,
            is_first=self._before is None,
            ledger_files=len(manifest.ledger_folders),
            files=len(manifest.files),
            bytes=manifest.bytes,
            new=len(manifest.files.keys() - before.keys()),
            replaced=sum(before[path].sha256 != manifest.files[path].sha256 for path in both),
            removed=len(before.keys() - manifest.files.keys()),
            copied_bytes=copied,
            gone=tuple(sorted(gone)),
            has_key=KEY in manifest.files,
            lost_key=KEY in before and KEY not in manifest.files,
            has_vault=bool(manifest.of("vault")),
        )


def told_bytes(size: int) -> str:
    """A size for people."""
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size} bytes"


def _software() -> str:
    try:
        return version("klantspoor")
    except PackageNotFoundError:
        return "unknown"

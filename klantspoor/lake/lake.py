"""The lake: its folders, its one writer, its versions and the pointer.

What a run stages is in `staging`, how a version is built in `publishing`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake.dropping import drop_due, read_note, write_note
from klantspoor.lake.lock import Lock, acquire
from klantspoor.lake.publishing import DATABASE, POINTER, build_version, move_pointer, write_database
from klantspoor.lake.rotating import refuse_while_rotating
from klantspoor.lake.staging import Staging
from klantspoor.lake.version import Version

MARKER = ".klantspoor"
_RUN_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
_VERSION = re.compile(r"^\d{6}$")
_BEFORE_MARKER = {MARKER, ".lock", "ledger"}


class Lake:
    """The folder in which ledger, staging and versions lie.

    `timezone` is the zone of months, `memory_mb` what DuckDB may use before it spills, `keep_versions` how many
    versions stay on disk.
    """

    def __init__(self, root: Path | str, timezone: str = "UTC", memory_mb: int = 1200, keep_versions: int = 7) -> None:
        self.root = Path(root).absolute()
        self.timezone = timezone
        self._memory_mb = memory_mb
        self._keep_versions = keep_versions

    @property
    def ledger(self) -> Path:
        """The folder of the ledger; it may not exist yet."""
        return self.root / "ledger"

    @property
    def versions(self) -> Path:
        """The folder of the published versions; it may not exist yet."""
        return self.root / "versions"

    def prepare(self) -> None:
        """Make the folder ours, or see that it is.

        Raises:
            LakeError: for a folder that holds something and was not made by Klantspoor.
        """
        marker = self.root / MARKER
        if marker.is_file():
            return
        self.root.mkdir(parents=True, exist_ok=True)
        foreign = sorted(path.name for path in self.root.iterdir() if path.name not in _BEFORE_MARKER)
        if foreign:
            raise LakeError(
                f"{self.root} was not made by Klantspoor and holds {foreign[0]!r}: nothing is written there."
                " Let `lake:` in klantspoor.yaml name a new or empty folder"
            )
        marker.write_text("This folder is written by Klantspoor. Change nothing in it by hand.\n", "utf-8")

    def open_run(self, run_id: str, as_of: datetime) -> Staging:
        """The staging of a run, new or as this run left it; it holds the writer's place until closed or published.

        Args:
            run_id: letters, digits, and ._- only.
            as_of: the night's clock, with its zone.

        Raises:
            BusyError: where another run is writing.
            LakeError: where the folder is not ours, the run began with another `as_of`, or a rotation was interrupted.
        """
        if not _RUN_ID.match(run_id):
            raise LakeError(f"{run_id[:80]!r} cannot name a run: use letters, digits, '.', '_' and '-', at most 80")
        if as_of.tzinfo is None:
            raise LakeError("as_of has no time zone: give an aware datetime")
        as_of = as_of.astimezone(UTC)
        self.prepare()
        lock, is_new = acquire(self.root / ".lock", run_id)
        try:
            refuse_while_rotating(self.root)
            if is_new:
                self._sweep(run_id)
            return self._staging(run_id, as_of, lock)
        except BaseException:
            if is_new:
                lock.release()
            raise

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Holds the writer's place for something that is no run, such as forgetting a person.

        Raises:
            BusyError: where a run is writing.
            LakeError: where the folder is not ours.
        """
        self.prepare()
        lock, _ = acquire(self.root / ".lock", name)
        try:
            yield
        finally:
            lock.release()

    def sweep_work(self, keep: str | None = None) -> None:
        """Removes what runs staged, but for the run `keep`; only the holder of the writer's place may."""
        for left in (self.root / "work").glob("*"):
            if left.name != keep:
                _remove(left)

    def drop_versions(self, names: Iterable[str], due: datetime) -> None:
        """Have versions removed after the moment `due`, whatever `keep_versions` says; never the current one.

        Of two moments for one version the earlier counts, so that a shorter grace holds at once.
        """
        noted = read_note(self.root)
        write_note(self.root, noted | {name: min(noted.get(name, due), due) for name in names})

    def drop_due(self, now: datetime | None = None) -> list[str]:
        """Removes the versions whose moment to go has come (by the wall clock); gives those that still wait for it.

        Raises:
            LakeError: where the note of them, or the pointer, cannot be read.
        """
        current = self.current()
        return drop_due(self.root, current.name if current else "", now or datetime.now(UTC))

    def due(self, names: Iterable[str]) -> datetime | None:
        """The moment after which all of these versions may be removed; None where none of them is to go."""
        noted = read_note(self.root)
        return max((noted[name] for name in names if name in noted), default=None)

    def version_names(self) -> list[str]:
        """The names of the versions on disk, oldest first."""
        return [f"{number:06d}" for number in self._numbers()]

    def _staging(self, run_id: str, as_of: datetime, lock: Lock) -> Staging:
        root = self.root / "work" / run_id
        note = root / "run.json"
        if note.is_file():
            began = datetime.fromisoformat(json.loads(note.read_text("utf-8"))["as_of"])
            if began != as_of:
                raise LakeError(
                    f"run {run_id} began with as_of {began.isoformat()}, not {as_of.isoformat()}: start a new run"
                )
        else:
            (root / "tables").mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps({"run_id": run_id, "as_of": as_of.isoformat()}), "utf-8")
        return Staging(root, run_id, as_of, timezone=self.timezone, memory_mb=self._memory_mb, lock=lock)

    def current(self) -> Version | None:
        """The published version, or None where nothing was published yet. Ask once, then read: it stays whole.

        Raises:
            LakeError: where the pointer names no version.
        """
        try:
            name = (self.root / POINTER).read_text("utf-8").strip()
        except FileNotFoundError:
            return None
        root = self.versions / name
        if not _VERSION.match(name) or not root.is_dir():
            raise LakeError(f"the pointer {POINTER!r} names {name[:20]!r}, which is not a version of this lake")
        return Version(root, self._memory_mb)

    def publish(self, staging: Staging) -> Version:
        """Make what the run staged the current version, all at once, and end the run.

        Raises:
            LakeError: where the run has not made every table, or is not the one that holds the lake. The version before
                it stays.
        """
        if not staging.is_open or staging.root.parent != self.root / "work":
            raise LakeError(f"run {staging.run_id} does not hold this lake: open it with lake.open_run first")
        self.versions.mkdir(exist_ok=True)
        name = f"{max(self._numbers(), default=0) + 1:06d}"
        published = Version(build_version(staging, self.versions, name, self.current()), self._memory_mb)
        aside = self.root / f".tmp-{name}-{DATABASE}"
        write_database(published, aside)
        move_pointer(self.root, name)
        # From here on it is published: what fails now must not look as if it were not, and the next run mends it.
        with suppress(OSError):
            aside.replace(self.root / DATABASE)
            self._prune(name)
        with suppress(OSError, LakeError):
            self.drop_due()
        staging.close()
        return published

    def _numbers(self) -> list[int]:
        return (
            sorted(int(path.name) for path in self.versions.glob("*") if _VERSION.match(path.name))
            if self.versions.is_dir()
            else []
        )

    def _prune(self, current: str) -> None:
        for number in self._numbers():
            if number <= int(current) - self._keep_versions:
                shutil.rmtree(self.versions / f"{number:06d}", ignore_errors=True)

    def _sweep(self, run_id: str) -> None:
        """Finish or remove what dead runs left behind; only the holder of the lock may."""
        current = self.current()
        if current is not None:
            self._mend_database(current)
            self._prune(current.name)
            self.drop_due()
        newest = int(current.name) if current else 0
        for number in self._numbers():
            if number > newest:  # built, but the pointer never moved to it
                shutil.rmtree(self.versions / f"{number:06d}", ignore_errors=True)
        for folder in (self.root, self.versions):
            for left in folder.glob(".tmp-*"):
                _remove(left)
        self.sweep_work(run_id)

    def _mend_database(self, current: Version) -> None:
        aside = self.root / f".tmp-{current.name}-{DATABASE}"
        if aside.exists() or not (self.root / DATABASE).exists():
            write_database(current, aside)
            aside.replace(self.root / DATABASE)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

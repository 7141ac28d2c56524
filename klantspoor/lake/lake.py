"""The lake: its folders, its one writer, and what it does to the versions and the pointer.

What a run stages is in `staging`, how a version is built in `publishing`; what readers do with versions in `shelf`.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from klantspoor.errors import LakeError
from klantspoor.lake import upgrading
from klantspoor.lake.disk import expect, written_and_whole
from klantspoor.lake.durable import make_folder
from klantspoor.lake.forecast import Forecast
from klantspoor.lake.history import History, settled, write_history
from klantspoor.lake.lock import Lock, acquire
from klantspoor.lake.pins import looking, read_pins, sweep_pins
from klantspoor.lake.pruning import outlived, take_away
from klantspoor.lake.publishing import DATABASE, build_version, move_pointer, write_database
from klantspoor.lake.rolling_back import refuse_roll_back
from klantspoor.lake.rotating import refuse_while_rotating
from klantspoor.lake.shelf import Shelf
from klantspoor.lake.staging import STATE, Staging
from klantspoor.lake.verifying import sweep_verification
from klantspoor.lake.version import Version

MARKER = ".klantspoor"
_RUN_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")
_BEFORE_MARKER = {MARKER, ".lock", "ledger"}


class Lake(Shelf):
    """The folder in which ledger, staging and versions lie.

    `timezone` is the zone of months, `memory_mb` what DuckDB may use before it spills, `keep_versions` how many
    versions stay on disk, `keep_for` how long each stays at least after it was the current one.
    """

    def __init__(
        self,
        root: Path | str,
        timezone: str = "UTC",
        memory_mb: int = 1200,
        keep_versions: int = 7,
        keep_for: timedelta = timedelta(days=1),
    ) -> None:
        super().__init__(Path(root).absolute(), memory_mb, keep_versions, keep_for)
        self.timezone = timezone

    @property
    def ledger(self) -> Path:
        """The folder of the ledger; it may not exist yet."""
        return self.root / "ledger"

    def prepare(self) -> None:
        """Make the folder ours, or see that it is.

        Raises:
            LakeError: for a folder that holds something and was not made by Klantspoor.
        """
        marker = self.root / MARKER
        if marker.is_file():
            return
        make_folder(self.root)
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
            LakeError: where the folder is not ours, the run began with another `as_of`, a rotation was interrupted, or
                the current version is of other software and nobody accepted what that changes.
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
                upgrading.refuse_unaccepted(self.root, self.current())
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

    def expect(self, landed: int) -> Forecast:
        """What the next night needs on disk, if the ledger grows by `landed` bytes. Worth asking once work was swept."""
        return expect(self.root, self._history(), landed)

    def require_disk(self, landed: int) -> Forecast:
        """To be asked before a night writes anything: as `expect`, where it fits.

        Raises:
            LakeError: where it does not; the message names what it needs, what is free, and what to do.
        """
        found = self.expect(landed)
        if not found.fits:
            raise LakeError(
                f"the night {found}: nothing was read or written. Free some, or keep fewer versions (`klantspoor versions`"
                " tells what each takes; limits.keep_versions, limits.keep_versions_for)"
            )
        return found

    def forget_state(self) -> None:
        """Has the run go on from nothing: what earlier nights kept for it goes, so that everything is built from the ledger.

        To be called by the holder of the writer's place, before the first stage. Tables of earlier versions stay as they are.
        """
        states = [self.root / STATE]
        current = self.current()
        if current is not None:
            states.append(current.state)
        for state in states:
            aside = (
                self.root / f".tmp-{STATE}"
            )  # out of sight at once: half of a state would be taken for a damaged one
            _remove(aside)
            if state.is_dir():
                state.rename(aside)
                _remove(aside)

    def sweep_work(self, keep: str | None = None) -> None:
        """Removes what runs staged, but for the run `keep`; only the holder of the writer's place may."""
        for left in (self.root / "work").glob("*"):
            if left.name != keep:
                _remove(left)

    def roll_back(self, name: str, *, other_dictionary: bool = False) -> Version:
        """Make an earlier version, or one that was set aside, the current one. What is newer is set aside.

        The next night goes on from it, and takes a number above all. Until then nothing else changes: what was read stays
        read, and that night builds from it again.

        Raises:
            BusyError: where a run is writing.
            NotFoundError: where there is no such version.
            LakeError: where it is current, damaged, to be removed, or made with another dictionary (unless said).
        """
        self.version(name)
        with self.writing("roll-back"):
            refuse_while_rotating(self.root)
            self._settle()
            version = self.version(name)
            refuse_roll_back(self.root, version, self.current(), other_dictionary=other_dictionary)
            self._make_current(version)
        return version

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

    def publish(self, staging: Staging) -> Version:
        """Make what the run staged the current version, all at once, and end the run.

        Raises:
            LakeError: where the run has not made every table, or is not the one that holds the lake. The version before
                it stays.
        """
        if not staging.is_open or staging.root.parent != self.root / "work":
            raise LakeError(f"run {staging.run_id} does not hold this lake: open it with lake.open_run first")
        self.versions.mkdir(exist_ok=True)
        before = self.current()
        # A number is never used again, not even one that was rolled back from and removed since.
        name = f"{max([self._history().highest, *map(int, self.version_names())]) + 1:06d}"
        published = Version(build_version(staging, self.versions, name, before), self._memory_mb)
        sizes = written_and_whole(staging.root, published.root, before.root if before is not None else None)
        history = self._make_current(published, sizes)
        with suppress(OSError):
            upgrading.consume(self.root)
            self._prune(history)
        with suppress(OSError, LakeError):
            self.drop_due()
        staging.close()
        return published

    def _make_current(self, version: Version, sizes: tuple[int, int] | None = None) -> History:
        """Moves the pointer, and all that follows it; `sizes` is what a night had written of a new version, and its whole.

        Gives the history after that.
        """
        aside = self.root / f".tmp-{version.name}-{DATABASE}"
        write_database(version, aside)
        history = settled(self._history(), version.name, self.version_names(), datetime.now(UTC))
        if sizes is not None:
            history = history.wrote(version.name, *sizes)
        move_pointer(self.root, version.name)
        # From here on it is the current one: what fails now must not look as if it were not, and the next run mends it.
        with suppress(OSError):
            aside.replace(self.root / DATABASE)
            write_history(self.root, history)
        return history

    def _sweep(self, run_id: str) -> None:
        """Finish or remove what dead runs left behind; only the holder of the lock may."""
        history = self._settle()
        for name in self.version_names():
            if name not in history.versions:  # built, but the pointer never moved to it
                _remove(take_away(self.versions, name))
        self._prune(history)
        self.drop_due()
        for folder in (self.root, self.versions):
            for left in folder.glob(".tmp-*"):
                _remove(left)
        self.sweep_work(run_id)
        sweep_verification(self.root)

    def _settle(self) -> History:
        """Brings database and history to what the pointer says, where a crash left them behind."""
        current, history = self.current(), self._history()
        if current is not None:
            self._mend_database(current)
            write_history(self.root, history)
        return history

    def _prune(self, history: History) -> None:
        now = datetime.now(UTC)
        with looking(self.root, wait=False) as still:
            if not still:
                return  # somebody is pinning a version right now: the next night prunes
            sweep_pins(self.root, self.version_names(), now)
            gone = outlived(history, read_pins(self.root, now), self._keep_versions, self._keep_for, now)
            asides = [take_away(self.versions, name) for name in gone]
        for aside in asides:
            shutil.rmtree(aside, ignore_errors=True)

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

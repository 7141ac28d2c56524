"""Taking in: which landing files are new, and each of them into the ledger, whole or not at all.

How a file is read is in `klantspoor.intake.reading`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from klantspoor.errors import ConfigError, Problem, UnavailableError
from klantspoor.intake.landing import Fingerprint, LandingFile, find, fingerprint
from klantspoor.intake.ledger import FileRecord, Ledger, folder_name
from klantspoor.intake.reading import Counts, Reading, read_file
from klantspoor.intake.tombstones import read_tombstones
from klantspoor.intake.vault import Vault, VaultPart
from klantspoor.project.key import Keys, load_key
from klantspoor.project.model import Project

Outcome = Literal["used", "quarantined", "known", "changing", "refused", "later"]


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one landing file this time.

    `used` and `quarantined`: now in the ledger, as `sequence`. `known`: its content was read before. `changing`: it
    changed or vanished while it was read, and is left for the next night. `refused`: not opened, or not read to its end.
    `later`: it landed after the nights that are taken in. `detail` says why.
    """

    source: str
    file: str
    outcome: Outcome
    sequence: int | None = None
    counts: Counts = field(default_factory=Counts)
    reason: str | None = None
    detail: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class IntakeReport:
    """What a night took in: one result for each file found, in the order of taking in."""

    as_of: datetime
    files: tuple[FileResult, ...]

    def of(self, outcome: Outcome) -> list[FileResult]:
        """The files with this outcome."""
        return [file for file in self.files if file.outcome == outcome]

    def total(self, count: str) -> int:
        """The sum of one count (`rows_read`, `events_made`, …) over the files taken in."""
        return sum(int(getattr(file.counts, count)) for file in self.files)


def take_in(
    project: Project,
    lake_root: Path,
    as_of: datetime,
    *,
    landed_before: datetime | None = None,
    progress: Callable[[str], None] | None = None,
) -> IntakeReport:
    """Reads every landing file whose content is new into the ledger of the lake.

    Files are taken in the order in which they landed (mtime, never later than `as_of`), then by name. What cannot be
    used is quarantined and said in the report; it stops nothing.

    Args:
        project: a loaded, valid project.
        lake_root: the lake's folder; made if it is not there.
        as_of: the night's clock, an aware datetime.
        landed_before: leaves what landed at this moment or later (an aware datetime), for replaying nights; everything
            that landed earlier and was never read is taken in, however long ago. None: everything that is there.
        progress: is told in a line what is being read.

    Raises:
        ConfigError: the key for pseudonyms is not there, or is another than the ledger was made with; or the vault is
            needed and lies in the lake or the landing folder.
        LakeError: another process is taking files in, or the ledger or its tombstones cannot be read.
        ValueError: `as_of` or `landed_before` has no time zone.
    """
    if as_of.tzinfo is None or (landed_before is not None and landed_before.tzinfo is None):
        raise ValueError("as_of and landed_before need a time zone: give aware datetimes")
    as_of = as_of.astimezone(UTC)
    keys = load_key(project)
    ledger = Ledger(lake_root)
    with ledger.writing():
        intake = _Intake(project, ledger, keys, progress or (lambda _: None))
        return IntakeReport(as_of, tuple(intake.run(as_of, landed_before)))


class _Intake:
    """One call of `take_in`."""

    def __init__(self, project: Project, ledger: Ledger, keys: Keys, progress: Callable[[str], None]) -> None:
        self._project = project
        self._ledger = ledger
        self._keys = keys
        self._progress = progress
        files = ledger.files()
        records = [file.record for file in files]
        self._check = keys.check
        for record in records:
            if record.key_check != self._check:
                raise other_key(keys, record.key_check)
        self._vault = Vault(project)
        if self._vault.is_used:
            self._vault.check()
        self._vault.sweep({file.path.name for file in files})
        self._known = {(record.source, record.content_hash): record for record in records}
        self._tombstones = read_tombstones(ledger.folder)
        self._next = max((record.sequence for record in records), default=0) + 1

    def run(self, as_of: datetime, landed_before: datetime | None) -> Iterator[FileResult]:
        landing = Path(self._project.root) / self._project.file.landing
        files: list[LandingFile] = []
        for name, source in sorted(self._project.sources.items()):
            found, refused = find(landing, name, source.files, as_of)
            files += found
            yield from (FileResult(r.source, r.file, "refused", detail=r.why) for r in refused)
        for file in sorted(files, key=lambda f: (f.landed_at, f.file, f.source)):
            if landed_before is not None and file.there_since >= landed_before:
                yield FileResult(file.source, file.file, "later", detail="it landed after the nights taken in")
            else:
                yield self._take(file)
        self._vault.sweep({file.path.name for file in self._ledger.files()})

    def _take(self, file: LandingFile) -> FileResult:
        began = time.perf_counter()
        try:
            before = fingerprint(file.path)
        except FileNotFoundError:
            return FileResult(file.source, file.file, "changing", detail="it vanished before it was read")
        except OSError as error:
            return FileResult(file.source, file.file, "refused", detail=f"it cannot be opened: {error.strerror}")
        known = self._known.get((file.source, before.content_hash))
        if known is not None:
            return FileResult(file.source, file.file, "known", known.sequence, detail=_why_known(known))
        self._progress(f"reading {file.source}: {file.file}")
        aside = self._ledger.new_folder(self._next)
        part = self._vault.new_part(self._next)
        source = self._project.sources[file.source]
        try:
            reading = read_file(self._project, source, file, self._keys, aside, part, self._tombstones)
        except UnavailableError as error:
            return self._left(file, part, "refused" if file.path.exists() else "changing", str(error))
        if _changed(file.path, before):
            return self._left(file, part, "changing", "it changed while it was read; left for the next night")
        seconds = time.perf_counter() - began
        record = self._record(file, before, reading, seconds)
        part.keep(folder_name(record))
        self._ledger.add(aside, record)
        self._known[file.source, before.content_hash] = record
        self._next += 1
        fault = reading.fault
        return FileResult(
            file.source, file.file, "quarantined" if fault else "used", record.sequence, reading.counts,
            fault.reason if fault else None, f"{file.file}: {fault.detail}" if fault else None, seconds,
        )  # fmt: skip

    def _left(self, file: LandingFile, part: VaultPart, outcome: Outcome, why: str) -> FileResult:
        """A file of which nothing is kept tonight."""
        self._ledger.sweep()
        part.drop()
        return FileResult(file.source, file.file, outcome, detail=why)

    def _record(self, file: LandingFile, state: Fingerprint, reading: Reading, seconds: float) -> FileRecord:
        return FileRecord(
            source=file.source,
            file=file.file,
            content_hash=state.content_hash,
            landed_at=file.landed_at,
            sequence=self._next,
            file_status="quarantined" if reading.fault else "used",
            dialect=reading.dialect,
            seconds=round(seconds, 3),
            key_check=self._check,
            **asdict(reading.counts),
        )


def _why_known(known: FileRecord) -> str:
    if known.file_status == "used":
        return f"its content was read as {known.file}"
    return f"its content was quarantined as {known.file}; remove {folder_name(known)} from the ledger to have it read again"


def _changed(path: Path, before: Fingerprint) -> bool:
    try:
        return fingerprint(path) != before
    except OSError:
        return True


def other_key(keys: Keys, found: str) -> ConfigError:
    """What is wrong where the project's keys are not those that the ledger was made with; `found` is its check."""
    if found in keys.checks:
        layers = keys.checks.index(found) + 1
        message = f"there are {len(keys)} keys, and the lake was made with the first {layers} alone"
        expected, hint = "a lake made with all of them", "run `klantspoor key rotate` to bring it there"
    else:
        message = "the key is another than the ledger was made with"
        expected = "the key of all earlier nights; where it was rotated, every key, the oldest first"
        hint = "bring that key back; with another one no person would be recognised any more"
    return ConfigError([Problem("klantspoor.yaml", "pseudonym_key", message, expected=expected, hint=hint)])

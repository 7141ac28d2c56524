"""The ledger on disk: one folder per file taken in, written aside, synced and renamed into place.

Schemas of its Parquet files, reading it, and adding to it. What goes into a folder: `klantspoor.intake.reading`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.lake.durable import make_folder
from klantspoor.lake.rotating import refuse_while_rotating

_FOLDER = re.compile(r"^\d{8,}-")
"""Folders of files taken in begin with their sequence; what else lies in the ledger is no file."""
_FRESH, _OLD = ".new-", ".old-"
_INSTANT = pa.timestamp("us", tz="UTC")
IDENTIFIERS = pa.list_(
    pa.field(
        "element",
        pa.struct([("type", pa.string()), ("identifier", pa.string()), ("guard", pa.string())]),
        nullable=False,
    )
)
"""Per identifier its type, its pseudonym, and the guard that made it nobody's as it was read (null: none did)."""
LINKS_SCHEMA = pa.schema(
    [
        pa.field("identifier_set", pa.uint64(), nullable=False),
        pa.field("position", pa.int16(), nullable=False),
        pa.field("identifiers", IDENTIFIERS, nullable=False),
        pa.field("first_seen", _INSTANT, nullable=False),
        pa.field("last_seen", _INSTANT, nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("persona", pa.string()),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("quarantine_number", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("column", pa.string()),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("identifiers", IDENTIFIERS, nullable=False),
    ]
)


def EVENTS_SCHEMA(case_keys: Sequence[str]) -> pa.Schema:  # noqa: N802 - read as a constant, like its siblings
    """The schema of a ledger folder's `events.parquet`; `key_NAME` for each of `case_keys`, in that order."""
    return pa.schema(
        [
            pa.field("row_number", pa.int64(), nullable=False),
            pa.field("position", pa.int16(), nullable=False),
            pa.field("event_id", pa.string(), nullable=False),
            pa.field("source_event_id", pa.string(), nullable=False),
            pa.field("version", pa.float64()),
            pa.field("content", pa.uint64(), nullable=False),
            pa.field("occurred_at", _INSTANT, nullable=False),
            pa.field("ended_at", _INSTANT),
            pa.field("need_started_at", _INSTANT),
            pa.field("received_at", _INSTANT, nullable=False),
            pa.field("tie_order", pa.int64(), nullable=False),
            pa.field("activity", pa.string(), nullable=False),
            pa.field("channel", pa.string()),
            pa.field("initiator", pa.string()),
            pa.field("team", pa.string()),
            pa.field("topic", pa.string()),
            pa.field("outcome", pa.string()),
            pa.field("persona", pa.string()),
            pa.field("declared_visibility", pa.string()),
            pa.field("account_id", pa.string()),
            *[pa.field(f"key_{name}", pa.string()) for name in case_keys],
            pa.field("instrument", pa.string()),
            pa.field("score", pa.float64()),
            pa.field("score_0_100", pa.float64()),
            pa.field("attributes", pa.string()),
            pa.field("identifier_set", pa.uint64(), nullable=False),
        ]
    )


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What `file.json` says about one file taken in; every count is of this file alone.

    `rows_read` counts data rows; those not ignored, reference, quarantined or erased are held by events. `landed_at` is an
    aware UTC datetime. `key_check` tells one pseudonymisation key from another without giving it away.
    """

    source: str
    file: str
    content_hash: str
    landed_at: datetime
    sequence: int
    file_status: str
    dialect: str | None
    rows_read: int
    rows_ignored: int
    rows_reference: int
    rows_quarantined: int
    rows_erased: int
    events_made: int
    times_resolved: int
    anonymous_events: int
    seconds: float
    key_check: str

    def to_json(self) -> str:
        """The text of `file.json`."""
        values = asdict(self) | {"landed_at": self.landed_at.isoformat()}
        return json.dumps(values, indent=1, ensure_ascii=True) + "\n"


@dataclass(frozen=True, slots=True)
class LedgerFile:
    """One folder of the ledger: what `file.json` says (`record`) and where its parts are."""

    path: Path
    record: FileRecord

    @property
    def events(self) -> Path:
        """Path of `events.parquet` (no rows for reference and quarantined files)."""
        return self.path / "events.parquet"

    @property
    def links(self) -> Path:
        """Path of `links.parquet`."""
        return self.path / "links.parquet"

    @property
    def quarantine(self) -> Path:
        """Path of `quarantine.parquet`."""
        return self.path / "quarantine.parquet"


class Ledger:
    """The ledger of one lake: `root` is the lake's folder; the ledger is made when something is first added."""

    def __init__(self, root: Path) -> None:
        self.folder = Path(root) / "ledger"

    def files(self) -> list[LedgerFile]:
        """Every file taken in, by sequence.

        Raises:
            LakeError: a folder of the ledger cannot be read.
        """
        if not self.folder.is_dir():
            return []
        paths = sorted(p for p in self.folder.iterdir() if _FOLDER.match(p.name) and p.is_dir())
        return sorted((LedgerFile(p, _read_record(p)) for p in paths), key=lambda f: f.record.sequence)

    def first(self) -> LedgerFile | None:
        """The file taken in first, None where there is none; reads no other.

        Raises:
            LakeError: its folder cannot be read.
        """
        names = [p.name for p in self.folder.iterdir() if _FOLDER.match(p.name)] if self.folder.is_dir() else []
        if not names:
            return None
        path = self.folder / min(names, key=lambda name: int(name.partition("-")[0]))
        return LedgerFile(path, _read_record(path))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the ledger's lock and sweeps what a crash left behind.

        Raises:
            LakeError: another process is taking files in, or a rotation of the key was interrupted.
        """
        with self.locked():
            refuse_while_rotating(self.folder.parent)
            self.sweep()
            yield

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the ledger's lock and looks at nothing.

        Raises:
            LakeError: another process holds it.
        """
        make_folder(self.folder)
        with (self.folder / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LakeError("another run is taking files into this lake; wait for it to end") from None
            yield

    def sweep(self) -> None:
        """Removes what was never finished, and finishes the exchange of a folder that a crash cut short."""
        for leftover in self.folder.glob(".tmp-*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for fresh in list(self.folder.glob(f"{_FRESH}*")):
            self._exchange(fresh)
        for old in self.folder.glob(f"{_OLD}*"):
            shutil.rmtree(old)

    def replace(self, aside: Path, record: FileRecord) -> LedgerFile:
        """Puts what `aside` holds in the place of the folder that the ledger has of this file, whole or not at all.

        It is named as ready only when it is whole and on disk: whatever happens after that, `sweep` brings to its end.
        """
        self._complete(aside, record)
        fresh = self.folder / f"{_FRESH}{folder_name(record)}"
        aside.rename(fresh)
        sync(self.folder)
        return LedgerFile(self._exchange(fresh), record)

    def _exchange(self, fresh: Path) -> Path:
        final = self.folder / fresh.name.removeprefix(_FRESH)
        old = self.folder / f"{_OLD}{final.name}"
        if final.exists():
            final.rename(old)
        fresh.rename(final)
        sync(self.folder)
        if old.exists():
            shutil.rmtree(old)
        return final

    def _complete(self, aside: Path, record: FileRecord) -> None:
        (aside / "file.json").write_text(record.to_json(), encoding="utf-8")
        for part in aside.iterdir():
            sync(part)
        sync(aside)

    def new_folder(self, sequence: int) -> Path:
        """An empty folder aside, to be filled and then given to `add`."""
        path = self.folder / f".tmp-{sequence:08d}"
        if path.exists():
            shutil.rmtree(path)
        path.mkdir()
        return path

    def add(self, aside: Path, record: FileRecord) -> LedgerFile:
        """Writes `file.json`, syncs all of `aside` and renames it into place, in that order."""
        self._complete(aside, record)
        final = self.folder / folder_name(record)
        aside.rename(final)
        sync(self.folder)
        return LedgerFile(final, record)


def folder_name(record: FileRecord) -> str:
    """What the ledger folder of a file is called, and its vault file."""
    return f"{record.sequence:08d}-{record.content_hash[:12]}"


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a small Parquet file of the ledger."""
    pq.write_table(table, path, compression="zstd")


def repetitive(schema: pa.Schema) -> list[str]:
    """Columns worth a dictionary in Parquet: texts that are not made to be unique."""
    unique = ("event_id", "source_event_id", "attributes")
    return [field.name for field in schema if pa.types.is_string(field.type) and field.name not in unique]


def _read_record(folder: Path) -> FileRecord:
    try:
        values = json.loads((folder / "file.json").read_text(encoding="utf-8"))
        values["landed_at"] = datetime.fromisoformat(values["landed_at"])
        return FileRecord(**{field.name: values[field.name] for field in fields(FileRecord)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LakeError(
            f"the ledger folder {folder.name} cannot be read ({type(error).__name__});"
            " restore it from a back-up: the ledger is what every table is made from"
        ) from error


def sync(path: Path) -> None:
    """Forces a file or a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

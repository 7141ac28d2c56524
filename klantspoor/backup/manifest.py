"""The manifest of a back-up: which folder of it is the whole one, and the hash of every file in it. And checking that.

It is written last and replaced as a whole: what it names is whole, whatever else lies in the back-up.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from klantspoor.errors import BackupError
from klantspoor.lake.durable import OWNER_ONLY, replace_text

MANIFEST = "klantspoor-backup.json"
KEY = "key"
"""The file of the keys, beside folders called ledger, receipts, project and vault."""
_FORMAT = 1
_FOLDER = re.compile(r"^\d{6}$")
_PATH = re.compile(
    r"^(key|ledger/[^\0]+|receipts/[^/\0]+\.json|vault/[^/\0]+\.parquet"
    r"|project/(klantspoor\.yaml|identity-decisions\.jsonl|(sources|journeys)/[^/\0]+\.yaml))$",
    re.DOTALL,
)
_HASH = re.compile(r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: its hash and size, and the mode and the time of writing (ns) of the file that it is a copy of."""

    sha256: str
    bytes: int
    mode: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a back-up says of itself.

    Attributes:
        folder: the folder that holds it, such as "000003".
        made_at: when it was made, in UTC.
        project: the project's name; `software`: the Klantspoor that made it.
        key_check: tells the key that the ledger was made with from others, and gives none away.
        files: every file by its path in the folder.
    """

    folder: str
    made_at: datetime
    project: str
    software: str
    key_check: str
    files: dict[str, Entry]

    def of(self, part: str) -> dict[str, Entry]:
        """The files of one part: ledger, receipts, project, vault, or the key."""
        return {path: entry for path, entry in self.files.items() if PurePosixPath(path).parts[0] == part}

    @property
    def ledger_folders(self) -> set[str]:
        """The names of the ledger's folders, one for each file taken in."""
        paths = map(PurePosixPath, self.of("ledger"))
        return {path.parent.name for path in paths if path.name == "file.json" and len(path.parts) == 3}

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(entry.bytes for entry in self.files.values())


def read_manifest(target: Path) -> Manifest | None:
    """The manifest of the back-up in `target`; None where there is none, such as after a first one was interrupted.

    Raises:
        BackupError: it is damaged, or of a format that this version does not know.
    """
    try:
        said = json.loads((target / MANIFEST).read_text("utf-8"))
        if said["format"] != _FORMAT:
            raise BackupError(
                f"{target / MANIFEST} is of format {said['format']!r:.20}: use the Klantspoor that made it"
            )
        files = {_path(path): _entry(entry) for path, entry in said["files"].items()}
        made_at = datetime.fromisoformat(said["made_at"]).astimezone(UTC)
        texts = {name: str(said[name]) for name in ("folder", "project", "software", "key_check")}
        if not _FOLDER.match(texts["folder"]):
            raise ValueError
        return Manifest(made_at=made_at, files=files, **texts)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(
            f"{target / MANIFEST} cannot be read ({type(error).__name__}): without it the back-up cannot be trusted."
            " Make one in another folder"
        ) from None


def write_manifest(target: Path, manifest: Manifest) -> None:
    """Makes the folder that the manifest names the back-up."""
    said: dict[str, Any] = asdict(manifest) | {"format": _FORMAT, "made_at": manifest.made_at.isoformat()}
    replace_text(target / MANIFEST, json.dumps(said, indent=1) + "\n", OWNER_ONLY)


def _path(path: str) -> str:
    """A path that a back-up may hold: restoring writes to where it says."""
    if ".." in PurePosixPath(path).parts or str(PurePosixPath(path)) != path or not _PATH.match(path):
        raise ValueError
    return path


def _entry(said: dict[str, Any]) -> Entry:
    entry = Entry(str(said["sha256"]), int(said["bytes"]), int(said["mode"]), int(said["modified_ns"]))
    if not _HASH.match(entry.sha256) or entry.bytes < 0 or not 0 <= entry.mode <= 0o777:
        raise ValueError
    return entry


@dataclass(frozen=True, slots=True)
class Check:
    """What checking a back-up came to; it is whole where there are no `faults`.

    `left_over` are folders of interrupted runs, which count for nothing.
    """

    manifest: Manifest
    faults: tuple[str, ...]
    left_over: tuple[str, ...]


def check(target: Path) -> Check:
    """Reads every file of the back-up in `target` and holds it against its hash.

    Raises:
        BackupError: there is no back-up, or its manifest is damaged.
    """
    manifest = _read(target)
    while True:
        faults = _faults(target / manifest.folder, manifest)
        now = _read(target)
        if not faults or now.folder == manifest.folder:
            break
        manifest = now  # another was made while this one was read
    others = (path.name for path in target.iterdir() if _FOLDER.match(path.name) or path.name.startswith(".tmp-"))
    left_over = tuple(sorted(name for name in others if name != manifest.folder))
    return Check(manifest, tuple(faults), left_over)


def _read(target: Path) -> Manifest:
    manifest = read_manifest(target)
    if manifest is None:
        raise BackupError(f"{target} holds no back-up: there is no {MANIFEST}")
    return manifest


def _faults(folder: Path, manifest: Manifest) -> list[str]:
    faults = []
    for path, entry in sorted(manifest.files.items()):
        try:
            size = (folder / path).stat().st_size
            if size != entry.bytes:
                faults.append(f"{path} has {size:,} bytes instead of {entry.bytes:,}")
            elif sha256(folder / path) != entry.sha256:
                faults.append(f"{path} holds something else than was written")
        except FileNotFoundError:
            faults.append(f"{path} is missing")
        except OSError as error:
            faults.append(f"{path} cannot be read: {error.strerror}")
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return faults + [f"{path} is not of this back-up" for path in sorted(there - set(manifest.files))]


def sha256(path: Path) -> str:
    """The hash of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

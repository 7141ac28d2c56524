"""Rotation of the key, from the first look to the last rename.

The lake follows the keys: where the project has keys that the lake was not made with, the lake is brought there; only
where it has none, a further key is made. A key file is changed together with the lake; a variable, which only people can
change, is changed before it. So no pseudonym is ever without its key.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from klantspoor.errors import ConfigError, LakeError, Problem
from klantspoor.intake.ledger import Ledger, LedgerFile
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import locked_connection
from klantspoor.lake import open_lake
from klantspoor.lake.connection import limited
from klantspoor.lake.lock import acquire
from klantspoor.project.key import Keys, load_key, parse_keys, write_keys
from klantspoor.project.model import Project
from klantspoor.rotation.columns import Columns
from klantspoor.rotation.state import layers_of
from klantspoor.rotation.swap import ASIDE, Swap, begin, finish, is_interrupted, throw_away
from klantspoor.rotation.tables import Tables

NEW_KEYS = "pseudonym.key.new"
"""Where the keys are written for a project that takes them from the environment."""
_DECISIONS = "identity-decisions.jsonl"
_LINKAGE = "linkage"
_FORGETTING = "forgetting"
_FILES = {"tombstones.parquet": ("tombstone",), "shared.parquet": ("identifier",)}
"""Files of the ledger about forgotten persons, and their columns of pseudonyms."""
_PASSED_OVER = (".lock", ASIDE)


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What became of it.

    `rotated`: the lake was brought to the project's keys. `finished`: an interrupted rotation was. `key_made`: the project
    takes its key from the environment; `key_file` holds what the variable is to be, and nothing else was changed.
    `files` counts the ledger's files, `keys` the keys that the project now has.
    """

    outcome: Literal["rotated", "finished", "key_made"]
    files: int
    keys: int
    key_file: Path | None = None


def rotate(project: Project, *, progress: Callable[[str], None] | None = None) -> RotationReport:
    """Brings the lake, the vault and the stewards' decisions to the project's keys, after making one where none is new.

    Holds the lake and its ledger: nights wait until it ends. It may be asked for again after any interruption.

    Args:
        project: a loaded, valid project.
        progress: is told in a line what is being written.

    Raises:
        ConfigError: the key is not there, is another than the ledger was made with, or cannot be written.
        LakeError: another run is writing, nothing was read into the lake yet, or it holds what cannot be rotated.
    """
    keys = load_key(project)
    lake = open_lake(project)
    root, ledger = lake.root, Ledger(lake.root)
    if not ledger.files():
        raise LakeError(
            "Nothing was read into this lake yet, so no pseudonym has to change: put another key in place of the old"
        )
    lock, _ = acquire(root / ".lock", "key-rotation")
    try:
        with ledger.locked():
            if is_interrupted(root):
                finish(root)
                report = RotationReport("finished", len(ledger.files()), len(load_key(project)))
            else:
                report = _Rotation(project, ledger, progress or (lambda _: None)).run(keys)
        if report.outcome != "key_made":
            # They hold the old pseudonyms; the current one goes once a night has published another.
            lake.drop_versions(lake.version_names(), datetime.now(UTC) + project.file.limits.readers_grace)
        return report
    finally:
        lock.release()


class _Rotation:
    """One rotation, with all locks in hand and nothing left to finish."""

    def __init__(self, project: Project, ledger: Ledger, progress: Callable[[str], None]) -> None:
        self._project = project
        self._ledger = ledger
        self._progress = progress
        self._folder = Path(project.root)
        self._lake = ledger.folder.parent
        vault = self._folder / project.file.vault
        self._swaps = [
            Swap(ledger.folder / ASIDE, ledger.folder),
            Swap(vault / ASIDE, vault),
            _beside(self._folder / _DECISIONS),
        ]

    def run(self, keys: Keys) -> RotationReport:
        """Brings the lake to `keys`, or to these and a new one."""
        named = self._project.file.pseudonym_key.file
        if named is not None:
            self._swaps.append(_beside((self._folder / named).resolve()))
        throw_away(self._swaps)
        self._ledger.sweep()
        files = self._ledger.files()
        done = layers_of(keys, files)
        if done == len(keys):
            longer = keys.longer()
            if named is None:
                return RotationReport("key_made", len(files), len(longer), self._to_be_set(keys, longer))
            write_keys(self._swaps[-1].aside, longer)
            keys = longer
        self._write_aside(keys, done, files)
        begin(self._lake, self._swaps, keys.check)
        finish(self._lake)
        return RotationReport("rotated", len(files), len(keys))

    def _to_be_set(self, keys: Keys, longer: Keys) -> Path:
        """The file with what the variable is to be: written, or as it was written before."""
        path = self._folder / NEW_KEYS
        if path.exists():
            if parse_keys(path.read_bytes()).chain[:-1] == keys.chain:
                return path
            hint = "move it away if you are sure that no lake needs it"
            raise ConfigError([Problem(NEW_KEYS, "", "exists already, and holds other keys", hint=hint)])
        return write_keys(path, longer)

    def _write_aside(self, keys: Keys, done: int, files: list[LedgerFile]) -> None:
        """All that has pseudonyms, written anew beside what it will replace."""
        ledger, vault, decisions = self._swaps[:3]
        others = list(self._others())
        locked = locked_connection(self._project.file.limits.memory_mb)
        spill = self._ledger.folder / ".tmp-spill"
        with limited(self._project.file.limits.memory_mb, spill) as con:
            tables = Tables(con, locked, Columns(Pseudonymiser(locked, keys), done))
            for number, file in enumerate(files, start=1):
                self._progress(f"rotating {file.record.source}: {file.record.file} ({number} of {len(files)})")
                tables.ledger_folder(file, keys.check, ledger.aside / file.path.name)
            for path, columns in others:
                place = ledger.aside / path.relative_to(ledger.place)
                place.parent.mkdir(exist_ok=True)
                tables.pseudonyms(path, place, *columns)
            if vault.place.is_dir():
                vault.aside.mkdir(mode=0o700)
                for path in sorted(vault.place.glob("*.parquet")):
                    tables.pseudonyms(path, vault.aside / path.name, "record")
            if decisions.place.exists():
                tables.decisions(decisions.place, decisions.aside)
        shutil.rmtree(spill)

    def _others(self) -> Iterator[tuple[Path, tuple[str, ...]]]:
        """Files of the ledger that are in no file's folder, and their columns of pseudonyms.

        Raises:
            LakeError: for one that is not known, as pseudonyms in it would be lost, or while a person is being forgotten.
        """
        known = {file.path.name for file in self._ledger.files()}
        for path in sorted(self._ledger.folder.iterdir()):
            if path.name in _FILES:
                yield path, _FILES[path.name]
            elif path.name == _LINKAGE:
                yield from ((run, ("left", "right")) for run in sorted(path.glob("*.parquet")))
            elif path.name == _FORGETTING:
                raise LakeError(
                    "a person is being forgotten in this lake: let that come to its end, then rotate the key"
                )
            elif path.name not in known and path.name not in _PASSED_OVER:
                raise LakeError(
                    f"the ledger holds {path.name}, of which rotation does not know whether pseudonyms are in it:"
                    " take it out first"
                )


def _beside(place: Path) -> Swap:
    """The swap of a single file."""
    return Swap(place.with_name(place.name + ASIDE), place)

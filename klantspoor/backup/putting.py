"""Putting a checked back-up in its place: copied aside, then moved while a note in the lake keeps nights out.

What is in the way is never overwritten: it is moved into a folder of the lake, or of the vault, where forgetting a person
finds it too. Interrupted at any moment, the same call again comes to the same end.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path

from klantspoor.backup.contents import copy_file
from klantspoor.backup.make import told_bytes
from klantspoor.backup.manifest import KEY, Entry, Manifest, sha256
from klantspoor.errors import BackupError, ConfigError
from klantspoor.forget.beside import DECISIONS
from klantspoor.forget.request import pending, save
from klantspoor.forget.steps import RECEIPTS
from klantspoor.intake.vault import Vault
from klantspoor.lake import Lake
from klantspoor.lake.durable import OWNER_ONLY, replace_file, replace_text
from klantspoor.lake.lake import MARKER
from klantspoor.lake.publishing import POINTER, force
from klantspoor.lake.rotating import RESTORING
from klantspoor.lake.verifying import VERIFYING
from klantspoor.project.key import parse_keys, write_keys
from klantspoor.project.load import PROJECT_FILE
from klantspoor.project.model import Project

BEFORE = "before-restore-"
"""Folders of the lake and of the vault with what was there before begin so."""
_ASIDE = ".tmp-restoring"
_STAY = {MARKER, ".lock", RESTORING}
_MADE_AGAIN = {"work", "state", VERIFYING}
_SPARE = 16 << 20


class Putting:
    """One back-up on its way into a project, with the locks of its lake in hand. `kept` is the back-up's folder."""

    def __init__(self, kept: Path, manifest: Manifest, project: Project, lake: Lake, vault: Vault) -> None:
        self._kept = kept
        self._manifest = manifest
        self._project = project
        self._root = Path(project.root)
        self._lake = lake.root
        self._vault = vault
        self._note = self._lake / RESTORING

    def run(self, replace: bool, tell: Callable[[str], None]) -> None:
        """All of it; `replace`: whether what is in the way is moved aside.

        Raises:
            BackupError: something is in the way, there is too little room, or the back-up changed. Nothing was changed.
        """
        in_the_way = self._in_the_way()
        if in_the_way and not replace and not self._note.exists():
            raise BackupError(
                f"{'; '.join(in_the_way)}. Nothing was changed. With --replace what is there is moved aside and stays"
            )
        self._require_room()
        tell(f"copying {len(self._manifest.files):,} files ({told_bytes(self._manifest.bytes)})")
        try:
            self._stage()
        except BaseException:
            self._throw_away()
            raise
        tell("putting them in their places")
        self._move_aside(bool(in_the_way))
        self._put()
        self._note.unlink()
        force(self._lake)

    # --- what is there ---

    def _entries(self) -> list[Path]:
        """What the lake holds, but for what restoring leaves alone."""
        entries = self._lake.iterdir()
        return sorted(
            path for path in entries if path.name not in _STAY and not path.name.startswith((".tmp-", BEFORE))
        )

    def _in_the_way(self) -> list[str]:
        told = []
        held = [path.name for path in self._entries() if path.name not in _MADE_AGAIN and not _is_empty_ledger(path)]
        if held:
            held.sort(key=lambda name: name.startswith("."))  # what is ours to hide says least
            told.append(f"the lake {self._lake} holds something already ({', '.join(held[:4])})")
        if self._vault_differs():
            told.append(f"the vault {self._vault.folder} holds other files")
        if (self._root / DECISIONS).exists() and not is_as_kept(
            self._manifest, self._root / DECISIONS, f"project/{DECISIONS}"
        ):
            told.append(f"{self._root / DECISIONS} says something else than the back-up")
        return told

    def _vault_differs(self) -> bool:
        return any(not is_as_kept(self._manifest, path, f"vault/{path.name}") for path in self._vault.files())

    def _require_room(self) -> None:
        """Raises BackupError where there is too little room, before anything is written."""
        needed: dict[int, tuple[Path, int]] = {}
        for part, place in (("ledger", self._lake), (RECEIPTS, self._lake), ("vault", self._vault.folder)):
            folder = next(one for one in (place, *place.parents) if one.exists())
            size = sum(entry.bytes for entry in self._manifest.of(part).values())
            device = folder.stat().st_dev
            needed[device] = (folder, needed.get(device, (folder, 0))[1] + size)
        for folder, size in needed.values():
            free = shutil.disk_usage(folder).free
            if size + _SPARE > free:
                raise BackupError(f"{folder} has {told_bytes(free)} free and restoring needs {told_bytes(size)}")

    # --- what comes ---

    def _stage(self) -> None:
        """Copies everything beside its place, and sees that it is what the manifest says."""
        shutil.rmtree(self._lake / _ASIDE, ignore_errors=True)
        (self._lake / _ASIDE / "ledger").mkdir(parents=True)
        for part in ("ledger", RECEIPTS):
            self._copy(self._manifest.of(part), self._lake / _ASIDE)
        for request in pending(self._lake / _ASIDE):
            request.versions = []  # those that it waits for are not in this lake, whose versions are numbered anew
            save(self._lake / _ASIDE, request)
        kept = self._manifest.of("vault")
        if kept or self._vault.folder.exists():
            self._vault.make()
            shutil.rmtree(self._vault_aside, ignore_errors=True)
            self._vault_aside.mkdir(mode=0o700)
            self._copy(kept, self._vault_aside)

    def _throw_away(self) -> None:
        for aside in (self._lake / _ASIDE, self._vault_aside):
            shutil.rmtree(aside, ignore_errors=True)

    @property
    def _vault_aside(self) -> Path:
        return self._vault.folder / _ASIDE

    def _copy(self, entries: dict[str, Entry], into: Path) -> None:
        for path, entry in entries.items():
            target = into / path
            private = path.startswith(("vault/", "ledger/forgetting/"))
            target.parent.mkdir(mode=0o700 if private else 0o755, parents=True, exist_ok=True)
            if copy_file(self._kept / path, target, entry.mode).sha256 != entry.sha256:
                raise BackupError(f"{path} of the back-up was changed while it was read: nothing was restored")
            os.utime(target, ns=(entry.modified_ns, entry.modified_ns))
        for folder in {(into / path).parent for path in entries}:
            force(folder)

    # --- in its place ---

    def _move_aside(self, is_in_the_way: bool) -> None:
        """What is there goes aside, noted first, so that a call after an interruption goes on with it."""
        noted = json.loads(self._note.read_text("utf-8")) if self._note.exists() else None
        if noted is None:
            noted = {"aside": self._name_aside() if is_in_the_way else None, "moved": False}
            self._write(noted)
        if noted["moved"]:
            return
        if noted["aside"]:
            aside = self._lake / noted["aside"]
            aside.mkdir(mode=0o700, exist_ok=True)
            # The pointer first: whoever opens the lake meanwhile finds it empty, not half.
            for path in sorted(self._entries(), key=lambda path: path.name != POINTER):
                if path.name not in _MADE_AGAIN and not _is_empty_ledger(path):
                    path.rename(aside / path.name)
            self._move_decisions(aside)
            self._move_vault(self._vault.folder / noted["aside"])
            force(aside)
        self._write(noted | {"moved": True})

    def _name_aside(self) -> str:
        stamp = f"{BEFORE}{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        names = chain([stamp], (f"{stamp}-{number}" for number in count(2)))
        return next(name for name in names if not (self._lake / name).exists())

    def _move_decisions(self, aside: Path) -> None:
        decisions = self._root / DECISIONS
        if decisions.exists() and not is_as_kept(self._manifest, decisions, f"project/{DECISIONS}"):
            replace_file(aside / DECISIONS, lambda path: shutil.copyfile(decisions, path), OWNER_ONLY)
            decisions.unlink()

    def _move_vault(self, aside: Path) -> None:
        if not self._vault_differs():
            return
        aside.mkdir(mode=0o700, exist_ok=True)
        for path in self._vault.files():
            path.rename(aside / path.name)
        force(aside)

    def _write(self, noted: dict[str, object]) -> None:
        replace_text(self._note, json.dumps(noted) + "\n")

    def _put(self) -> None:
        """Everything into its place, the lake last; done before, it is done again."""
        if self._vault_aside.exists():
            for path in (self._vault_aside / "vault").glob("*"):
                path.replace(self._vault.folder / path.name)
            shutil.rmtree(self._vault_aside)
            force(self._vault.folder)
        self._put_project()
        for path in self._entries():
            _remove(path)  # what an interrupted call had put there, or what nights make again
        for path in sorted((self._lake / _ASIDE).iterdir()):
            path.rename(self._lake / path.name)
        (self._lake / _ASIDE).rmdir()
        force(self._lake)

    def _put_project(self) -> None:
        """Decisions where there are none; the project's files where there is no project, `klantspoor.yaml` last."""
        names = sorted(self._manifest.of("project"), key=lambda name: name == f"project/{PROJECT_FILE}")
        is_new = not (self._root / PROJECT_FILE).exists()
        for name in names:
            path = self._root / name.removeprefix("project/")
            if not path.exists() and (is_new or path.name == DECISIONS):
                self._put_file(name, path)
        with suppress(ConfigError, OSError):  # what cannot be written is told with the key: absent
            self._put_key()
        if is_new:
            with suppress(OSError):  # where it is on another disk that is not there, files will not come either
                (self._root / self._project.file.landing).mkdir(parents=True, exist_ok=True)

    def _put_file(self, name: str, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = self._manifest.files[name].mode
        replace_file(path, lambda aside: shutil.copyfile(self._kept / name, aside), mode)

    def _put_key(self) -> None:
        declared = self._project.file.pseudonym_key.file
        if KEY in self._manifest.files and declared is not None and not (self._root / declared).exists():
            write_keys(self._root / declared, parse_keys((self._kept / KEY).read_bytes()))


def is_as_kept(manifest: Manifest, path: Path, name: str) -> bool:
    """Whether a file is what the back-up holds as `name`."""
    entry = manifest.files.get(name)
    return entry is not None and path.stat().st_size == entry.bytes and sha256(path) == entry.sha256


def _is_empty_ledger(path: Path) -> bool:
    return path.name == "ledger" and all(entry.name == ".lock" for entry in path.iterdir())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()

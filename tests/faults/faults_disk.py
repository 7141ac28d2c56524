"""What a disk may hold after the power failed: a model of files and folders, and of what of them was forced to it.

It takes over a folder as it is and is then told every call that changed it. Of a file each write may be on the disk or not
until the file is forced to it; of a folder each change of a name, until the folder is. What is on the disk is a beginning of
what was done to each of them; nothing is said about files and folders among each other. So the standard has it, and file
systems differ in what they add (Pillai et al., All File Systems Are Not Created Equal, OSDI 2014). Holds no test.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.faults_shim import Call

UMASK = int(Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0], 8) if Path("/proc").is_dir() else 0


@dataclass(eq=False)
class File:
    """`states[0]` is on the disk for certain, the last is what a reader sees."""

    mode: int = 0o644
    mtime: int | None = None
    states: list[bytes] = field(default_factory=lambda: [b""])


@dataclass(eq=False)
class Folder:
    """As `File`, for names."""

    mode: int = 0o755
    states: list[dict[str, File | Folder]] = field(default_factory=lambda: [{}])


Node = File | Folder
Choice = Callable[[Node], int]
"""Which of a node's states survives."""


class Disk:
    """The disk below one folder. Symbolic links are none of its matter."""

    def __init__(self, root: Path, place: Path) -> None:
        """The folder `root`, of which calls tell as `place`."""
        self._root = str(place)
        self._inodes: dict[int, File] = {}
        self.top = self._loaded(root)

    def _loaded(self, folder: Path) -> Folder:
        names: dict[str, Node] = {}
        for entry in os.scandir(folder):
            names[entry.name] = self._loaded(Path(entry.path)) if entry.is_dir() else self._file(entry)
        return Folder(folder.stat().st_mode & 0o7777, [names])

    def _file(self, entry: os.DirEntry[str]) -> File:
        status = entry.stat()
        if status.st_ino not in self._inodes:
            content = Path(entry.path).read_bytes()
            self._inodes[status.st_ino] = File(status.st_mode & 0o7777, status.st_mtime_ns, [content])
        return self._inodes[status.st_ino]

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.top
        for name in self._parts(path):
            node = node.states[-1].get(name) if isinstance(node, Folder) else None
        return node

    def _parts(self, path: str) -> list[str]:
        return [part for part in path[len(self._root) :].split("/") if part not in ("", ".")]

    def _rename(self, path: str, put: Callable[[dict[str, Node], str], object]) -> None:
        """Changes a name in its folder."""
        *_, name = self._parts(path)
        folder = self._find(path.rstrip("/").rpartition("/")[0])
        assert isinstance(folder, Folder), path
        names = dict(folder.states[-1])
        put(names, name)
        folder.states.append(names)

    def apply(self, call: Call) -> None:
        """Has the call done what it did."""
        if call.result < 0 or not (self._is_below(call.path) or self._is_below(call.other)):
            return
        if call.kind in ("create", "mkdir"):
            mode = call.offset & ~UMASK
            made: Node = File(mode) if call.kind == "create" else Folder(mode)
            self._rename(call.path, lambda names, name: names.update({name: made}))
        elif call.kind in ("unlink", "rmdir"):
            self._rename(call.path, lambda names, name: names.pop(name))
        elif call.kind in ("rename", "link"):
            assert self._is_below(call.path), call
            assert self._is_below(call.other), call
            node = self._find(call.path)
            assert node is not None, call
            self._rename(call.other, lambda names, name: names.update({name: node}))
            if call.kind == "rename":
                self._rename(call.path, lambda names, name: names.pop(name))
                self._join(call)
        else:
            self._change(call)

    def _join(self, call: Call) -> None:
        """Within one folder a name is moved at once; between two, either may have it for itself."""
        folders = [path.rpartition("/")[0] for path in (call.path, call.other)]
        folder = self._find(folders[0])
        if folders[0] == folders[1] and isinstance(folder, Folder):
            del folder.states[-2]

    def _is_below(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root + "/")

    def _change(self, call: Call) -> None:
        node = self._find(call.path)
        if node is None:
            assert call.path.endswith(" (deleted)"), call  # a file without a name: nothing of it survives
        elif call.kind == "sync":
            del node.states[:-1]
        elif call.kind == "chmod":
            node.mode = call.offset
        elif isinstance(node, File):
            before = node.states[-1]
            if call.kind == "write":
                filled = before.ljust(call.offset, b"\0")
                node.states.append(filled[: call.offset] + call.data + filled[call.offset + len(call.data) :])
                node.mtime = None
            elif call.kind in ("truncate", "empty"):
                size = call.offset if call.kind == "truncate" else 0
                node.states.append(before[:size].ljust(size, b"\0"))
                node.mtime = None
            else:
                assert call.kind == "open", call

    def digest(self, choice: Choice, without: str = "") -> str:
        """Tells states of the disk from each other, but for what lies below the folder `without` ("/work")."""
        sums = hashlib.sha256()

        def add(node: Node, path: str) -> None:
            state = node.states[choice(node)]
            sums.update(
                repr((path, isinstance(node, File), node.mode, state if isinstance(state, bytes) else "")).encode()
            )
            if not isinstance(state, bytes) and (not path or path != without):
                for name in sorted(state):
                    add(state[name], f"{path}/{name}")

        add(self.top, "")
        return sums.hexdigest()

    def lay(self, choice: Choice, target: Path) -> None:
        """Lays the chosen state into `target`, which is removed first."""
        shutil.rmtree(target, ignore_errors=True)
        laid: dict[int, Path] = {}

        def put(node: Node, path: Path) -> None:
            state = node.states[choice(node)]
            if isinstance(state, bytes):
                if id(node) in laid:
                    os.link(laid[id(node)], path)
                    return
                laid[id(node)] = path
                path.write_bytes(state)
                if isinstance(node, File) and node.mtime is not None:
                    os.utime(path, ns=(node.mtime, node.mtime))
            else:
                path.mkdir(parents=True)
                for name, child in state.items():
                    put(child, path / name)
            path.chmod(node.mode)

        put(self.top, target)


def forced_only(node: Node) -> int:
    """Nothing survives but what was forced to the disk."""
    return 0


def everything(node: Node) -> int:
    """All survives: as if the process alone had been killed."""
    return len(node.states) - 1


def names_only(node: Node) -> int:
    """Names survive and contents do not: the empty files that a rename before its time leaves."""
    return len(node.states) - 1 if isinstance(node, Folder) else 0


def contents_only(node: Node) -> int:
    """Contents survive and names do not."""
    return len(node.states) - 1 if isinstance(node, File) else 0


def by_dice(seed: int) -> Choice:
    """Any beginning of what was done to each file and each folder."""
    dice = random.Random(seed)
    thrown: dict[int, int] = {}

    def choice(node: Node) -> int:
        return thrown.setdefault(id(node), dice.randrange(len(node.states)))

    return choice

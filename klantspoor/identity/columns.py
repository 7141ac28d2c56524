"""Columns of numbers on disk that a later night goes on with: a cache, never the truth.

Each column is a file of plain values, mapped into memory when read. Some only grow: a night writes its rows behind those
there are. Others are made anew. What counts is in `manifest.json`, which is renamed into place when all of it is on the
disk: rows behind those it counts are of a night that did not end, and are written over.
"""

from __future__ import annotations

import json
import shutil
import zlib
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from klantspoor.intake.ledger import sync

Column = npt.NDArray[Any]
_MANIFEST = "manifest.json"
_CHUNK = 1 << 24


class Columns:
    """The columns in one folder. `about` is whatever its maker noted with the last `commit`: values of JSON."""

    def __init__(self, folder: Path) -> None:
        """Opens what is there; with anything missing or damaged, as if there were nothing."""
        self._folder = folder
        self._listed: dict[str, dict[str, Any]] = {}
        self.about: dict[str, Any] = {}
        try:
            document = json.loads((folder / _MANIFEST).read_text("utf-8"))
            body = document["body"]
            if document["digest"] == _digest(body):
                self._listed, self.about = body["columns"], body["about"]
                if not all(self._is_whole(name) for name in self._listed):
                    raise ValueError("a column is damaged")
        except (OSError, ValueError, KeyError, TypeError):
            self._listed, self.about = {}, {}

    def clear(self) -> None:
        """Removes everything."""
        if self._folder.exists():
            shutil.rmtree(self._folder)
        self._listed, self.about = {}, {}

    def __contains__(self, name: str) -> bool:
        return name in self._listed

    def rows(self, name: str) -> int:
        """How many rows a column has."""
        return int(self._listed[name]["rows"])

    def read(self, name: str) -> Column:
        """A column, read-only, one row per first index."""
        listed = self._listed[name]
        shape = (listed["rows"], *listed["shape"])
        if listed["rows"] == 0:
            return np.empty(shape, np.dtype(listed["dtype"]))
        return np.memmap(self._path(name), np.dtype(listed["dtype"]), "r", shape=shape)

    def append(self, name: str, rows: Column) -> None:
        """Writes rows behind those there are; the first rows of a column set its type."""
        listed = self._listed.get(name)
        if listed is None:
            self._start(name, f"{name}.bin", rows)
            listed = self._listed[name]
        data = np.ascontiguousarray(rows, np.dtype(listed["dtype"])).tobytes()
        path = self._path(name)
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.seek(_bytes(listed))
            file.truncate()
            file.write(data)
        listed["crc"] = zlib.crc32(data, listed["crc"])
        listed["rows"] += len(rows)

    def replace(self, name: str, rows: Column) -> None:
        """Makes a column anew; the one before stays on disk until `commit`."""
        before = self._listed.get(name, {"file": ""})["file"]
        other = f"{name}.a.bin" if before != f"{name}.a.bin" else f"{name}.b.bin"
        self._start(name, other, rows)
        self._path(name).unlink(missing_ok=True)
        self.append(name, rows)

    def commit(self, about: dict[str, Any]) -> None:
        """Makes what was written since the last time count, whole or not at all."""
        body = {"columns": self._listed, "about": about}
        for name in self._listed:
            sync(self._path(name))
        draft = self._folder / f".tmp-{_MANIFEST}"
        draft.write_text(json.dumps({"digest": _digest(body), "body": body}), "utf-8")
        sync(draft)
        draft.rename(self._folder / _MANIFEST)
        sync(self._folder)
        self.about = about
        named = {_MANIFEST, *(listed["file"] for listed in self._listed.values())}
        for path in self._folder.iterdir():
            if path.name not in named:
                path.unlink()

    def _start(self, name: str, file: str, rows: Column) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._listed[name] = {
            "file": file, "dtype": rows.dtype.str, "shape": list(rows.shape[1:]), "rows": 0, "crc": 0
        }  # fmt: skip

    def _path(self, name: str) -> Path:
        return self._folder / str(self._listed[name]["file"])

    def _is_whole(self, name: str) -> bool:
        """Whether all rows that count are there, and are what was written."""
        left, check = _bytes(self._listed[name]), 0
        with self._path(name).open("rb") as file:
            while left and (chunk := file.read(min(left, _CHUNK))):
                check, left = zlib.crc32(chunk, check), left - len(chunk)
        return left == 0 and check == self._listed[name]["crc"]


def _bytes(listed: dict[str, Any]) -> int:
    width = int(np.dtype(listed["dtype"]).itemsize) * int(np.prod(listed["shape"], dtype=np.int64))
    return int(listed["rows"]) * width


def _digest(body: dict[str, Any]) -> str:
    return sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

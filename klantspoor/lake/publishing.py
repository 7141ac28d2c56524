"""Turning a run's staging into a published version.

The order is the whole point: everything is written aside and forced to disk, then one rename of the pointer makes it
the current version. Whatever fails before that rename leaves the version before it; whatever fails after is mended by
the next run.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake.staging import EXTRAS, STATE, Staging
from klantspoor.lake.version import Version
from klantspoor.lake.writer import link

POINTER = "current"
DATABASE = "klantspoor.duckdb"


def build_version(staging: Staging, versions: Path, name: str, before: Version | None = None) -> Path:
    """Lay the staged tables and extras into `versions/name`, hashed, with a manifest, and forced to disk.

    What is the same file in the version `before` was hashed, counted and forced to disk then, and is not read again.

    Raises:
        LakeError: where the run has not made every table of the dictionary.
    """
    missing = [table for table in TABLES if not staging.has(table)]
    if missing:
        raise LakeError(
            f"run {staging.run_id} has not made {', '.join(missing)}: only a whole night is published."
            " Run the job `nightly`"
        )
    aside = versions / f".tmp-{name}-{staging.run_id}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for table in TABLES:
        _link_tree(staging.folder(table), aside / table)
    for extra in EXTRAS:
        # These are small, and written in place: a run that begins again must not reach what it published before.
        shutil.copytree(staging.extra(extra), aside / extra)
    _link_tree(staging.root / STATE, aside / STATE)
    known = _known(aside, before)
    manifest = _manifest(staging, aside, name, known)
    (aside / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
    _force_tree(aside, known)
    target = versions / name
    aside.rename(target)
    force(versions)
    return target


def _known(root: Path, before: Version | None) -> dict[str, dict[str, Any]]:
    """What the manifest before says of files that are the very same, by path."""
    if before is None:
        return {}
    known = {}
    for path, said in before.manifest["files"].items():
        try:
            is_told = "rows" in said or not path.endswith(".parquet")
            if is_told and (root / path).samefile(before.root / path):
                known[path] = said
        except OSError:
            continue
    return known


def _manifest(staging: Staging, root: Path, name: str, known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    files = {name: known.get(name) or _said(path) for path in paths for name in [str(path.relative_to(root))]}
    rows = dict.fromkeys(TABLES, 0)
    for path, said in files.items():
        table = path.split("/", 1)[0]
        if table in rows:
            rows[table] += said["rows"]
    return {
        "version": name,
        "run_id": staging.run_id,
        "as_of": staging.as_of.isoformat(),
        "published_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": software(),
        "dictionary": dictionary_fingerprint(),
        "rules": staging.rules,
        "tables": rows,
        "files": files,
    }


def _said(path: Path) -> dict[str, Any]:
    """What the manifest says of a file: its hash, its size, and of Parquet the number of rows."""
    said: dict[str, Any] = {"sha256": _sha256(path), "bytes": path.stat().st_size}
    if path.suffix == ".parquet":
        said["rows"] = int(pq.read_metadata(path).num_rows)
    return said


def dictionary_fingerprint() -> str:
    """A hash of what the dictionary says about names, types, keys, nulls and partitions: equal means readable alike."""
    said = [
        [t.name, t.key, t.partition, [[c.name, str(c.type), c.name in t.nulls] for c in t.columns]]
        for t in TABLES.values()
    ]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def write_database(published: Version, aside: Path) -> None:
    """A new DuckDB file `aside` with a commented view per table of the version, by absolute path."""
    aside.unlink(missing_ok=True)
    with duckdb.connect(aside) as connection:
        published.create_views(connection, comments=True)
    force(aside)


def move_pointer(root: Path, name: str) -> None:
    """Make version `name` the current one: the single point at which everything changes."""
    aside = root / f".tmp-{POINTER}"
    aside.write_text(name + "\n", "utf-8")
    force(aside)
    aside.replace(root / POINTER)
    with suppress(OSError):  # readers see it from here on: no error may say that they do not
        force(root)


def force(path: Path) -> None:
    """Force a file, or a folder's list of names, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _force_tree(root: Path, known: Collection[str]) -> None:
    for folder, _, files in os.walk(root, topdown=False):
        for name in files:
            path = Path(folder) / name
            if str(path.relative_to(root)) not in known:
                force(path)
        force(Path(folder))


def _link_tree(source: Path, target: Path) -> None:
    """The files of `source` again below `target`."""
    for folder, _, files in os.walk(source):
        into = target / Path(folder).relative_to(source)
        into.mkdir(parents=True, exist_ok=True)
        for name in files:
            link(Path(folder) / name, into / name)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def software() -> str:
    """The version of this software, as its package says; "unknown" where it is not installed."""
    try:
        return version("klantspoor")
    except PackageNotFoundError:
        return "unknown"

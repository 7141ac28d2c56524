"""Readers as analysts are: DuckDB's views, a bare glob on the version's folder, pandas; and what else must be right. No test.

They know of a lake what its documentation says, and use nothing of the library but the names of the tables. What they read of a
table is told by its number of rows and a digest of them in any order.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES

Seen = dict[str, list[int | str]]
"""Of each table its number of rows and its digest."""
DIARY = {"runs", "restatements", "person_aliases"}
"""Tables that tell of nights as they were; a night that was disturbed is one more."""
CLOCKS = {"identity_audit": ["decided_at"], "events": ["known_person_id"]}
COMPARED = tuple(name for name in TABLES if name not in DIARY)


def by_database(lake: Path) -> Seen | None:
    """By the views of `klantspoor.duckdb`."""
    if not (lake / "klantspoor.duckdb").exists():
        return None
    with duckdb.connect(lake / "klantspoor.duckdb", read_only=True) as connection:
        return {name: _digest(connection, f'"{name}"', name) for name in COMPARED}


def by_glob(lake: Path) -> Seen | None:
    """By a glob on the files of the version that the pointer names, which is read once."""
    root = _version(lake)
    if root is None:
        return None
    with duckdb.connect() as connection:
        source = "read_parquet('{}/**/*.parquet', hive_partitioning = false)"
        return {name: _digest(connection, source.format(root / name), name) for name in COMPARED}


def by_pandas(lake: Path) -> Seen | None:
    """By pandas on the tables' folders."""
    root = _version(lake)
    return None if root is None else {name: _frame_digest(root / name, name) for name in COMPARED}


READERS: dict[str, Callable[[Path], Seen | None]] = {"views": by_database, "glob": by_glob, "pandas": by_pandas}


def _version(lake: Path) -> Path | None:
    try:
        return lake / "versions" / (lake / "current").read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def _digest(connection: duckdb.DuckDBPyConnection, source: str, table: str) -> list[int | str]:
    without = f"EXCLUDE ({', '.join(CLOCKS[table])})" if table in CLOCKS else ""
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(hash(row)::HUGEINT), 0)::VARCHAR FROM (SELECT * {without} FROM {source}) row"
    ).fetchone()
    assert row is not None
    return list(row)


def _frame_digest(folder: Path, table: str) -> list[int | str]:
    frame: pd.DataFrame = pd.read_parquet(folder, partitioning=None).drop(columns=CLOCKS.get(table, []))
    lines = sorted(frame.to_csv(index=False, header=False).splitlines())
    return [len(frame), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]]


def read(project: str) -> dict[str, Seen | None]:
    """What each kind of reader sees now."""
    return {kind: reader(Path(project) / "lake") for kind, reader in READERS.items()}


def poll(project: str, gate: str, stop: str) -> dict[str, dict[str, list[Any]]]:
    """What each kind of reader saw until there is a file `stop`: as JSON texts, each with how often, and in which trial first.

    Errors are seen too. A rest follows each look that is longer than it, for the nights that are looked at need the machine too.
    While somebody holds the file `gate`, which names the trial, the project is being exchanged: no look.
    """
    seen: dict[str, dict[str, list[Any]]] = {kind: {} for kind in READERS}
    while True:
        last, began = Path(stop).exists(), time.monotonic()
        for kind, reader in READERS.items():
            with Path(gate).open() as held:
                fcntl.flock(held, fcntl.LOCK_SH)
                trial = held.read()
                try:
                    found = json.dumps(reader(Path(project) / "lake"))
                except Exception as error:
                    found = json.dumps(f"{type(error).__name__}: {error}")
            seen[kind].setdefault(found, [0, trial])[0] += 1
        if last:
            return seen
        time.sleep(0.4 + 2 * (time.monotonic() - began))


# --- what no analyst looks at ------------------------------------------------------------------------------------------


def kept(project: str) -> dict[str, Any]:
    """All that tables are made from: the ledger's folders, what lies beside them, vault, decisions; each by its digest."""
    root = Path(project)
    ledger, found = root / "lake" / "ledger", {}
    for path in sorted(
        [*ledger.rglob("*"), *root.glob("vault/*"), root / "identity-decisions.jsonl", root / "pseudonym.key"]
    ):
        if not path.is_file() or path.name in (".lock",):
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            content: object = [str(table.schema), table.drop_columns(set(table.column_names) & {"receipt"}).to_pylist()]
        elif path.name == "file.json":
            content = json.loads(path.read_text("utf-8")) | {"seconds": 0}
        else:
            content = path.read_bytes()
        found[str(path.relative_to(root))] = hashlib.sha256(repr(content).encode()).hexdigest()[:16]
    receipts = sorted((root / "lake" / "receipts").glob("*.json"))
    told = [json.loads(path.read_text("utf-8")) for path in receipts]
    return found | {
        "receipts": [[one["erased"], one["finished_at"] is not None, one["scan"]["traces"]] for one in told]
    }


def by_content(project: str, source: str) -> dict[str, str]:
    """What the ledger has of a source's files: by the hash of a file's content, the digest of all that was made of it."""
    found = {}
    for folder in (Path(project) / "lake" / "ledger").glob("0*"):
        said = json.loads((folder / "file.json").read_text("utf-8"))
        if said["source"] == source:
            assert said["content_hash"] not in found, "taken in twice"
            parts = [path.read_bytes() for path in sorted(folder.glob("*.parquet"))]
            found[said["content_hash"]] = hashlib.sha256(b"".join([said["file_status"].encode(), *parts])).hexdigest()
    return found


def leftovers(project: str) -> list[str]:
    """What lies about that no whole night leaves: things put aside, work of more runs than the last, unknown versions."""
    root = Path(project)
    lake = root / "lake"
    found = [
        str(path.relative_to(root)) for path in root.rglob(".*") if path.name.startswith((".tmp-", ".old-", ".new-"))
    ]
    found += sorted(str(path.relative_to(root)) for path in (lake / "work").glob("*"))[1:]
    current = (lake / "current").read_text("utf-8").strip()
    return found + [path.name for path in (lake / "versions").iterdir() if path.name > current]


def outcome(project: str) -> dict[str, Any]:
    """What is compared when all is over."""
    return {"tables": read(project), "kept": kept(project), "leftovers": leftovers(project)}

"""What else is kept of a person beside the ledger's folders: tombstones are put up, everything else goes.

Every step may be done again: what is gone already is not missed.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.forget.folders import Look
from klantspoor.forget.request import Request
from klantspoor.forget.sets import of_sets
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.tombstones import (
    EVENT,
    IDENTIFIER,
    SHARED,
    SHARED_SCHEMA,
    TOMBSTONES,
    TOMBSTONES_SCHEMA,
    make_tombstones,
    read_tombstones,
)
from klantspoor.lake.durable import EVERYONE, OWNER_ONLY, replace_table, replace_text
from klantspoor.lake.verifying import drop_verification

DECISIONS = "identity-decisions.jsonl"
LINKAGE = "linkage"


def put_up_tombstones(ledger: Path, request: Request, pseudonyms: Pseudonymiser) -> int:
    """Adds the person's tombstones to the ledger's, and what they shared to the list of that; gives how many are theirs."""
    there = read_tombstones(ledger)
    ours = pa.concat_tables([TOMBSTONES_SCHEMA.empty_table(), *_tombstones(request, pseudonyms)])
    others = there.graves.filter(
        pc.invert(pc.is_in(there.graves["tombstone"], value_set=ours["tombstone"].combine_chunks()))
    )
    replace_table(
        ledger / TOMBSTONES,
        pa.concat_tables([others, ours]).sort_by([("kind", "ascending"), ("tombstone", "ascending")]),
    )
    shared = {(row["identifier_type"], row["identifier"]): row["how"] for row in there.shared.to_pylist()}
    shared |= {(kind, name): how for kind, name, how in request.shared if shared.get((kind, name)) != "shared"}
    exclusive = set(request.exclusive)
    rows = [(*one, how) for one, how in sorted(shared.items()) if one not in exclusive]
    if rows or there.shared.num_rows:
        named = [dict(zip(SHARED_SCHEMA.names, row, strict=True)) for row in rows]
        replace_table(ledger / SHARED, pa.Table.from_pylist(named, SHARED_SCHEMA))
    return int(ours.num_rows)


def _tombstones(request: Request, pseudonyms: Pseudonymiser) -> list[pa.Table]:
    """The tombstones of identifiers by type, of events, and of the person's id. A later request holds for longer."""
    groups: list[tuple[str, str | None, list[str]]] = [
        (IDENTIFIER, kind, [name for of, name in request.exclusive if of == kind])
        for kind in sorted({kind for kind, _ in request.exclusive})
    ]
    groups.append((EVENT, None, request.events))
    return [
        pa.table(
            {
                "kind": pa.repeat(kind, len(values)),
                "identifier_type": pa.repeat(pa.scalar(identifier_type, pa.string()), len(values)),
                "tombstone": make_tombstones(pseudonyms, kind, pa.array(values, pa.string()), identifier_type),
                "effective_before": pa.repeat(
                    pa.scalar(request.requested_at, pa.timestamp("us", tz="UTC")), len(values)
                ),
                "receipt": pa.repeat(request.id, len(values)),
            }
        ).cast(TOMBSTONES_SCHEMA)
        for kind, identifier_type, values in groups
        if values
    ]


def clear_vault(vault: Path, seen: Look, request: Request, priorities: dict[str, int], *, write: bool = True) -> int:
    """Takes the person's rows out of the vault's file that belongs to a folder of the ledger; gives how many.

    With `write` false they are only counted; so it is for the other two that clear.
    """
    path = vault / f"{seen.file.path.name}.parquet"
    if not path.is_file():
        return 0
    table = pq.read_table(path)
    records = request.pseudonyms | _records(seen, priorities)
    gone = pc.or_(
        pc.is_in(table["record"], value_set=pa.array(sorted(records), pa.string())),
        pc.is_in(table["row_number"], value_set=pa.array(sorted(seen.erased), pa.int64())),
    )
    return _replace_without(path, table, gone, OWNER_ONLY, write)


def _records(seen: Look, priorities: dict[str, int]) -> set[str]:
    """Under what else the vault keeps rows of the person that only link: the most trusted identifier, though it be shared.

    Such a file's links do not say which rows they come from; rather a housemate's spelling of a name is lost than a
    forgotten name kept.
    """
    if not seen.reference:
        return set()
    found = set()
    for _, held in of_sets(seen.file.links, seen.sets.dead):
        usable = [one for one in held if one["guard"] is None]
        ranked = [(priorities.get(o["type"], len(priorities) + 1), o["type"], o["identifier"]) for o in usable]
        found |= {min(ranked)[2]} if ranked else set()
    return found


def clear_linkage(ledger: Path, request: Request, *, write: bool = True) -> int:
    """Takes the pairs that name one of the person's identifiers out of the fuzzy evidence; gives how many."""
    wanted = pa.array(sorted(request.pseudonyms), pa.string())
    gone = 0
    for path in sorted((ledger / LINKAGE).glob("*.parquet")):
        table = pq.read_table(path)
        mask = pc.or_(pc.is_in(table["left"], value_set=wanted), pc.is_in(table["right"], value_set=wanted))
        gone += _replace_without(path, table, mask, EVERYONE, write)
    return gone


def _replace_without(path: Path, table: pa.Table, gone: pa.ChunkedArray, mode: int, write: bool) -> int:
    number = int(pc.sum(gone).as_py() or 0)
    if number and write:
        replace_table(path, table.filter(pc.invert(gone)), mode)
    return number


def clear_decisions(project_root: Path, request: Request, *, write: bool = True) -> int:
    """Takes the stewards' decisions about the person's identifiers out of their file; gives how many.

    The file is otherwise only ever added to: this is the one case in which it is written anew.
    """
    path = project_root / DECISIONS
    try:
        lines = path.read_text("utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return 0
    wanted = request.pseudonyms
    kept = [line for line in lines if not _names(line, wanted)]
    if len(kept) < len(lines) and write:
        replace_text(path, "".join(kept), path.stat().st_mode & 0o777)
    return len(lines) - len(kept)


def _names(line: str, wanted: set[str]) -> bool:
    try:
        decision = json.loads(line)
    except ValueError:
        return any(pseudonym in line for pseudonym in wanted)
    sides = (decision.get("a"), decision.get("b")) if isinstance(decision, dict) else ()
    return any(isinstance(side, dict) and side.get("identifier") in wanted for side in sides)


def clear_caches(lake_root: Path) -> None:
    """Removes the state that nights keep for one another, and a rebuild aside: both are made anew."""
    drop_verification(lake_root)
    if (lake_root / "state").exists():
        shutil.rmtree(lake_root / "state")

"""What other parts of Klantspoor keep beside the ledger, planted as they would write it. Holds no test."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.intake.evidence import EVIDENCE_SCHEMA
from tests.forget.forget_world import REQUESTED, World, read_ledger


def plant(world: World, person: str) -> None:
    """A vault, fuzzy evidence, stewards' decisions, a state of the night and a run's staging, all with that person in them."""
    names = world.rows(f"SELECT identifier_type, identifier FROM identities WHERE person_id = '{person}' ORDER BY ALL")
    others = world.rows(
        f"SELECT identifier_type, identifier FROM identities WHERE person_id <> '{person}' ORDER BY ALL"
    )
    mine = [(row["identifier_type"], row["identifier"]) for row in names]
    theirs = [(row["identifier_type"], row["identifier"]) for row in others]
    _vault(world)
    _linkage(world.lake.ledger / "linkage" / "000001.parquet", mine, theirs)
    _decisions(world.root / "identity-decisions.jsonl", mine, theirs)
    (world.lake.root / "state").mkdir(exist_ok=True)
    (world.lake.root / "state" / "persons.json").write_text(json.dumps({"person": person}))
    staged = world.lake.root / "work" / "some-run" / "tables"
    staged.mkdir(parents=True)
    pq.write_table(pa.table({"person": pa.array([int(person, 16)], pa.uint64())}), staged / "part-0.parquet")


def _vault(world: World) -> None:
    """A record for every set of identifiers, under its most trusted usable one."""
    trust = {"customer": 1, "email": 2, "phone": 3, "cookie": 4}
    for file in world.ledger.files():
        rows = []
        for number, link in enumerate(
            row for row in read_ledger(world, "links") if row["sequence"] == file.record.sequence
        ):
            usable = [one for one in link["identifiers"] if one["guard"] is None]
            if usable:
                record = min(usable, key=lambda one: trust[one["type"]])
                rows.append(
                    {
                        "record_type": record["type"],
                        "record": record["identifier"],
                        "row_number": 1000 + number,
                        "name": "x",
                    }
                )
        schema = pa.schema(
            [("record_type", pa.string()), ("record", pa.string()), ("row_number", pa.int64()), ("name", pa.string())]
        )
        (world.root / "vault").mkdir(exist_ok=True)
        path = world.root / "vault" / f"{file.path.name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema), path)
        path.chmod(0o600)


def _linkage(path: Path, mine: list[tuple[str, str]], theirs: list[tuple[str, str]]) -> None:
    pairs = [(mine[0], theirs[0]), (theirs[1], mine[1]), (theirs[0], theirs[1])]
    path.parent.mkdir(parents=True)
    rows = [
        {
            "left_type": left[0], "left": left[1], "right_type": right[0], "right": right[1], "weight": 9.5,
            "probability": 0.999, "agreed": ["city"], "differed": [], "found_at": REQUESTED,
        }
        for left, right in pairs
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, EVIDENCE_SCHEMA), path)


def _decisions(path: Path, mine: list[tuple[str, str]], theirs: list[tuple[str, str]]) -> None:
    def side(one: tuple[str, str] | None) -> dict[str, str] | None:
        return None if one is None else {"type": one[0], "identifier": one[1]}

    pairs = [("force", mine[0], theirs[0]), ("block", mine[1], None), ("forbid", theirs[0], theirs[1])]
    lines = [
        {
            "number": n,
            "decided_at": "2026-03-01T00:00:00+00:00",
            "verb": verb,
            "a": side(a),
            "b": side(b),
            "who": "S",
            "why": "?",
        }
        for n, (verb, a, b) in enumerate(pairs, start=1)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

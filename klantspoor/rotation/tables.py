"""The lake's files with pseudonyms in them, each written anew aside.

Files are read and written in batches; what must be joined or sorted spills to disk.
"""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.intake.finish import EVENT_ID, content_sql
from klantspoor.intake.identifiers import set_numbers
from klantspoor.intake.ledger import LINKS_SCHEMA, LedgerFile, repetitive
from klantspoor.intake.pseudonyms import SEPARATOR
from klantspoor.lake.connection import literal
from klantspoor.rotation.columns import Columns

_BATCH = 100_000
_PARTS = {"file.json", "events.parquet", "links.parquet", "quarantine.parquet"}
Change = Callable[[pa.Array], pa.Array]


class Tables:
    """Writes files anew with pseudonyms of all keys.

    `con` may spill to disk and sees the lake's files; `locked` is one of those on which pseudonyms are made.
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, locked: duckdb.DuckDBPyConnection, columns: Columns) -> None:
        self._con = con
        self._locked = locked
        self._columns = columns

    def ledger_folder(self, file: LedgerFile, check: str, aside: Path) -> None:
        """One folder of the ledger, into the new folder `aside`; `check` is that of all keys.

        Raises:
            LakeError: it holds a file of another kind, or its parts do not belong together.
        """
        foreign = sorted({path.name for path in file.path.iterdir()} - _PARTS)
        if foreign:
            raise LakeError(
                f"the ledger's {file.path.name} holds {foreign[0]}, of which rotation does not know whether pseudonyms"
                " are in it: take it out first"
            )
        aside.mkdir(parents=True)
        sets = aside / ".sets.parquet"
        self._links(file, sets, aside / "links.parquet")
        self._events(file, sets, aside / "events.parquet")
        sets.unlink()
        self.flat(file.quarantine, aside / "quarantine.parquet", {"identifiers": self._columns.identifiers})
        record = replace(file.record, key_check=check)
        (aside / "file.json").write_text(record.to_json(), encoding="utf-8")

    def pseudonyms(self, path: Path, aside: Path, *columns: str) -> None:
        """A Parquet file with pseudonyms in some columns, and nowhere else."""
        self.flat(path, aside, dict.fromkeys(columns, self._columns.bare))

    def flat(self, path: Path, aside: Path, changes: dict[str, Change]) -> None:
        """A Parquet file, batch by batch, with some columns changed; the new file may be read by the same users.

        Raises:
            LakeError: it lacks one of the columns.
        """
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            lacking = sorted(set(changes) - set(schema.names))
            if lacking:
                raise LakeError(f"{path.name} has no column {lacking[0]!r}: restore it from a back-up")
            with pq.ParquetWriter(aside, schema, compression="zstd") as writer:
                for batch in file.iter_batches(_BATCH):
                    writer.write_table(_changed(pa.Table.from_batches([batch]), changes).cast(schema))
        shutil.copymode(path, aside)

    def decisions(self, path: Path, aside: Path) -> None:
        """The stewards' decisions: one JSON object a line, with identifiers in `a` and `b`.

        Raises:
            LakeError: a line is none; it is named.
        """
        lines = path.read_text("utf-8").splitlines()
        try:
            said = [json.loads(line) for line in lines]
            sides = [one[side] for one in said for side in ("a", "b") if one[side] is not None]
            made = self._columns.bare(pa.array([side["identifier"] for side in sides], pa.string()))
        except (ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise LakeError(
                f"{path.name} holds a line that is no decision ({type(error).__name__}): restore it from a back-up"
            ) from None
        for side, pseudonym in zip(sides, made.to_pylist(), strict=True):
            side["identifier"] = pseudonym
        aside.write_text("".join(json.dumps(one, ensure_ascii=True) + "\n" for one in said), "utf-8")
        shutil.copymode(path, aside)

    def _links(self, file: LedgerFile, sets: Path, aside: Path) -> None:
        """`links.parquet` in the order of the new numbers of sets; `sets` gets the old number (`was`) beside it all."""
        schema = LINKS_SCHEMA.insert(0, pa.field("was", pa.uint64()))
        with pq.ParquetFile(file.links) as links, pq.ParquetWriter(sets, schema, compression="zstd") as writer:
            for batch in links.iter_batches(_BATCH):
                lists = self._columns.identifiers(batch.column("identifiers"))
                given = dict(zip(batch.schema.names, batch.columns, strict=True))
                made = {"was": given["identifier_set"], "identifiers": lists, "identifier_set": set_numbers(lists)}
                columns = given | made
                writer.write_table(pa.table([columns[name] for name in schema.names], schema=schema))
        query = f"""SELECT * EXCLUDE (was) REPLACE (list_sort(identifiers) AS identifiers) FROM {_file(sets)}
            ORDER BY identifier_set, position, first_seen"""
        self._write(query, LINKS_SCHEMA, aside, lambda table: table)

    def _events(self, file: LedgerFile, sets: Path, aside: Path) -> None:
        schema = pq.read_schema(file.events)
        prefix = f"{file.record.source}{SEPARATOR}"
        roles = [name for name in schema.names if name == "account_id" or name.startswith("key_")]
        changes: dict[str, Change] = {
            **dict.fromkeys(roles, self._columns.bare),
            "source_event_id": self._columns.ids,
            "attributes": self._columns.attributes,
        }

        def anew(table: pa.Table) -> pa.Table:
            if table.column("identifier_set").null_count:
                raise LakeError(
                    f"the events of the ledger's {file.path.name} name identifiers that its links lack:"
                    " restore it from a back-up"
                )
            table = _changed(table, changes)
            self._locked.register("batch", table)
            query = f"SELECT {EVENT_ID} AS event_id, {content_sql(schema)} AS content FROM batch"
            made = self._locked.sql(query, params={"prefix": prefix}).to_arrow_table()
            for name in ("event_id", "content"):
                table = table.set_column(schema.get_field_index(name), name, made.column(name))
            return table

        query = f"""SELECT e.* REPLACE (CASE WHEN e.identifier_set = 0 THEN 0 ELSE s.made END AS identifier_set)
            FROM {_file(file.events)} e
            LEFT JOIN (SELECT DISTINCT was, identifier_set AS made FROM {_file(sets)}) s ON s.was = e.identifier_set
            ORDER BY e.row_number, e.position"""
        self._write(query, schema, aside, anew)

    def _write(self, query: str, schema: pa.Schema, aside: Path, change: Callable[[pa.Table], pa.Table]) -> None:
        with pq.ParquetWriter(aside, schema, compression="zstd", use_dictionary=repetitive(schema)) as writer:
            for batch in self._con.sql(query).to_arrow_reader(_BATCH):
                writer.write_table(change(pa.Table.from_batches([batch])).cast(schema))


def _changed(table: pa.Table, changes: dict[str, Change]) -> pa.Table:
    """The table (of one batch) with some columns changed."""
    for name, change in changes.items():
        at = table.schema.get_field_index(name)
        whole = pa.concat_arrays(table.column(at).chunks) if table.num_rows else table.column(at).combine_chunks()
        table = table.set_column(at, name, change(whole))
    return table


def _file(path: Path) -> str:
    return f"read_parquet({literal(glob.escape(str(path)))})"

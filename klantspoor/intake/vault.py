"""The vault: names, birth dates and addresses as they came, for comparing records of persons; and nothing else.

The only place where plain personal data is kept: a folder of its own outside the lake, for its owner's eyes alone (mode
0700, its files 0600), with one file for each ledger folder whose source maps `record`. A vault file is put in its place
before its ledger folder is; one without a ledger folder counts for nothing and is swept.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, get_args

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import ConfigError, LakeError, Problem
from klantspoor.intake.canonical import Selection
from klantspoor.intake.ledger import Ledger, sync
from klantspoor.intake.sandbox import literal
from klantspoor.lake.durable import make_folder
from klantspoor.project.model import IdentifierType, Project, RecordField
from klantspoor.project.sql import merged_events

FIELDS: tuple[str, ...] = get_args(RecordField)
"""The fields of a record, in the order in which they are kept."""
VAULT_SCHEMA = pa.schema(
    [
        pa.field("record_type", pa.string(), nullable=False),
        pa.field("record", pa.string(), nullable=False),
        pa.field("row_number", pa.int64(), nullable=False),
        pa.field("seen_at", pa.timestamp("us", tz="UTC"), nullable=False),
        *[pa.field(name, pa.string()) for name in FIELDS],
    ]
)
"""A record as a row told it: whose (type and pseudonym of the row's most trusted usable identifier), when, and what."""
_NAME = re.compile(r"^\d{8,}-[0-9a-f]{12}\.parquet$")
_ASIDE = ".tmp-"
"""How what is not whole yet is called, here and in other rooms: who makes such a thing holds the ledger's lock."""
_BATCH = 100_000
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600


def described(types: Mapping[str, IdentifierType], chosen: Selection, links: pa.Table) -> pa.Table:
    """The records that rows tell of, as `VAULT_SCHEMA`; `row_number` is the position in the batch.

    `links` (`LINK_ROWS`) are those of the good rows among the `chosen`. A row without a usable identifier, or without any
    field, tells nothing.
    """
    texts = {name: chosen.text(f"record.{name}", trim=True) for name in FIELDS if f"record.{name}" in chosen.plan.slots}
    if not texts or links.num_rows == 0:
        return VAULT_SCHEMA.empty_table()
    best = _most_trusted(types, links)
    links = links.take(best["link"])
    at = pa.array(np.searchsorted(chosen.rows, links["row_number"].to_numpy()))
    fields = [texts[name].take(at) if name in texts else pa.nulls(len(at), pa.string()) for name in FIELDS]
    columns = [best["type"], best["identifier"], links["row_number"], links["occurred_at"], *fields]
    known = np.any([_mask(pc.is_valid(field)) for field in fields], axis=0)
    return pa.table(columns, names=VAULT_SCHEMA.names).cast(VAULT_SCHEMA).filter(pa.array(known))


def _most_trusted(types: Mapping[str, IdentifierType], links: pa.Table) -> pa.Table:
    """For each link (by its position) that has a usable identifier: the type and pseudonym of its most trusted one."""
    lists = links["identifiers"].combine_chunks()
    held = pa.Table.from_struct_array(pc.list_flatten(lists)).append_column("link", pc.list_parent_indices(lists))
    held = held.filter(pc.is_null(held["guard"]))
    names = sorted(types)
    priorities = pa.array([types[name].priority for name in names], pa.int64())
    held = held.append_column("priority", priorities.take(pc.index_in(held["type"], value_set=pa.array(names))))
    held = held.sort_by([(name, "ascending") for name in ("link", "priority", "type", "identifier")])
    link = held["link"].to_numpy()
    return held.filter(pa.array(np.r_[True, link[1:] != link[:-1]][: len(link)]))


class Vault:
    """The vault of one project; made when the first record is kept."""

    def __init__(self, project: Project) -> None:
        self.folder = Path(project.root) / project.file.vault
        self._apart = {name: Path(project.root) / getattr(project.file, name) for name in ("lake", "landing")}
        self._memory_mb = project.file.limits.memory_mb
        self.is_used = any(event.record for source in project.sources.values() for event in merged_events(source))

    def check(self) -> None:
        """Sees that the vault may be written to.

        Raises:
            ConfigError: it lies, links followed, in the lake or the landing folder, or one of these in it.
        """
        vault = self.folder.resolve()
        for name, folder in self._apart.items():
            other = folder.resolve()
            if vault == other or other in vault.parents or vault in other.parents:
                message = f"lies in the {name} folder, or that in it"
                expected = "a folder apart from the lake and the landing folder"
                hint = "plain personal data is kept there"
                raise ConfigError([Problem("klantspoor.yaml", "vault", message, None, expected, hint)])

    def files(self) -> list[Path]:
        """Every vault file in its place, by name: `SEQ8-HASH12.parquet`, called after its ledger folder."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _NAME.match(path.name))

    def sweep(self, known: Collection[str]) -> None:
        """Removes what a crash left behind, and the files of ledger folders that are not `known`. Under the ledger's lock.

        A ledger that knows no file at all removes nothing: it may be another folder than it was, or not mounted.
        """
        if not self.folder.is_dir() or not known:
            return
        for leftover in self.folder.glob(f"{_ASIDE}*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        for path in self.files():
            if path.stem not in known:
                path.unlink()

    def new_part(self, sequence: int) -> VaultPart:
        """What will be the vault file of a ledger folder; nothing is made before something is written to it."""
        return VaultPart(self, sequence, self._memory_mb)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for what is made of records on the way, gone at the end. Under the ledger's lock."""
        self.make()
        folder = self.folder / f"{_ASIDE}scratch"
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def make(self) -> None:
        """Makes the folder, or sees that it is its owner's alone."""
        self.check()
        make_folder(self.folder, _FOLDER_MODE)
        self.folder.chmod(_FOLDER_MODE)


class VaultPart:
    """A vault file in the making, beside the ledger folder in the making."""

    def __init__(self, vault: Vault, sequence: int, memory_mb: int) -> None:
        self._vault = vault
        self._aside = vault.folder / f"{_ASIDE}{sequence:08d}"
        self._memory_mb = memory_mb
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None

    def write(self, records: pa.Table) -> None:
        """Adds records (`VAULT_SCHEMA`, with the file's row numbers)."""
        if records.num_rows == 0:
            return
        if self._writer is None:
            self._vault.make()
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside.mkdir(mode=_FOLDER_MODE)
            self._file = _own_file(self._aside / "rows.parquet")
            self._writer = pq.ParquetWriter(self._file, VAULT_SCHEMA, compression="zstd")
        self._writer.write_table(records)

    def drop(self) -> None:
        """Leaves nothing of it."""
        self._close()
        self._writer = None
        shutil.rmtree(self._aside, ignore_errors=True)

    def keep(self, name: str) -> None:
        """Puts it in its place as the vault file of the ledger folder called `name`; what was never written is not made."""
        if self._writer is None:
            return
        self._close()
        whole = self._aside / "whole.parquet"
        with _own_file(whole) as file:
            self._distinct(file)
        sync(whole)
        whole.rename(self._vault.folder / f"{name}.parquet")
        sync(self._vault.folder)
        shutil.rmtree(self._aside)

    def _distinct(self, file: IO[bytes]) -> None:
        """Each record once for each thing that was said of it, as it was said last."""
        said = ", ".join(f'"{name}"' for name in ("record_type", "record", *FIELDS))
        query = f"""
            SELECT record_type, record, arg_max(row_number, (seen_at, row_number)) AS row_number, max(seen_at) AS seen_at,
                {", ".join(f'"{name}"' for name in FIELDS)}
            FROM read_parquet({literal(str(self._aside / "rows.parquet"))}) GROUP BY {said} ORDER BY row_number"""
        with (
            _spilling(self._memory_mb, self._aside / "spill") as con,
            pq.ParquetWriter(file, VAULT_SCHEMA, compression="zstd") as writer,
        ):
            for batch in con.sql(query).to_arrow_reader(_BATCH):
                writer.write_table(pa.Table.from_batches([batch]).cast(VAULT_SCHEMA))

    def _close(self) -> None:
        if self._writer is not None and self._file is not None and not self._file.closed:
            self._writer.close()
            self._file.close()


def read_records(project: Project) -> pa.Table:
    """Every record that the vault knows, once, with the newest known value of each of its fields.

    Columns: `record` ("type:pseudonym"), `sequence` (of the ledger folder that told of it last) and every field of
    `FIELDS` (string), ordered by record: what `klantspoor.linkage.find_links` reads. Newest is by the time of the row, then
    by sequence and row number. For the holder of the ledger's lock.

    Raises:
        LakeError: a vault file cannot be read.
    """
    sequences = {
        file.path.name: file.record.sequence for file in Ledger(Path(project.root) / project.file.lake).files()
    }
    vault = Vault(project)
    paths = [path for path in vault.files() if path.stem in sequences]
    schema = pa.schema([("record", pa.string()), ("sequence", pa.int64()), *[(name, pa.string()) for name in FIELDS]])
    if not paths:
        return schema.empty_table()
    newest = "(seen_at, sequence, row_number)"
    fields = ", ".join(f'arg_max("{name}", {newest}) FILTER ("{name}" IS NOT NULL) AS "{name}"' for name in FIELDS)
    files = pa.table({"path": [str(path) for path in paths], "sequence": [sequences[path.stem] for path in paths]})
    with vault.scratch() as spill, _spilling(project.file.limits.memory_mb, spill) as con:
        con.register("files", files)
        try:
            answer = con.sql(
                f"""SELECT record_type || ':' || record AS record, arg_max(sequence, {newest}) AS sequence, {fields}
                    FROM read_parquet($paths, filename = true) v JOIN files f ON f.path = v.filename
                    GROUP BY ALL ORDER BY 1""",
                params={"paths": [str(path) for path in paths]},
            ).to_arrow_table()
        except (duckdb.IOException, duckdb.InvalidInputException, duckdb.BinderException) as error:
            # The error's own words may quote what it read: its kind must do.
            raise LakeError(
                f"a file of the vault cannot be read ({type(error).__name__}); restore it from a back-up, or remove it"
                " and its ledger folder to have the file read again"
            ) from None
    return answer.cast(schema)


def _spilling(memory_mb: int, spill: Path) -> duckdb.DuckDBPyConnection:
    """A database that spills what does not fit in memory into the vault: plain personal data may lie nowhere else."""
    return duckdb.connect(config={"threads": 1, "memory_limit": f"{memory_mb}MB", "temp_directory": str(spill)})


def _own_file(path: Path) -> IO[bytes]:
    """A new file that its owner alone may read, whatever the umask."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    os.fchmod(descriptor, _FILE_MODE)
    return os.fdopen(descriptor, "wb")


def _mask(values: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)

"""What the events of one file are made with: times, pseudonyms and identifiers, on one connection."""

from __future__ import annotations

from datetime import datetime

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.identifiers import IdentifierMaker
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import shared_connection
from klantspoor.intake.times import TimeReader
from klantspoor.intake.tombstones import Tombstones, gravekeeper
from klantspoor.project.key import Keys
from klantspoor.project.model import Project, SourceFile
from klantspoor.project.sql import merged_events


class Tools:
    """The tools for one file of `source`; `con` never sees an expression of the project."""

    def __init__(
        self,
        project: Project,
        source: SourceFile,
        keys: Keys,
        landed_at: datetime,
        tombstones: Tombstones | None = None,
    ) -> None:
        self.source = source
        self.con: duckdb.DuckDBPyConnection = shared_connection("tools", project.file.limits.memory_mb)
        self.pseudonyms = Pseudonymiser(self.con, keys)
        self.identifiers = IdentifierMaker(
            self.con, self.pseudonyms, project.file.identifiers, tells_earlier=bool(tombstones)
        )
        self.times = TimeReader(self.con, source, landed_at)
        self.case_keys = case_keys(source)
        priorities = {name: rules.priority for name, rules in project.file.identifiers.items()}
        self.graves = gravekeeper(tombstones, self.pseudonyms, priorities)

    def numbers(self, texts: pa.Array) -> npt.NDArray[np.float64]:
        """Texts (n) as numbers; what is none is NaN."""
        self.con.register("batch", pa.table({"t": texts}))
        answer = self.con.sql("SELECT TRY_CAST(t AS DOUBLE) FROM batch").to_arrow_table().column(0)
        return np.asarray(pc.fill_null(answer, float("nan")).to_numpy(), np.float64)

    def integers(self, texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Texts (n) as whole numbers, 0 for what is none, and which are some."""
        self.con.register("batch", pa.table({"t": texts}))
        number = r"CASE WHEN regexp_full_match(trim(t), '[-+]?[0-9]+([.]0*)?') THEN TRY_CAST(trim(t) AS BIGINT) END"
        answer = self.con.sql(f"SELECT {number} FROM batch").to_arrow_table().column(0)
        known = np.asarray(pc.is_valid(answer).to_numpy(), np.bool_)
        return np.asarray(pc.fill_null(answer, 0).to_numpy(), np.int64), known


def case_keys(source: SourceFile) -> list[str]:
    """The case keys that a source maps, sorted: they name columns of its ledger files."""
    return sorted({name for mapping in merged_events(source) for name in mapping.case_keys or {}})

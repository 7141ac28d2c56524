"""What could not be used, row by row: collected as columns, told without giving personal values away."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.intake.ledger import IDENTIFIERS, QUARANTINE_SCHEMA

Mask = npt.NDArray[np.bool_]
_SHOWN_CHARACTERS = 80
_LETTERS = r"[\p{L}\p{M}]"
_DIGITS = r"\p{N}"


def shape(texts: pa.Array) -> pa.Array:
    """The shape of texts (n): letters become a, digits 9, the rest stays; at most 80 characters. Nulls stay null."""
    short = pc.utf8_slice_codeunits(texts, 0, _SHOWN_CHARACTERS)
    return pc.replace_substring_regex(pc.replace_substring_regex(short, _LETTERS, "a"), _DIGITS, "9")


def as_text(values: pa.Array) -> pa.Array:
    """Values of any type (n) as texts; what Arrow cannot write as one (a struct, bytes that are no UTF-8) is a "?"."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pc.if_else(pc.is_valid(values), pa.scalar("?"), pa.scalar(None, pa.string()))


def found(values: pa.Array, *, personal: bool) -> pa.Array:
    """What was found, for messages about values (n): the value, or if it is personal only its shape and length."""
    texts = as_text(values)
    if personal:
        length = pc.utf8_length(texts).cast(pa.string())
        said = pc.binary_join_element_wise("found a value like ", shape(texts), " (", length, " characters)", "")
    else:
        short = pc.utf8_slice_codeunits(texts, 0, _SHOWN_CHARACTERS)
        said = pc.binary_join_element_wise("found '", short, "'", "")
    return pc.fill_null(said, "found nothing")


@dataclass(slots=True)
class Faults:
    """The faults of one batch of `rows` rows."""

    rows: int
    parts: list[pa.Table] = field(default_factory=list)

    def add(self, positions: npt.NDArray[np.int64], reason: str, column: str | None, details: pa.Array | str) -> None:
        """Notes one reason for the rows at `positions` (k): `details` is a text for each (k) or one for all."""
        count = len(positions)
        if count == 0:
            return
        if isinstance(details, str):
            details = pa.repeat(pa.scalar(details, pa.string()), count)
        self.parts.append(
            pa.table(
                {
                    "position": positions,
                    "reason": pa.repeat(pa.scalar(reason, pa.string()), count),
                    "column": pa.repeat(pa.scalar(column, pa.string()), count),
                    "detail": details,
                }
            )
        )

    def mask(self) -> Mask:
        """Which rows (n) have a fault."""
        mask = np.zeros(self.rows, np.bool_)
        for part in self.parts:
            mask[part.column("position").to_numpy()] = True
        return mask

    def forgive(self, rows: Mask) -> None:
        """Forgets every fault of these rows (n): nothing may be said of them."""
        if rows.any():
            self.parts = [part.filter(pa.array(~rows[part.column("position").to_numpy()])) for part in self.parts]

    def table(
        self, numbers: npt.NDArray[np.int64], malformed: tuple[tuple[int, str], ...], about: pa.Table | None = None
    ) -> pa.Table:
        """All faults as quarantine rows, by row number, each said once; `numbers` are the rows' record numbers (n).

        `about` (row_number: position in the batch; identifiers) tells whom rows are about, as far as that is known.
        """
        tables = [
            part.set_column(0, "row_number", pa.array(numbers[part.column("position").to_numpy()]))
            for part in self.parts
        ]
        if malformed:
            tables.append(_malformed(malformed))
        if not tables:
            return QUARANTINE_SCHEMA.empty_table()
        whole = pa.concat_tables(tables)
        order = pa.array(np.arange(whole.num_rows))
        once = (
            whole.append_column("order", order)
            .group_by(["row_number", "reason", "column", "detail"])
            .aggregate([("order", "min")])
        )
        once = once.sort_by([("row_number", "ascending"), ("order_min", "ascending")])
        rows = once.column("row_number").to_numpy()
        starts = np.flatnonzero(np.r_[True, rows[1:] != rows[:-1]])
        first = np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
        number = pa.array(np.arange(len(rows)) - first + 1)
        columns = [once.column("row_number"), number, *(once.column(n) for n in ("reason", "column", "detail"))]
        columns.append(_identifiers(rows, numbers, about))
        return pa.table(columns, names=QUARANTINE_SCHEMA.names).cast(QUARANTINE_SCHEMA)


def whole_file(reason: str, column: str | None, detail: str) -> pa.Table:
    """The quarantine of a file as a whole: one row, its row number 0."""
    row = {
        "row_number": 0,
        "quarantine_number": 1,
        "reason": reason,
        "column": column,
        "detail": detail,
        "identifiers": [],
    }
    return pa.Table.from_pylist([row], QUARANTINE_SCHEMA)


def _identifiers(
    rows: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], about: pa.Table | None
) -> pa.Array | pa.ChunkedArray:
    """The identifiers of quarantined records (k), of all their events, each once; an empty list where none is known."""
    nobody = pa.array([[]], IDENTIFIERS)
    if about is None or about.num_rows == 0:
        return nobody.take(pa.array(np.zeros(len(rows), np.int64)))
    lists = about.column("identifiers").combine_chunks()
    held = pc.list_parent_indices(lists).to_numpy()
    flat = pa.Table.from_struct_array(pc.list_flatten(lists)).append_column(
        "row", pa.array(numbers[about.column("row_number").to_numpy()][held])
    )
    once = flat.group_by(flat.column_names, use_threads=False).aggregate([]).sort_by("row")
    known, starts = np.unique(once.column("row").to_numpy(), return_index=True)
    if len(known) == 0:
        return nobody.take(pa.array(np.zeros(len(rows), np.int64)))
    values = once.drop_columns(["row"]).to_struct_array().combine_chunks()
    offsets = pa.array(np.r_[starts, once.num_rows].astype(np.int32))
    every = pa.concat_arrays([nobody, pa.ListArray.from_arrays(offsets, values).cast(IDENTIFIERS)])
    place = np.minimum(np.searchsorted(known, rows), len(known) - 1)
    return every.take(pa.array(np.where(known[place] == rows, place + 1, 0)))


def _malformed(rows: tuple[tuple[int, str], ...]) -> pa.Table:
    count = len(rows)
    return pa.table(
        {
            "row_number": pa.array([number for number, _ in rows], pa.int64()),
            "reason": pa.repeat(pa.scalar("malformed_row", pa.string()), count),
            "column": pa.nulls(count, pa.string()),
            "detail": pa.array([detail for _, detail in rows], pa.string()),
        }
    )

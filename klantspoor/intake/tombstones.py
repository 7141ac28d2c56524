"""Tombstones: what keeps a forgotten person from coming back with an old file.

A tombstone is a keyed hash of a pseudonym, so that the pseudonym itself is gone. It speaks for what happened before the
request to forget; whoever comes later with the same number is somebody new. Beside the tombstones lies the list of
identifiers that a forgotten person had in common with others: these go on being nobody's alone. Both are written by
`klantspoor.forget` and read here and, as far as they are shared, by the identity stage.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import LakeError
from klantspoor.intake.identifiers import DIGITS, IdentifierColumn, Mask
from klantspoor.intake.pseudonyms import SEPARATOR, Pseudonymiser

TOMBSTONES = "tombstones.parquet"
SHARED = "shared.parquet"
EVENT = "event"
IDENTIFIER = "identifier"
TOMBSTONES_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("identifier_type", pa.string()),
        pa.field("tombstone", pa.string(), nullable=False),
        pa.field("effective_before", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("receipt", pa.string(), nullable=False),
    ]
)
"""`kind` is identifier or event; `identifier_type` is null for an event."""
SHARED_SCHEMA = pa.schema(
    [
        pa.field("identifier_type", pa.string(), nullable=False),
        pa.field("identifier", pa.string(), nullable=False),
        pa.field("how", pa.string(), nullable=False),
    ]
)
"""`how` is shared (it links nobody), in_turn (it is now one person's and now another's) or blocked (by a steward)."""
Micros = npt.NDArray[np.int64]


def make_tombstones(
    pseudonyms: Pseudonymiser, kind: str, values: pa.Array, identifier_type: str | None = None
) -> pa.Array:
    """The tombstones (n, 24 hex digits) of identifiers of one type, or of event ids."""
    domain = SEPARATOR.join(filter(None, ("tombstone", kind, identifier_type)))
    return pseudonyms.of(values, domain, DIGITS)


@dataclass(frozen=True, slots=True)
class Tombstones:
    """What a ledger knows of the forgotten: `graves` (`TOMBSTONES_SCHEMA`) and `shared` (`SHARED_SCHEMA`)."""

    graves: pa.Table
    shared: pa.Table

    def __bool__(self) -> bool:
        """Whether anybody was forgotten."""
        return bool(self.graves.num_rows)


def read_tombstones(ledger: Path) -> Tombstones:
    """The tombstones in the ledger's folder; none where nobody was forgotten.

    Raises:
        LakeError: they cannot be read. Files must not be taken in without them.
    """
    return Tombstones(_read(ledger / TOMBSTONES, TOMBSTONES_SCHEMA), _read(ledger / SHARED, SHARED_SCHEMA))


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path).cast(schema)
    except FileNotFoundError:
        return schema.empty_table()
    except (OSError, pa.ArrowException) as error:
        raise LakeError(
            f"{path.name} in the ledger cannot be read ({type(error).__name__}): without it forgotten persons would"
            " come back. Restore it from a back-up"
        ) from None


@dataclass(frozen=True, slots=True)
class Judged:
    """The identifiers of n rows after the tombstones: which rows are `erased`, and `columns` for those that stay."""

    erased: Mask
    columns: list[IdentifierColumn]


class Gravekeeper:
    """Tells which rows are of the forgotten. Made for one file; `priorities` are those of the identifier types."""

    def __init__(self, tombstones: Tombstones, pseudonyms: Pseudonymiser, priorities: dict[str, int]) -> None:
        self._graves = tombstones.graves
        self._shared = tombstones.shared
        self._pseudonyms = pseudonyms
        self._priorities = priorities

    def judge(self, columns: list[IdentifierColumn], at: Micros, dated: Mask) -> Judged:
        """Judges rows (n) by their most trusted identifier that is somebody's.

        If that one has a tombstone, the row is the forgotten person's. If only a less trusted one has, the row is
        somebody else's and merely loses that identifier. A row without a time (`dated` is false, whatever `at` says)
        counts as one from before.
        """
        at = np.where(dated, at, np.iinfo(np.int64).min)
        dead = [self._forgotten_until(c) > at for c in columns]
        silent = [self._silent(c) for c in columns]
        decided = np.zeros(len(at), np.bool_)
        erased = np.zeros(len(at), np.bool_)
        order = sorted({c.type for c in columns}, key=lambda name: (self._priorities[name], name))
        for name in order:
            same = [i for i, c in enumerate(columns) if c.type == name]
            # Of several of one type the first by pseudonym decides, as it does for the person of an event.
            heard = [pc.if_else(pa.array(silent[i]), pa.scalar(None, pa.string()), columns[i].pseudonyms) for i in same]
            first = pc.min_element_wise(*heard)
            spoken = _mask(pc.is_valid(first)) & ~decided
            for i in same:
                erased |= spoken & dead[i] & _mask(pc.fill_null(pc.equal(columns[i].pseudonyms, first), False))
            decided |= spoken
        kept = [
            _without(column, gone & ~mute & ~erased) for column, gone, mute in zip(columns, dead, silent, strict=True)
        ]
        return Judged(erased, kept)

    def nothing_else(self, columns: list[IdentifierColumn]) -> Mask:
        """Rows (n) in which every identifier that is somebody's has a tombstone, whatever its time, and one has.

        A list that is delivered again has no time of its own: this tells the old list from a new customer.
        """
        any_dead = np.zeros(len(columns[0].pseudonyms) if columns else 0, np.bool_)
        any_alive = any_dead.copy()
        for column in columns:
            dead = self._forgotten_until(column) > np.iinfo(np.int64).min
            mute = self._silent(column)
            any_dead |= dead & ~mute
            any_alive |= ~dead & ~mute
        return np.asarray(any_dead & ~any_alive, np.bool_)

    def events(self, event_ids: pa.Array | pa.ChunkedArray, at: Micros) -> Mask:
        """Which events (n) were forgotten by their id; needed where only a shared device told whose they were."""
        return np.asarray(self._before(EVENT, event_ids, None) > at, np.bool_)

    def _forgotten_until(self, column: IdentifierColumn) -> Micros:
        """As `_before`, of identifiers; a tombstone may be of the pseudonym that one had under fewer keys."""
        until = self._before(IDENTIFIER, column.pseudonyms, column.type)
        for pseudonyms in column.earlier:
            until = np.maximum(until, self._before(IDENTIFIER, pseudonyms, column.type))
        return until

    def _before(self, kind: str, values: pa.Array | pa.ChunkedArray, identifier_type: str | None) -> Micros:
        """Until when each value (n) is forgotten, in µs since 1970; the least int64 where it is not."""
        never = np.full(len(values), np.iinfo(np.int64).min)
        of_kind = pc.equal(self._graves["kind"], kind)
        if identifier_type is not None:
            of_kind = pc.and_(of_kind, pc.fill_null(pc.equal(self._graves["identifier_type"], identifier_type), False))
        graves = self._graves.filter(of_kind)
        if graves.num_rows == 0 or len(values) == 0:
            return never
        whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
        distinct = whole.dictionary_encode()
        made = make_tombstones(self._pseudonyms, kind, distinct.dictionary, identifier_type)
        place = pc.index_in(made, value_set=graves["tombstone"].combine_chunks()).take(distinct.indices)
        micros = np.asarray(graves["effective_before"].cast(pa.int64()).to_numpy(), np.int64)
        known = _mask(pc.is_valid(place))
        return np.where(known, micros[np.asarray(pc.fill_null(place, 0).to_numpy(), np.int64)], never)

    def _silent(self, column: IdentifierColumn) -> Mask:
        """Identifiers (n) that say nothing about whose a row is: none, guarded, or in common with others."""
        mute = _mask(pc.or_(pc.is_null(column.pseudonyms), pc.is_valid(column.guards)))
        shared = self._shared.filter(pc.equal(self._shared["identifier_type"], column.type))["identifier"]
        if shared.length() == 0:
            return mute
        return mute | _mask(pc.is_in(column.pseudonyms, value_set=shared.combine_chunks()))


def gravekeeper(
    tombstones: Tombstones | None, pseudonyms: Pseudonymiser, priorities: dict[str, int]
) -> Gravekeeper | None:
    """Who keeps these graves; None where there are none, so that a ledger of the living costs nothing."""
    return Gravekeeper(tombstones, pseudonyms, priorities) if tombstones else None


def _without(column: IdentifierColumn, gone: Mask) -> IdentifierColumn:
    if not gone.any():
        return column
    return replace(column, pseudonyms=pc.if_else(pa.array(gone), pa.scalar(None, pa.string()), column.pseudonyms))


def _mask(values: pa.Array) -> Mask:
    return np.asarray(values.to_numpy(zero_copy_only=False), np.bool_)

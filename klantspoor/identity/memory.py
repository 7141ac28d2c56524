"""What earlier nights made of the ledger, so that tonight only what is new is read: identifiers and sets as numbers.

`lake/state/identity/` names exactly what it was made of; where that is not the beginning of what there is today, or
anything else that decides differs, it is thrown away, and all is read and resolved again. A first night is the same, with
nothing known yet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from klantspoor.identity.columns import Column, Columns
from klantspoor.identity.decisions import Decision
from klantspoor.identity.encode import GUARDS, Batch, encode, keys, two_sets
from klantspoor.identity.evidence import Ints, ordered_types
from klantspoor.intake.evidence import evidence_files
from klantspoor.intake.tombstones import SHARED
from klantspoor.project.model import IdentifierType

GROWTH = 4
"""When what was added is more than one part in so many of what was read at once, all is read at once again."""


@dataclass(frozen=True, slots=True)
class Tonight:
    """What is new: the identifiers seen (`node`) and the sets (`sets`), as the memory numbers them."""

    node: Ints
    sets: Ints


def made_of(lake_root: Path, types: dict[str, IdentifierType], decisions: Sequence[Decision]) -> dict[str, Any]:
    """All but the ledger's files that decides who is who, as values of JSON."""
    beside = [*evidence_files(lake_root)[-1:], *(lake_root / "ledger").glob(SHARED)]
    said = [asdict(decision) for decision in decisions]
    code = sorted(Path(__file__).parent.glob("*.py"))
    return {
        "types": {name: kind.model_dump(mode="json") for name, kind in types.items()},
        "decisions": sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest(),
        "beside": [sha256(path.read_bytes()).hexdigest() for path in beside],
        "code": sha256(b"".join(path.read_bytes() for path in code)).hexdigest(),
    }


class Memory:
    """The memory of one lake, brought up to date with `read`; `columns` holds it.

    By identifier: `key`, `sequence`, `guard`; by set: `number`, `start`, `member`; by observation: `observed`, `first`,
    `last`, `file`; and when and where identifiers were seen, night by night: `seen_node`, `seen_first`, `seen_last`,
    `seen_rows`, `seen_in` (a bit for each of `sources`). What was decided is kept by `klantspoor.identity.carried`.
    """

    def __init__(self, lake_root: Path, files: pa.Table, made: dict[str, Any]) -> None:
        """`files` as `encode.ledger_files` gives them, `made` as `made_of`."""
        self.columns = Columns(lake_root / "state" / "identity")
        self._files, self._made = files, made
        self._today = [
            list(one) for one in zip(files["sequence"].to_pylist(), files["digest"].to_pylist(), strict=True)
        ]
        about = self.columns.about
        known = about.get("ledger", [])
        if not known or about["made_of"] != made or known != self._today[: len(known)] or self._is_overgrown():
            self.columns.clear()
        self.sources: list[str] = list(self.columns.about.get("sources", []))
        self._base: list[int] = list(self.columns.about.get("base", []))

    def read(
        self,
        connection: duckdb.DuckDBPyConnection,
        scratch: Path,
        types: dict[str, IdentifierType],
        decisions: Sequence[Decision],
    ) -> Tonight:
        """Adds the files that are not known yet; where they contradict what is known, all is read again.

        Raises:
            LakeError: as `encode.encode`.
        """
        new = self._files.slice(len(self.columns.about.get("ledger", [])))
        batch = encode(connection, new, scratch, types)
        if self.columns.about and not self._fits(batch, new):
            self.columns.clear()
            self.sources, self._base, new = [], [], self._files
            batch = encode(connection, new, scratch, types)
        return self._add(batch, new, types, decisions)

    def commit(self) -> None:
        """Makes what was read and decided tonight what the next night begins with."""
        self.columns.commit({"made_of": self._made, "ledger": self._today, "sources": self.sources, "base": self._base})

    def places(self, types: dict[str, IdentifierType], kind: pa.Array, identifier: pa.Array) -> Ints:
        """(n) The numbers of identifiers by the names of their types and their pseudonyms; -1: never seen."""
        names = pa.array([name for name, _ in ordered_types(types)], pa.string())
        number = np.asarray(pc.fill_null(pc.index_in(kind, names), -1), np.int16)
        known = self.columns.read("key")
        place = np.full(len(number), -1, np.int64)
        asked = np.flatnonzero(number >= 0)
        if len(asked):
            wanted = keys(number[asked], identifier.take(pa.array(asked)))
            place[asked] = self._places("key", 0, wanted, known)
        return place

    @property
    def in_order(self) -> int:
        """Identifiers with lower numbers than this are numbered by trust."""
        return self._base[0]

    def _is_overgrown(self) -> bool:
        base = self.columns.about["base"]
        return any(
            self.columns.rows(name) > read + read // GROWTH for name, read in zip(("key", "number"), base, strict=True)
        )

    def _fits(self, batch: Batch, files: pa.Table) -> bool:
        """Whether a batch only adds: no key is wider, no source too many, nothing known is guarded that was not."""
        key, seen_in = self.columns.read("key"), self.columns.read("seen_in")
        if batch.key.dtype.itemsize > key.dtype.itemsize:
            return False
        if len({*self.sources, *files["source"].to_pylist()}) > 64 * seen_in.shape[1]:
            return False
        guarded = np.flatnonzero(batch.guard)
        place = self._places("key", 0, batch.key[guarded], key)
        return bool((self.columns.read("guard")[place[place >= 0]] > 0).all())

    def _places(self, name: str, part: int, wanted: Column, known: Column) -> Ints:
        """(n) Where each of `wanted` is in a column: what was read at once is in order, what came later is put so."""
        place = np.full(len(wanted), -1, np.int64)
        base = self._base[part] if self._base else 0
        later = known[base:]
        order = np.argsort(later, kind="stable")
        for begin, there, at in ((0, known[:base], None), (base, later[order], order)):
            if len(there):
                found = np.minimum(np.searchsorted(there, wanted), len(there) - 1)
                same = there[found] == wanted
                place[same] = begin + (found[same] if at is None else at[found[same]])
        return place

    def _add(
        self, batch: Batch, files: pa.Table, types: dict[str, IdentifierType], decisions: Sequence[Decision]
    ) -> Tonight:
        first = not self.columns.about
        if first:
            # These are looked at before anything is added to them.
            begun = {"key": batch.key, "guard": batch.guard, "number": batch.number, "member": np.empty(0, np.int32)}
            for name, rows in begun.items():
                self.columns.append(name, rows[:0])
            self.columns.append("start", np.zeros(1, np.int64))
        node = self._add_nodes(batch, types, decisions)
        sets = self._add_sets(batch, node)
        self._add_seen(batch, files, node)
        if first:
            self._base = [self.columns.rows("key"), self.columns.rows("number")]
        self.columns.append("observed", sets[batch.observed].astype(np.int32))
        self.columns.append("first", batch.first)
        self.columns.append("last", batch.last)
        self.columns.append("file", batch.file.astype(np.int32))
        return Tonight(node, sets)

    def _add_nodes(self, batch: Batch, types: dict[str, IdentifierType], decisions: Sequence[Decision]) -> Ints:
        columns = self.columns
        known = columns.rows("key")
        node = self._places("key", 0, batch.key, columns.read("key"))
        new = np.flatnonzero(node < 0)
        node[new] = known + np.arange(len(new))
        earliest = np.full(len(batch.number), np.iinfo(np.int64).max, np.int64)
        np.minimum.at(earliest, batch.observed, batch.file)
        sequence = np.full(len(batch.key), np.iinfo(np.int64).max, np.int64)
        np.minimum.at(sequence, batch.member, np.repeat(earliest, np.diff(batch.start)))
        columns.append("key", batch.key[new])
        columns.append("sequence", sequence[new].astype(np.int32))
        guard = np.r_[columns.read("guard"), np.zeros(len(new), np.int8)]
        guard[node] = np.maximum(guard[node], batch.guard)
        blocked = [decision.a for decision in decisions if decision.verb == "block"]
        place = self.places(
            types,
            pa.array([a.type for a in blocked], pa.string()),
            pa.array([a.identifier for a in blocked], pa.string()),
        )
        guard[place[place >= 0]] = GUARDS.index("steward") + 1
        columns.replace("guard", guard)
        return node

    def _add_sets(self, batch: Batch, node: Ints) -> Ints:
        columns = self.columns
        sets = self._places("number", 1, batch.number, columns.read("number"))
        again, new = np.flatnonzero(sets >= 0), np.flatnonzero(sets < 0)
        start, size = columns.read("start"), np.diff(batch.start)
        member = node[batch.member]
        other = start[sets[again] + 1] - start[sets[again]] != size[again]
        if not other.any():
            here, there = ranges(batch.start[again], size[again]), ranges(start[sets[again]], size[again])
            other = columns.read("member")[there] != member[here]
        if other.any():
            raise two_sets(int(other.sum()))
        sets[new] = columns.rows("number") + np.arange(len(new))
        columns.append("number", batch.number[new])
        columns.append("start", start[-1] + np.cumsum(size[new]))
        columns.append("member", member[ranges(batch.start[new], size[new])].astype(np.int32))
        return sets

    def _add_seen(self, batch: Batch, files: pa.Table, node: Ints) -> None:
        """When and where each identifier was seen tonight."""
        self.sources += sorted(set(files["source"].to_pylist()) - set(self.sources))
        known = "seen_in" in self.columns
        words = self.columns.read("seen_in").shape[1] if known else max(-(-len(self.sources) // 64), 1)
        place = {name: at for at, name in enumerate(self.sources)}
        source = np.array([place[name] for name in files["source"].to_pylist()], np.int64)
        of_row = source[np.searchsorted(files["sequence"].to_numpy(), batch.file)]
        sets, nodes = len(batch.number), len(batch.key)
        held = np.repeat(np.arange(sets), np.diff(batch.start))

        def gathered(reduce: np.ufunc, values: Column, empty: int) -> Column:
            by_set, by_node = np.full(sets, empty, values.dtype), np.full(nodes, empty, values.dtype)
            reduce.at(by_set, batch.observed, values)
            reduce.at(by_node, batch.member, by_set[held])
            return by_node

        bit = np.left_shift(np.uint64(1), (of_row % 64).astype(np.uint64))
        columns = self.columns
        columns.append("seen_node", node.astype(np.int32))
        columns.append("seen_first", gathered(np.minimum, batch.first, np.iinfo(np.int64).max))
        columns.append("seen_last", gathered(np.maximum, batch.last, np.iinfo(np.int64).min))
        columns.append("seen_rows", gathered(np.add, batch.rows, 0))
        in_word = [
            gathered(np.bitwise_or, np.where(of_row // 64 == word, bit, np.uint64(0)), 0) for word in range(words)
        ]
        columns.append("seen_in", np.stack(in_word, axis=1))


def ranges(start: Ints, size: Ints) -> Ints:
    """All whole numbers of the ranges (n) that begin at `start` and hold `size` of them, range after range."""
    ends = np.cumsum(size)
    total = int(ends[-1]) if len(ends) else 0
    return np.asarray(np.arange(total) + np.repeat(start - (ends - size), size), np.int64)

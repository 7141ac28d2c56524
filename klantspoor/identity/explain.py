"""How one person's identifiers are tied together: a shortest chain of evidence between any two of them.

Evidence is what the ledger saw together in one row, what stewards forced, and what the fuzzy comparison of records
found alike. Only evidence that the guards let through is a link of a chain: both ends are the person's own, no guard
refused that link, and an identifier that several persons had in turn is an end, never a step, of a chain.

The evidence lies in temporary tables, filled by `klantspoor.identity.gather`: only pairs of numbers come into memory,
and then what is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from klantspoor.errors import NotFoundError
from klantspoor.identity.decisions import Decision, Identifier
from klantspoor.identity.known import Refusal, refusals, rows_of

_FEWEST_DIGITS = 4
Numbers = npt.NDArray[np.int64]
Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Held:
    """One identifier of the person: its number in the list, the rule, when it is theirs, and where it was seen."""

    number: int
    identifier: Identifier
    rule: str
    stretches: list[tuple[datetime, datetime | None]]
    rows: int
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Together:
    """Two identifiers in the rows of one source, by its mapping number `mapping` (from 1)."""

    source: str
    mapping: int
    first_seen: datetime
    last_seen: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Alike:
    """The records of two identifiers, found alike: on what, on what not, and with which weight (log2 of the odds)."""

    weight: float
    probability: float
    agreed: list[str]
    differed: list[str]
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of a chain, between two numbers of the list, with all evidence for it; one kind at least is there."""

    left: int
    right: int
    together: list[Together] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    alike: list[Alike] = field(default_factory=list)


class Evidence:
    """What ties the identifiers of one person together; made by `klantspoor.identity.gather`.

    `count` is how many identifiers the person has; they are numbered from 1, the anchor first, then by when they were
    first theirs.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, count: int, pairs: tuple[Numbers, Numbers], ends: Numbers,
        forced: dict[Pair, list[Decision]],
    ) -> None:  # fmt: skip
        self.count = count
        self._connection = connection
        self._left = np.concatenate(pairs)
        self._right = np.concatenate(pairs[::-1])
        self._is_end = np.zeros(count, np.bool_)
        self._is_end[ends] = True
        self._forced = forced

    def listed(self, numbers: list[int]) -> list[Held]:
        """The identifiers with these numbers, in order of number."""
        rows = rows_of(
            self._connection,
            """SELECT m.number, m.identifier_type, m.identifier, m.rule, m.stretches,
                      coalesce(sum(s.rows), 0)::BIGINT AS rows,
                      coalesce(list(DISTINCT s.source ORDER BY s.source) FILTER (s.source IS NOT NULL), []) AS sources
               FROM mine m LEFT JOIN member s USING (number) WHERE m.number IN (SELECT unnest($1::BIGINT[]))
               GROUP BY ALL ORDER BY m.number""",
            [numbers],
        )
        return [
            Held(
                row["number"],
                Identifier(row["identifier_type"], row["identifier"]),
                row["rule"],
                [(one["f"], one["t"]) for one in row["stretches"]],
                row["rows"],
                row["sources"],
            )
            for row in rows
        ]

    def number_of(self, text: str) -> int:
        """The number meant by a number of the list or the beginning of a pseudonym (four digits at least).

        Raises:
            NotFoundError: where it is neither, or several begin so.
        """
        wanted = text.strip().lower().removesuffix("…")
        if wanted.isascii() and wanted.isdigit() and 1 <= int(wanted[:18]) <= self.count:
            return int(wanted)
        found: list[Any] = []
        if len(wanted) >= _FEWEST_DIGITS:
            sql = "SELECT number FROM mine WHERE starts_with(identifier, $1) LIMIT 2"
            found = self._connection.execute(sql, [wanted]).fetchall()
        if len(found) != 1:
            raise NotFoundError(
                f"Name each identifier by its number in the list, 1 to {self.count}, or by the first digits of its"
                f" pseudonym, {_FEWEST_DIGITS} at least and enough to tell it from the others."
            )
        return int(found[0][0])

    def chains(self, start: int, ends: list[int]) -> list[list[int] | None]:
        """From one number to each of n others, the numbers on a shortest chain; None where no evidence leads there."""
        before = self._walk(start - 1)
        found: list[list[int] | None] = []
        for end in ends:
            chain = [end - 1]
            while chain[-1] != start - 1 and before[chain[-1]] >= 0:
                chain.append(int(before[chain[-1]]))
            found.append([node + 1 for node in reversed(chain)] if chain[-1] == start - 1 else None)
        return found

    def _walk(self, start: int) -> Numbers:
        """The node before each (n) on a shortest chain from `start`; negative where there is none."""
        # What several had in turn can be reached but not passed.
        open_ = ~self._is_end[self._left] | (self._left == start)
        left, right = self._left[open_], self._right[open_]
        graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(self.count, self.count)).tocsr()
        graph.sort_indices()
        return np.asarray(breadth_first_order(graph, start, directed=True, return_predecessors=True)[1], np.int64)

    def hops(self, chains: list[list[int]]) -> list[list[Hop]]:
        """The steps of each of n chains, each step with everything that is evidence for it."""
        steps = {ordered(step) for chain in chains for step in pairwise(chain)}
        self._connection.register("steps", pairs_table(sorted(steps)))
        together: dict[Pair, list[Together]] = {}
        for row in rows_of(self._connection, _TOGETHER, []):
            seen = Together(row["source"], row["position"], row["first_seen"], row["last_seen"], row["rows"])
            together.setdefault((row["a"], row["b"]), []).append(seen)
        alike: dict[Pair, list[Alike]] = {}
        for row in rows_of(self._connection, _ALIKE, []):
            one = Alike(row["weight"], row["probability"], row["agreed"], row["differed"], row["found_at"])
            alike.setdefault((row["a"], row["b"]), []).append(one)
        self._connection.unregister("steps")

        def hop(left: int, right: int) -> Hop:
            pair = ordered((left, right))
            return Hop(left, right, together.get(pair, []), self._forced.get(pair, []), alike.get(pair, []))

        return [[hop(*step) for step in pairwise(chain)] for chain in chains]

    def refused(self, most: int) -> tuple[list[Refusal], int]:
        """At most `most` of what guards decided about the person's identifiers, and how many there are."""
        return refusals(self._connection, "mine", most)

    def refused_beside(self, most: int) -> tuple[list[Refusal], int]:
        """The same about identifiers that were seen in the person's rows but are not the person's."""
        return refusals(self._connection, "beside", most)


_TOGETHER = """
SELECT s.a, s.b, x.source, x.position, min(x.first_seen) AS first_seen, max(x.last_seen) AS last_seen,
       sum(x.rows)::BIGINT AS rows
FROM steps s JOIN seen_pairs p USING (a, b)
JOIN member x ON x.number = s.a JOIN member y ON y.number = s.b AND y.sequence = x.sequence AND y.line = x.line
GROUP BY ALL ORDER BY rows DESC, x.source, x.position"""
_ALIKE = "SELECT DISTINCT l.* FROM steps s JOIN likeness l USING (a, b) ORDER BY l.weight DESC, l.found_at"


def ordered(pair: Pair) -> Pair:
    """The pair with the smaller number first."""
    return (pair[0], pair[1]) if pair[0] < pair[1] else (pair[1], pair[0])


def pairs_table(pairs: list[Pair]) -> pa.Table:
    """Pairs (n) as the columns a and b."""
    return pa.table(
        {
            "a": pa.array([pair[0] for pair in pairs], pa.int64()),
            "b": pa.array([pair[1] for pair in pairs], pa.int64()),
        }
    )

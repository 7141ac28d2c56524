"""Whom to forget, and what of them there is: the request, worked out from the current version and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.forget.beside import clear_decisions, clear_linkage, clear_vault
from klantspoor.forget.folders import look
from klantspoor.forget.request import Identifier, Request, new_request
from klantspoor.forget.sets import Held, lists_holding, of_sets
from klantspoor.identity.decisions import Identifier as Identified
from klantspoor.identity.known import holders
from klantspoor.intake.ledger import Ledger, LedgerFile
from klantspoor.lake import Lake, Version
from klantspoor.project.model import Project

_BY_NUMBER = ("shared", "at_most", "at_most_persons", "one_per_person", "forbidden")
"""Guards that count how many have an identifier, or cut one link of it."""
_FRESHER = (
    "files were taken in since version {name} was published: what they say about the person is not known yet."
    " Publish a night first (klantspoor run), then ask again"
)


def person_with(version: Version, identifier: Identified) -> str:
    """The person who has an identifier, given by its pseudonym.

    Raises:
        NotFoundError: nobody has it, or several persons had it in turn.
    """
    with version.connect() as connection:
        found = sorted({one.person_id for one in holders(connection, identifier)})
    if not found:
        raise NotFoundError(
            f"Nobody in version {version.name} has that {identifier.type}: it was never seen, or is shared or blocked and"
            " so nobody's. Try another identifier of the person"
        )
    if len(found) > 1:
        raise NotFoundError(
            f"Several persons had that {identifier.type} in turn: {', '.join(found)}. Give the id of one"
        )
    return found[0]


def priorities(project: Project) -> dict[str, int]:
    """How far each type of identifier is trusted; 1 is the most."""
    return {name: rules.priority for name, rules in project.file.identifiers.items()}


def vault_of(project: Project) -> Path:
    """The folder in which fields for fuzzy comparison lie."""
    return Path(project.root) / project.file.vault


def trace(project: Project, lake: Lake, version: Version, person_id: str, now: datetime) -> Request:
    """All that has to go. Nothing is changed; the caller holds the lake, so that nobody else changes it meanwhile.

    Raises:
        NotFoundError: the version does not know the person.
        LakeError: the ledger knows more than the version.
    """
    files = Ledger(lake.root).files()
    request = new_request(person_id, now)
    with version.connect() as connection:
        _require_up_to_date(connection, files, version)
        _from_version(connection, request)
        if not request.exclusive and not request.events:
            raise NotFoundError(f"Version {version.name} does not know the person {person_id}")
        _whose(connection, files, request)
        looks = [look(file, request, priorities(project)) for file in files]
        for seen in looks:
            _sort_events(connection, seen.event_ids, seen.file.record.sequence, request)
    request.events = sorted(set(request.events))
    # Once more, now that it is known which rows are somebody else's all the same.
    looks = [look(seen.file, request, priorities(project)) for seen in looks if not seen.is_clean]
    landing = Path(project.root) / project.file.landing
    request.landing = [
        {"file": seen.file.record.file, "rows": seen.rows}
        for seen in looks
        if seen.rows and (landing / seen.file.record.file).exists()
    ]
    vault, trust = vault_of(project), priorities(project)
    request.counts = {
        "files": sum(not seen.is_clean for seen in looks),
        "rows": sum(seen.rows for seen in looks),
        "events": sum(seen.events for seen in looks),
        "quarantined_rows": sum(len(seen.quarantined) for seen in looks),
        "vault_rows": sum(clear_vault(vault, seen, request, trust, write=False) for seen in looks),
        "linkage_pairs": clear_linkage(lake.ledger, request, write=False),
        "steward_decisions": clear_decisions(Path(project.root), request, write=False),
        "identifiers": len(request.exclusive),
        "journeys": len(request.journeys),
    }
    return request


def _require_up_to_date(connection: duckdb.DuckDBPyConnection, files: list[LedgerFile], version: Version) -> None:
    [(newest,)] = connection.execute("SELECT coalesce(max(sequence), 0) FROM intake").fetchall()
    if max((file.record.sequence for file in files), default=0) > newest:
        raise LakeError(_FRESHER.format(name=version.name))


def _from_version(connection: duckdb.DuckDBPyConnection, request: Request) -> None:
    """Identifiers that are this person's alone, and the ids of their events, journeys and accounts."""
    person = [request.person_id]
    mine = connection.execute(
        """SELECT identifier_type, identifier, count(DISTINCT person_id) > 1 FROM identities
           WHERE (identifier_type, identifier) IN (SELECT (identifier_type, identifier) FROM identities WHERE person_id = ?)
           GROUP BY ALL ORDER BY ALL""",
        person,
    ).fetchall()
    request.exclusive = [(kind, name) for kind, name, in_turn in mine if not in_turn]
    request.shared = [(kind, name, "in_turn") for kind, name, in_turn in mine if in_turn]
    request.events = _column(connection, "SELECT event_id FROM events WHERE person_id = ? ORDER BY 1", person)
    request.journeys = _column(connection, "SELECT journey_id FROM journeys WHERE person_id = ? ORDER BY 1", person)
    request.accounts = _column(
        connection,
        """SELECT account_id FROM events WHERE account_id IS NOT NULL GROUP BY account_id
           HAVING bool_and(coalesce(person_id = ?, false)) ORDER BY 1""",
        person,
    )


def _whose(connection: duckdb.DuckDBPyConnection, files: list[LedgerFile], request: Request) -> None:
    """Sorts the identifiers beside the person's: other people's, nobody's alone, and those that nobody else was seen with."""
    beside = _unguarded(_own_lists(files, request)) - set(request.exclusive)
    holders = _holders(connection, beside)
    request.others = sorted(one for one in beside if len(holders.get(one, ())) == 1)
    in_turn = {one for one in beside if len(holders.get(one, ())) > 1}
    unheld = {one for one in beside if one not in holders}
    company: dict[Identifier, set[Identifier]] = {one: set() for one in unheld}
    guarded: set[Identifier] = set()
    for held in _lists(files, {pseudonym for _, pseudonym in unheld}):
        names = {(one["type"], one["identifier"]) for one in held if one["guard"] is None}
        guarded |= {(one["type"], one["identifier"]) for one in held if one["guard"] is not None}
        for one in names & unheld:
            company[one] |= names
    everybody = _holders(connection, unheld.union(*company.values()))
    others = {one for one, persons in everybody.items() if persons - {request.person_id}}
    blocked = _blocked(connection) & unheld
    # No other person was ever seen with it: a guard of number alone made it nobody's, and it is this person's.
    alone = {one for one in unheld - guarded - blocked if not company[one] & others}
    request.exclusive = sorted({*request.exclusive, *alone})
    request.shared = sorted(
        {
            *request.shared,
            *((*one, "in_turn") for one in in_turn),
            *((*one, "blocked") for one in blocked),
            *((*one, "shared") for one in unheld - guarded - blocked - alone),
        }
    )


def _own_lists(files: list[LedgerFile], request: Request) -> Iterator[list[Held]]:
    """The identifiers of every row of the person: by identifier, and of events that only a shared device tells."""
    yield from _lists(files, request.pseudonyms)
    wanted = pa.array(request.events, pa.string())
    for file in files:
        numbers: set[int] = set()
        for batch in pq.ParquetFile(file.events).iter_batches(columns=["event_id", "identifier_set"]):
            numbers |= set(batch.column(1).filter(pc.is_in(batch.column(0), value_set=wanted)).to_pylist())
        if numbers:
            yield from (held for _, held in of_sets(file.links, numbers))


def _lists(files: list[LedgerFile], pseudonyms: set[str]) -> Iterator[list[Held]]:
    if pseudonyms:
        for file in files:
            yield from (held for _, held in lists_holding(file.links, "identifier_set", pseudonyms))
            yield from (held for _, held in lists_holding(file.quarantine, "row_number", pseudonyms))


def _unguarded(lists: Iterable[list[Held]]) -> set[Identifier]:
    return {(one["type"], one["identifier"]) for held in lists for one in held if one["guard"] is None}


def _holders(connection: duckdb.DuckDBPyConnection, wanted: set[Identifier]) -> dict[Identifier, set[str]]:
    """The persons who have or had each identifier; without an entry where nobody does."""
    ordered = sorted(wanted)
    connection.register(
        "wanted",
        pa.table(
            {
                "identifier_type": pa.array([kind for kind, _ in ordered], pa.string()),
                "identifier": pa.array([name for _, name in ordered], pa.string()),
            }
        ),
    )
    rows = connection.execute(
        """SELECT identifier_type, identifier, list(DISTINCT person_id) FROM identities
           SEMI JOIN wanted USING (identifier_type, identifier) GROUP BY ALL"""
    ).fetchall()
    return {(kind, name): set(persons) for kind, name, persons in rows}


def _blocked(connection: duckdb.DuckDBPyConnection) -> set[Identifier]:
    """Identifiers that were judged to be nobody's by what they are, not by how many had them."""
    rows = connection.execute(
        """SELECT DISTINCT identifier_type, identifier FROM identity_audit SEMI JOIN wanted USING (identifier_type, identifier)
           WHERE NOT list_contains(?, guard::VARCHAR)""",
        [list(_BY_NUMBER)],
    ).fetchall()
    return {(kind, name) for kind, name in rows}


def _sort_events(
    connection: duckdb.DuckDBPyConnection, found: list[tuple[str, int]], sequence: int, request: Request
) -> None:
    """Events that identifiers alone tell to be the person's: added to theirs, or spared where the version says whose they are."""
    if not found:
        return
    owned = connection.execute(
        """SELECT event_id, file_sequence, row_number FROM events
           WHERE event_id IN (SELECT unnest(?)) AND person_id IS NOT NULL AND person_id <> ?""",
        [[event_id for event_id, _ in found], request.person_id],
    ).fetchall()
    foreign = {event_id for event_id, _, _ in owned}
    winners = {(event_id, row) for event_id, of, row in owned if of == sequence}
    request.events += [event_id for event_id, _ in found if event_id not in foreign]
    request.spared += [(sequence, row, event_id) for event_id, row in found if (event_id, row) in winners]


def _column(connection: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object]) -> list[str]:
    return [str(row[0]) for row in connection.execute(sql, parameters).fetchall()]

"""What is told of a person, or of an identifier that is nobody's, as one document of plain values.

`klantspoor who` prints it, or writes it as JSON. Instants stay datetimes in UTC; identifiers are pseudonyms.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from klantspoor.identity.decisions import Decision, Identifier, in_force, read_decisions
from klantspoor.identity.explain import Evidence, Hop
from klantspoor.identity.gather import Seen, gather, look_for, numbers_of
from klantspoor.identity.known import Refusal, former_ids, holders, refusals_of
from klantspoor.identity.typed import Typed
from klantspoor.lake import Version, open_lake
from klantspoor.project.model import Project

Document = dict[str, Any]


def tell_person(
    project: Project,
    version: Version,
    connection: duckdb.DuckDBPyConnection,
    person_id: str,
    most: int,
    between: tuple[str, str] | None = None,
) -> Document:
    """Who a person is.

    Gives `version`, `as_of`, `person_id`, `former_ids`, `identifiers` (`most` of `identifiers_total`; with `between` those
    of the chain), `chains` (from the anchor to each listed; with `between` the one; `hops` null where no evidence is
    left), `refused` and `refused_beside` (what guards decided about them, and about what was seen beside them), and
    `decisions` about them (`counted`: whether they stood when the version was made; `stands`: whether they do now).

    Args:
        project: the project.
        version: the published version.
        connection: to that version, for this one person.
        person_id: in full.
        most: identifiers and refusals listed at most.
        between: two identifiers, by number in the list or beginning of the pseudonym.

    Raises:
        NotFoundError: an id or a number that there is not.
        ConfigError: the file of decisions is damaged.
        LakeError: the ledger cannot be read.
    """
    taken = read_decisions(Path(project.root))
    counted = in_force(_before(taken, version))
    evidence = gather(connection, open_lake(project).root, person_id, counted)
    if between is None:
        listed = list(range(1, min(evidence.count, most) + 1))
        ends = listed[1:]
        chains = evidence.chains(1, ends)
        starts = [1] * len(ends)
    else:
        starts, ends = [evidence.number_of(between[0])], [evidence.number_of(between[1])]
        chains = evidence.chains(starts[0], ends)
        listed = sorted({starts[0], ends[0], *(chains[0] or [])})
    numbers = numbers_of(connection, [one for decision in taken for one in decision.about])
    refused, refused_total = evidence.refused(most)
    beside, beside_total = evidence.refused_beside(most)
    return {
        "version": version.name,
        "as_of": version.manifest["as_of"],
        "person_id": person_id,
        "former_ids": [
            {"former_person_id": one.person_id, "since": one.since, "why": one.why}
            for one in former_ids(connection, person_id)
        ],
        "identifiers_total": evidence.count,
        "identifiers": list(_identifiers(evidence, listed)),
        "chains": list(_chains(project, evidence, starts, ends, chains)),
        "refused_total": refused_total,
        "refused": [_refusal(one) for one in refused],
        "refused_beside_total": beside_total,
        "refused_beside": [_refusal(one) for one in beside],
        "decisions": list(_decisions(taken, counted, set(numbers))),
    }


def tell_identifier(
    project: Project, version: Version, connection: duckdb.DuckDBPyConnection, typed: Typed, most: int
) -> Document:
    """Whose an identifier is that is nobody's or that several persons had in turn, and why.

    Gives `version`, `as_of`, `asked` (type, identifier), `persons` (person_id, from, to; none: nobody's), `why` (sentences),
    `refused`, `seen` (what the ledger knows of it) and `decisions` about it.

    Raises:
        ConfigError: the file of decisions is damaged.
        LakeError: the ledger cannot be read.
    """
    one = typed.identifier
    taken = read_decisions(Path(project.root))
    counted = in_force(_before(taken, version))
    held = holders(connection, one)
    refused = refusals_of(connection, one, most)
    seen = look_for(connection, open_lake(project).root, one)
    decisions = list(_decisions(taken, counted, {one}))
    return {
        "version": version.name,
        "as_of": version.manifest["as_of"],
        "asked": asdict(one),
        "persons": [{"person_id": h.person_id, "from": h.valid_from, "to": h.valid_to} for h in held],
        "why": [] if held else list(_why_nobodys(typed, refused, seen, decisions)),
        "refused": [_refusal(each) for each in refused],
        "seen": asdict(seen),
        "decisions": decisions,
    }


def _before(taken: list[Decision], version: Version) -> list[Decision]:
    """The decisions that the version may have been made with."""
    published = datetime.fromisoformat(version.manifest["published_at"])
    return [one for one in taken if one.decided_at <= published]


def _identifiers(evidence: Evidence, numbers: list[int]) -> Iterator[Document]:
    for one in evidence.listed(numbers):
        yield {
            "number": one.number,
            "type": one.identifier.type,
            "identifier": one.identifier.identifier,
            "rule": one.rule,
            "held": [{"from": since, "to": to} for since, to in one.stretches],
            "rows": one.rows,
            "sources": one.sources,
        }


def _chains(
    project: Project, evidence: Evidence, starts: list[int], ends: list[int], chains: list[list[int] | None]
) -> Iterator[Document]:
    hops = iter(evidence.hops([chain for chain in chains if chain is not None]))
    for start, end, chain in zip(starts, ends, chains, strict=True):
        told = None if chain is None else [_hop(project, hop) for hop in next(hops)]
        yield {"from": start, "to": end, "hops": told}


def _hop(project: Project, hop: Hop) -> Document:
    return {
        "from": hop.left,
        "to": hop.right,
        "seen_together": [
            {**asdict(one), "mapping": _mapping(project, one.source, one.mapping)} for one in hop.together
        ],
        "decisions": [asdict(one) for one in hop.decisions],
        "alike": [asdict(one) for one in hop.alike],
    }


def _mapping(project: Project, source: str, number: int) -> str:
    """Where in the project's files the mapping stands that saw it."""
    known = project.sources.get(source)
    place = f"events[{number - 1}]" if known is None or known.events else "defaults"
    return f"sources/{source}.yaml, {place}"


def _refusal(one: Refusal) -> Document:
    return {
        "decided_at": one.decided_at,
        "guard": one.guard,
        **asdict(one.identifier),
        "other": asdict(one.other) if one.other else None,
        "decision": one.decision,
        "reason": one.reason,
    }


def _decisions(taken: list[Decision], counted: list[Decision], about: set[Identifier]) -> Iterator[Document]:
    """Decisions about any of these identifiers that stand, or that stood when the version was made."""
    standing, then = ({one.number for one in some} for some in (in_force(taken), counted))
    for one in taken:
        if one.about & about and one.number in standing | then:
            yield {**asdict(one), "counted": one.number in then, "stands": one.number in standing}


def _why_nobodys(typed: Typed, refused: list[Refusal], seen: Seen, decisions: list[Document]) -> Iterator[str]:
    kind = typed.identifier.type
    if typed.guard == "invalid":
        yield f"It is no valid {kind}."
    elif typed.guard is not None:
        yield f"The {kind} rules of klantspoor.yaml list it as {typed.guard}."
    blocks = [one for one in decisions if one["verb"] == "block" and one["stands"]]
    if blocks:
        yield f"A steward decided so: decision {blocks[0]['number']}."
    if refused:
        yield "Guards decided so; each decision is listed below."
    if seen.later_rows:
        yield f"{seen.later_rows} rows with it were taken in after this version was made: the next night decides."
    if seen.quarantined_rows:
        yield f"{seen.quarantined_rows} rows with it are in quarantine, and so count for nobody."
    if seen.rows and not refused and typed.guard is None:
        yield "It was seen, but this version has neither a person for it nor a guard's decision about it."
    if not seen.rows + seen.later_rows + seen.quarantined_rows:
        yield "It was never seen in a file that was taken in. Was it typed as the sources write it, and is the type right?"

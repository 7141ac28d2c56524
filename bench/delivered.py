"""Ledgers of events at a constant daily volume: `python -m bench.delivered FOLDER EVENTS_A_YEAR YEARS`.

Writes `lake/ledger` (a folder for each day and source) and, laid aside, the nights to measure: `nights/normal` is one more
day, in which two customers are named together for 0.1 % of its persons; in `nights/merging` they are for 0.1 % of all
persons. What was made is counted in `made.json`. The events are those of `bench.daily`; pseudonyms are random, as keyed
hashes are. Memory is bounded by a block of persons, and by a month.
"""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bench.daily import (
    CORRECTION,
    CRM,
    CUSTOMER,
    KINDS,
    NIGHT,
    ORIGINAL,
    TYPES,
    WALKS,
    WEB,
    Flags,
    Ints,
    Words,
    World,
    blocks,
    identifier,
    word,
)
from bench.generate import KEYS, SOURCES
from bench.links import mixed, pseudonyms
from bench.story import PERSONAS, STORIES, TOPICS
from bench.world import project
from klantspoor.intake.ledger import (
    EVENTS_SCHEMA,
    IDENTIFIERS,
    LINKS_SCHEMA,
    QUARANTINE_SCHEMA,
    FileRecord,
    Ledger,
    repetitive,
)
from klantspoor.journeys.segments import hex_text, mix
from klantspoor.project.key import load_key

DAYS_A_CHUNK = 30
MERGED = 0.001
"""Share of persons who are merged with another in the nights to measure."""
_INSTANT = pa.timestamp("us", tz="UTC")
_DAY = 86_400_000_000
_LANDS = 25 * 3_600_000_000
"""A day's files land an hour after it ends."""
_SCHEMA = EVENTS_SCHEMA(KEYS)
_OUTCOMES = ("done", "passed on", "no answer", "not needed", "called back")
_PAGES = tuple(f"/{topic}/{page}" for topic in TOPICS for page in ("overview", "form", "question", "thanks"))
_CAMPAIGNS = ("spring_mailing", "search_brand", "search_move", "newsletter_07")
_TYPE_NUMBER = np.array([int.from_bytes(sha256(name.encode()).digest()[:8], "big") for name in TYPES], np.uint64)
Columns = dict[str, pa.Array]


def landed_at(night: int) -> datetime:
    """When the files of a day (since 1970) land."""
    return datetime.fromtimestamp((night * _DAY + _LANDS) / 1e6, UTC)


def as_of(night: int) -> datetime:
    """The clock of the night that takes in the files of a day (since 1970)."""
    return landed_at(night) + timedelta(hours=1)


def deliver(folder: Path, world: World) -> dict[str, int]:
    """Fills `folder`; gives what `made.json` says."""
    shutil.rmtree(folder, ignore_errors=True)
    chunks = folder / "chunks"
    chunks.mkdir(parents=True)
    known = _sorted_by_night(world, chunks)
    ledger = Ledger(folder / "lake")
    made = {"persons": world.persons, "rows": 0, "late": 0, "duplicates": 0, "corrections": 0}
    sequence = 1
    with ledger.writing():
        for path in sorted(chunks.glob("*.arrow")):
            rows = _ordered(path)
            history = rows.filter(pc.less(rows["night"], NIGHT))
            sequence = _write(ledger, history, sequence)
            for name, number in _counted(history).items():
                made[name] += number
            tonight = rows.filter(pc.equal(rows["night"], NIGHT))
    of_tonight = len(pc.unique(tonight["person"]))
    for name, persons in (("normal", of_tonight), ("merging", world.persons)):
        merged = _merged(tonight, known, max(round(MERGED * persons), 1))
        aside = Ledger(folder / "nights" / name)
        with aside.writing():
            _write(aside, merged, sequence)
        made |= {f"{name} {what}": number for what, number in _counted(merged).items()}
        made[f"{name} merged"] = max(round(MERGED * persons), 1)
    made["normal persons"] = of_tonight
    shutil.rmtree(chunks)
    (folder / "made.json").write_text(json.dumps(made, indent=1) + "\n", "utf-8")
    return made


def _counted(rows: pa.Table) -> dict[str, int]:
    copy, night, day = (rows[name].to_numpy() for name in ("copy", "night", "at"))
    return {
        "rows": len(rows),
        "late": int(((copy == ORIGINAL) & (night > day // _DAY)).sum()),
        "duplicates": int((copy == 1).sum()),
        "corrections": int((copy == CORRECTION).sum()),
    }


def _sorted_by_night(world: World, chunks: Path) -> Flags:
    """Files of `DAYS_A_CHUNK` nights each; gives which persons the history knows by their customer number."""
    known = np.zeros(world.persons, np.bool_)
    with ExitStack() as stack:
        writers: dict[int, pa.ipc.RecordBatchFileWriter] = {}
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        for block in blocks(world):
            night = block["night"].to_numpy()
            named = (night < NIGHT) & (block["one"].to_numpy() > 0)
            known[block["person"].to_numpy()[named]] = True
            chunk = (night - world.first) // DAYS_A_CHUNK
            for number in np.unique(chunk):
                if number not in writers:
                    sink = stack.enter_context(pa.OSFile(str(chunks / f"{number:04d}.arrow"), "wb"))
                    writers[number] = stack.enter_context(pa.ipc.new_file(sink, block.schema, options=options))
                writers[number].write_table(block.filter(pa.array(chunk == number)))
    return known


def _ordered(path: Path) -> pa.Table:
    """The rows of a chunk by night, source and time, with the source's place among `SOURCES`."""
    with pa.memory_map(str(path)) as mapped:
        rows = pa.ipc.open_file(mapped).read_all()
    source = np.searchsorted(SOURCES, [row[0] for row in KINDS.rows])[rows["kind"].to_numpy()].astype(np.int8)
    rows = rows.append_column("source", pa.array(source))
    order = np.lexsort([rows[name].to_numpy() for name in ("copy", "event", "at", "source", "night")])
    return rows.take(pa.array(order)).combine_chunks()


def _merged(tonight: pa.Table, known: Flags, count: int) -> pa.Table:
    """The night's rows, `count` of which name a second customer whom the history knows, each of other persons."""
    rng = np.random.default_rng([count, len(tonight)])
    kind, copy, person = (tonight[name].to_numpy() for name in ("kind", "copy", "person"))
    one, two = (tonight[name].to_numpy().copy() for name in ("one", "two"))
    two[CRM[kind] & ((two & np.uint64(3)) == CUSTOMER + 1)] = 0  # those that the history's share would have merged
    fits = np.flatnonzero(CRM[kind] & (copy == ORIGINAL) & known[person])
    _, first = np.unique(person[fits], return_index=True)
    rows = rng.permutation(fits[first])[:count]
    others = rng.permutation(np.setdiff1d(np.flatnonzero(known), person[rows]))[: len(rows)]
    if len(rows) < count:
        raise ValueError(f"{len(rows)} persons of the night can be merged, {count} are asked for: make more events")
    two[rows] = identifier(others, CUSTOMER)
    at = {name: tonight.schema.get_field_index(name) for name in ("one", "two")}
    return tonight.set_column(at["one"], "one", pa.array(one)).set_column(at["two"], "two", pa.array(two))


def _write(ledger: Ledger, rows: pa.Table, sequence: int) -> int:
    """A folder for each night and source of the rows, numbered on from `sequence`; gives the next number."""
    if not len(rows):
        return sequence
    events, links = _events(rows), _links(rows)
    night, source = rows["night"].to_numpy(), rows["source"].to_numpy()
    folder = night.astype(np.int64) * len(SOURCES) + source
    of_link = links.column("folder").to_numpy()
    links = links.drop_columns(["folder"])
    for number in np.unique(folder):
        mine, its = (slice(*np.searchsorted(column, [number, number + 1])) for column in (folder, of_link))
        part = events.slice(mine.start, mine.stop - mine.start)
        numbered = part.set_column(0, _SCHEMA.field(0), pa.array(np.arange(1, len(part) + 1)))
        _add(ledger, sequence, int(number), numbered, links.slice(its.start, its.stop - its.start))
        sequence += 1
    return sequence


def _add(ledger: Ledger, sequence: int, number: int, events: pa.Table, links: pa.Table) -> None:
    night, place = divmod(number, len(SOURCES))
    source = SOURCES[place]
    aside = ledger.new_folder(sequence)
    pq.write_table(events, aside / "events.parquet", compression="zstd", use_dictionary=repetitive(_SCHEMA))
    pq.write_table(links, aside / "links.parquet", compression="zstd")
    pq.write_table(QUARANTINE_SCHEMA.empty_table(), aside / "quarantine.parquet")
    record = FileRecord(
        source=source, file=f"{source}/{source}_{landed_at(night - 1):%Y%m%d}.parquet",
        content_hash=sha256(f"{source} {night}".encode()).hexdigest(), landed_at=landed_at(night), sequence=sequence,
        file_status="used", dialect="as it is", rows_read=len(events), rows_ignored=0, rows_reference=0, rows_quarantined=0,
        rows_erased=0, events_made=len(events), times_resolved=0,
        anonymous_events=int((events["identifier_set"].to_numpy() == 0).sum()), seconds=0.0,
        key_check=_key_check(),
    )  # fmt: skip
    ledger.add(aside, record)


@cache
def _key_check() -> str:
    return load_key(project()).check


def set_number(identifiers: Words) -> Words:
    """(n) The number of a set that holds the one identifier alone, as the gate gives it; 0 for none."""
    kind = _TYPE_NUMBER[((identifiers & np.uint64(3)) - np.uint64(1)).astype(np.int64) % len(TYPES)]
    return np.where(identifiers > 0, mix(mixed(identifiers).byteswap() ^ kind), np.uint64(0))


def _events(rows: pa.Table) -> pa.Table:
    """The rows as the ledger's events; `row_number` is filled in folder by folder."""
    column = {name: rows[name].to_numpy() for name in rows.column_names}
    event, kind, at, copy = (column[name] for name in ("event", "kind", "at", "copy"))
    corrected = copy == CORRECTION
    said = word(event, 20) ^ np.where(corrected, np.uint64(1), np.uint64(0))
    until = np.where(corrected & (column["until"] > at), column["until"] + 60_000_000, column["until"])
    answers = np.array([row[-1] is not None for row in KINDS.rows])[kind]
    score = (said % np.uint64(11)).astype(np.float64)
    need = np.where(
        word(event, 21) % np.uint64(100) < 3, at - (said % np.uint64(240)).astype(np.int64) * 3_600_000_000, 0
    )
    by_kind = {name: pa.array([row[place] for row in KINDS.rows], pa.string()).take(pa.array(kind)) for place, name in
               ((1, "activity"), (2, "channel"), (3, "initiator"), (4, "team"), (5, "instrument"))}  # fmt: skip
    has_topic = word(event, 22) % np.uint64(4) == 0
    has_outcome = ~WEB[kind] & ((said % np.uint64(5) < 2) | corrected)
    made: Columns = by_kind | {
        "row_number": pa.array(np.zeros(len(event), np.int64)),
        "position": pa.array(np.ones(len(event), np.int16)),
        "event_id": pseudonyms(event),
        "source_event_id": _source_event_ids(event, WEB[kind]),
        "version": pa.nulls(len(event), pa.float64()),
        "content": pa.array(said ^ column["one"] ^ column["two"]),
        "occurred_at": _instants(at),
        "ended_at": _instants(until, until > at),
        "need_started_at": _instants(need, need > 0),
        "received_at": _instants(column["night"].astype(np.int64) * _DAY + _LANDS),
        "tie_order": pa.array(column["tie_order"]),
        "topic": _taken(TOPICS, column["story"], has_topic),
        "outcome": _taken(_OUTCOMES, (said >> np.uint64(8)) % np.uint64(len(_OUTCOMES)), has_outcome),
        "persona": _personas(column),
        "declared_visibility": pa.nulls(len(event), pa.string()),
        "account_id": _digits(column["account"]),
        "score": pa.array(score, mask=~answers),
        "score_0_100": pa.array(score * 10, mask=~answers),
        "attributes": _attributes(event, kind),
        "identifier_set": pa.array(set_number(column["one"]) + set_number(column["two"])),
    }
    of_story = [story.case_key for story in STORIES]
    for key in KEYS:
        has_key = (column["story"] == of_story.index(key)) & (column["case"] > 0)
        made[f"key_{key}"] = _digits(np.where(has_key, column["case"], np.uint64(0)))
    return pa.table([made[name] for name in _SCHEMA.names], _SCHEMA.names).cast(_SCHEMA)


def _instants(at: Ints, known: Flags | None = None) -> pa.Array:
    return pa.array(at, mask=None if known is None else ~known).cast(_INSTANT)


def _digits(words: Words) -> pa.Array:
    """16 hex digits for each word, null for 0."""
    return pc.if_else(pa.array(words > 0), hex_text(mix(words)), pa.scalar(None, pa.string()))


def _taken(names: tuple[str, ...], place: npt.NDArray[np.generic], known: Flags) -> pa.Array:
    return pa.array(names).take(pa.array(place.astype(np.int64), mask=~known))


def _source_event_ids(event: Words, of_row: Flags) -> pa.Array:
    """Numbers, or where the source has none, the mark and the hash of the row."""
    numbers = pa.array(event >> np.uint64(8)).cast(pa.string())
    return pc.if_else(pa.array(of_row), pc.binary_join_element_wise("~", pseudonyms(event + np.uint64(1)), ""), numbers)


def _personas(column: dict[str, npt.NDArray[np.generic]]) -> pa.Array:
    """The crm knows the persona of four persons in seven."""
    of_person = column["person"].astype(np.int64) % WALKS
    return _taken(PERSONAS, of_person, (of_person < len(PERSONAS)) & CRM[column["kind"]])


def _attributes(event: Words, kind: Ints) -> pa.Array:
    """JSON of two or three texts: the web's page, visit and campaign, the crm's amount and origin, how long a call took."""
    said = word(event, 23)
    low, high = (said % np.uint64(1000)).astype(np.int64), (said >> np.uint64(32)) % np.uint64(600)
    number, seconds = pa.array(low).cast(pa.string()), pa.array(high).cast(pa.string())
    page = pa.array(_PAGES).take(pa.array(low % len(_PAGES)))
    campaign = pa.array([f',"campaign":"{name}"' for name in _CAMPAIGNS] + [""] * 8).take(pa.array(low % 12))
    joined = pc.binary_join_element_wise
    visited = joined('{"page":"', page, '","visit":"~', pseudonyms(event >> np.uint64(3)), '"', campaign, "}", "")
    counted = joined('{"queue_seconds":"', seconds, '","talk_seconds":"', number, '"}', "")
    booked = joined('{"amount_eur":"', number, ".", seconds, '","came_in_by":"', page, '"}', "")
    return pc.if_else(pa.array(WEB[kind]), visited, pc.if_else(pa.array(CRM[kind]), booked, counted))


def _links(rows: pa.Table) -> pa.Table:
    """The ledger's links of the rows, with the number of their `folder` (night and source), in order."""
    column = {name: rows[name].to_numpy() for name in ("night", "source", "at", "one", "two")}
    numbers = set_number(column["one"]) + set_number(column["two"])
    seen = np.flatnonzero(numbers)
    folder = column["night"].astype(np.int64) * len(SOURCES) + column["source"]
    day = column["at"] // _DAY
    order = seen[np.lexsort((column["at"][seen], day[seen], numbers[seen], folder[seen]))]
    new = np.ones(len(order), np.bool_)
    new[1:] = np.any([c[order[1:]] != c[order[:-1]] for c in (folder, numbers, day)], axis=0)
    start = np.flatnonzero(new)
    count = np.diff(np.r_[start, len(order)])
    first, last = order[start], order[start + count - 1]
    persona = _personas({name: rows[name].to_numpy() for name in ("person", "kind")}).take(pa.array(last))
    columns = [
        pa.array(numbers[first]), pa.array(np.ones(len(first), np.int16)), _listed(column["one"][first], column["two"][first]),
        _instants(column["at"][first]), _instants(column["at"][last]), pa.array(count), persona,
    ]  # fmt: skip
    return pa.table(columns, LINKS_SCHEMA.names).cast(LINKS_SCHEMA).append_column("folder", pa.array(folder[first]))


def _listed(one: Words, two: Words) -> pa.Array:
    """Lists of the one or two identifiers of each row, by type and pseudonym as the gate orders them."""
    place = np.argsort(np.argsort(TYPES)).astype(np.uint64)  # of each type, by name

    def rank(words: Words) -> Words:
        kind = ((words & np.uint64(3)) - np.uint64(1)).astype(np.int64) % len(TYPES)
        return (place[kind] << np.uint64(62)) | (mixed(words).byteswap() >> np.uint64(2))

    swapped = (one > 0) & (two > 0) & (rank(two) < rank(one))
    both = np.stack([np.where(swapped, two, one), np.where(swapped, one, two)], axis=1)
    flat = both[both > 0]
    kinds = pa.array(TYPES).take(pa.array(((flat & np.uint64(3)) - np.uint64(1)).astype(np.int64)))
    parts = [kinds, pseudonyms(flat), pa.nulls(len(flat), pa.string())]
    values = pa.StructArray.from_arrays(parts, fields=list(IDENTIFIERS.value_type))
    ends = np.r_[0, np.cumsum((both > 0).sum(axis=1))].astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(ends), values)


def main(folder: Path, events_a_year: int, years: int) -> None:
    """Fills the folder and prints what was made."""
    print(json.dumps(deliver(folder, World.of(events_a_year, years))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

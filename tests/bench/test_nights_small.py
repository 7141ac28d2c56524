"""The ledgers that nights are measured on are sound at a tiny size: nights take them, and they hold what they say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bench import nights
from bench.daily import DAY, LAST, NIGHT, ORIGINAL, YEAR, World, blocks
from bench.delivered import KEYS, as_of, deliver
from bench.measure import Run
from bench.report import nights as report
from bench.world import project
from klantspoor import night
from klantspoor.intake.identifiers import set_numbers
from klantspoor.intake.ledger import EVENTS_SCHEMA, IDENTIFIERS, LINKS_SCHEMA, Ledger
from klantspoor.lake import Lake, Version

WORLD = World(persons=3000, first=LAST - 39)
MERGED = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """A delivered folder, what it is said to hold, and the versions before and after the merging night."""

    folder: Path
    made: dict[str, int]
    before: Version
    after: Version


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    patch = pytest.MonkeyPatch()
    patch.setenv("BENCH_KEY", "a key of the tests, long enough to be one")
    folder = tmp_path_factory.mktemp("nights")
    made = deliver(folder, WORLD)
    mine = project().model_copy(update={"root": str(folder)})
    lake = Lake(folder / "run" / "lake", timezone=mine.file.timezone)
    nights.restored(folder / "lake", lake.root)
    before = night.night(mine, lake, as_of(LAST), with_pages=False)
    lake.root.rename(folder / "published")
    nights.restored(folder / "published", lake.root, folder / "nights" / "merging")
    after = night.night(mine, lake, as_of(NIGHT), with_pages=False)
    yield Bench(folder, made, Version(folder / "published" / "versions" / before.name, 1200), after)
    patch.undo()


def test_a_ledger_is_published_and_its_rows_have_the_outcomes_that_were_made(bench: Bench) -> None:
    made = bench.made
    with bench.before.connect() as lake:
        [(used, other)] = lake.execute("SELECT sum(used), sum(duplicates) + sum(superseded) FROM intake").fetchall()
        [(duplicates,)] = lake.execute("SELECT sum(duplicates) FROM intake").fetchall()
    assert bench.before.manifest["tables"]["events"] == used == made["rows"] - made["duplicates"] - made["corrections"]
    assert other == made["duplicates"] + made["corrections"]
    # A row that is delivered again after it was put right counts otherwise: it is rare.
    assert abs(duplicates - made["duplicates"]) <= 3
    assert json.loads((bench.folder / "made.json").read_text()) == made


def test_the_night_brings_the_late_events_that_were_made(bench: Bench) -> None:
    with bench.after.connect() as lake:
        [(late,)] = lake.execute(
            """SELECT count(*) FROM events
               WHERE epoch_us(received_at) // $day = $night + 1 AND epoch_us(occurred_at) < $night * $day""",
            {"day": DAY, "night": NIGHT},
        ).fetchall()
    # Corrections are received when they come, and are no news of their own.
    put_right = bench.made["merging corrections"]
    assert bench.made["merging late"] <= late <= bench.made["merging late"] + put_right


def test_the_persons_that_were_to_be_merged_are(bench: Bench) -> None:
    tonight = pa.concat_tables(_parts(bench.folder / "nights" / "merging", "links"))["identifiers"].to_pylist()
    pairs = [one for one in tonight if len(one) == 2 and one[0]["type"] == one[1]["type"]]
    assert len(pairs) == bench.made["merging merged"] == MERGED
    with bench.before.connect() as first, bench.after.connect() as second:
        whose = "SELECT identifier, person_id FROM identities"
        once, now = (dict(lake.execute(whose).fetchall()) for lake in (first, second))
    for one, other in pairs:
        assert once[one["identifier"]] != once[other["identifier"]]
        assert now[one["identifier"]] == now[other["identifier"]]
    history = pa.concat_tables(_parts(bench.folder / "lake", "links"))["identifiers"].to_pylist()
    assert len(set(once.values())) == _components(history)
    assert len(set(now.values())) == _components(history + tonight)


def _components(sets: list[list[dict[str, str]]]) -> int:
    """How many persons sets of identifiers make where no guard has anything to say."""
    above: dict[str, str] = {}

    def top(identifier: str) -> str:
        while above.setdefault(identifier, identifier) != identifier:
            identifier = above[identifier]
        return identifier

    for one in sets:
        for other in one[1:]:
            above[top(other["identifier"])] = top(one[0]["identifier"])
        top(one[0]["identifier"])
    return len({top(identifier) for identifier in list(above)})


def test_folders_are_as_the_gate_writes_them(bench: Bench) -> None:
    files = Ledger(bench.folder / "lake").files()
    assert 150 < len(files) <= 4 * 40  # a day may pass without an answer
    for file in files[:8]:
        events, links = pq.read_table(file.events), pq.read_table(file.links)
        assert events.schema == EVENTS_SCHEMA(KEYS)
        assert links.schema == LINKS_SCHEMA
        listed = links["identifiers"].combine_chunks()
        assert np.array_equal(set_numbers(listed.cast(IDENTIFIERS)), links["identifier_set"].to_numpy())
        for one in listed.to_pylist():
            assert one == sorted(one, key=lambda each: (each["type"], each["identifier"]))
        sets, counts = np.unique(events["identifier_set"].to_numpy(), return_counts=True)
        by_set = Counter({int(s): int(n) for s, n in zip(sets, counts, strict=True) if s})
        assert by_set == _rows_by_set(links)
        assert file.record.anonymous_events == int((events["identifier_set"].to_numpy() == 0).sum())
        assert events["event_id"].null_count == 0
        assert pc.max(events["occurred_at"]).as_py() < file.record.landed_at


def _rows_by_set(links: pa.Table) -> Counter[int]:
    counted: Counter[int] = Counter()
    for row in links.to_pylist():
        counted[row["identifier_set"]] += row["rows"]
        assert row["first_seen"] <= row["last_seen"]
    return counted


def _parts(root: Path, part: str) -> list[pa.Table]:
    return [pq.read_table(getattr(file, part)) for file in Ledger(root).files()]


def test_two_years_end_in_the_same_night_as_one() -> None:
    one, two = (
        pa.concat_tables(blocks(World(5000, LAST + 1 - years * YEAR))).sort_by([("event", "ascending"), ("copy", "ascending")])
        for years in (1, 2)
    )  # fmt: skip
    tonight = [rows.filter(pc.equal(rows["night"], NIGHT)) for rows in (one, two)]
    assert tonight[0].equals(tonight[1])
    assert len(two) == pytest.approx(2 * len(one), rel=0.02)
    day = two["at"].to_numpy() // DAY
    stretches = np.bincount((day - day.min()) // 73)[:10]
    assert stretches.min() > 0.9 * stretches.max(), "the volume is not constant"
    late = (two["night"].to_numpy() - day)[two["copy"].to_numpy() == ORIGINAL]
    assert 0.018 < (late > 0).mean() < 0.022
    assert 200 < late.max() < 365


def test_the_report_says_what_a_night_costs_beyond_an_empty_one() -> None:
    def runs(*cpu: float) -> list[Run]:
        return [Run(one, 100.0, {"parts": {"start": 1.0, "events": one - 1.0}}) for one in cpu]

    one = {"full": runs(100), "empty": runs(12, 10, 15), "normal": runs(18, 17)}
    two = {"full": runs(200), "empty": runs(11), "normal": runs(19)}
    text = report({1: one, 2: two}, {years: {"rows": 1000} for years in (1, 2)}, "make bench-nights")
    assert "| normal, 1 y | 7.0 | 0.070 | 0.170 | 1.000 | events 7.0, start 0.0 |" in text
    assert "| normal, 2 y | 8.0 | 0.040 | 0.095 | 1.143 | events 8.0, start 0.0 |" in text
    assert "| CPU s, least of | full (1) | empty (3) | normal (2) |" in text
    assert "| all | 100.0 | 10.0 | 17.0 |" in text

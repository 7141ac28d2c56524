"""A landing file that changes, vanishes or cannot be read, as it is being read: at every read of it, in every format.

It is taken in as it was or as it is then, whole, or left for the next night; and nothing else of the night minds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.faults.faults_server import Ended, Server
from tests.faults.faults_shim import ArmedReading, Reading
from tests.faults.faults_world import COLUMNS, write_landing

Note = Callable[[str, object], None]
FILES = {"clients": "clients-1.csv", "orders": "orders-1.jsonl", "calls": "calls-1.parquet"}
MODES = [mode for mode in Reading if mode > Reading.COUNT]
CHANGING = (Reading.TRUNCATE, Reading.APPEND, Reading.REPLACE)
PADDING = "padding " * 40
"""Makes files of several megabytes, which no reader takes in at once."""
ROWS = 4000


@dataclass(frozen=True)
class Attacked:
    """A project in which one file is large, and another content (`other`) for that file.

    Undisturbed it is read `reads` times, and the ledger then has `before` of it.
    """

    server: Server
    base: Path
    source: str
    other: Path
    reads: int = 0
    before: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        return self.server.home / "project"

    @property
    def name(self) -> str:
        return FILES[self.source]

    @property
    def path(self) -> Path:
        return self.project / "landing" / self.name

    def reset(self) -> Path:
        """The project as it was; gives a copy of the other content, to be renamed."""
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.copytree(self.base, self.project)
        return Path(shutil.copy2(self.other, self.server.home / "spare"))

    def take(self, mode: Reading = Reading.OFF, at: int = 0, spare: Path | None = None) -> Ended:
        """Takes everything in; the value is what became of each file: an outcome, and why."""
        armed = ArmedReading(self.path, mode, at, spare) if mode else None
        ended = self.server.run("faults_world:take_in", project=self.project, day=1, armed=armed)
        assert ended.code == 0, ended.trace
        return ended

    def ledger(self) -> dict[str, str]:
        """What the ledger has of the source, by the hash of the file's content."""
        read = self.server.run("faults_readers:by_content", project=self.project, source=self.source)
        return {str(key): str(value) for key, value in read.must().items()}


def large(source: str, note: str) -> list[tuple[str, ...]]:
    rows = {
        "clients": lambda n: (f"K{n}", f"k{n}@home.example", f"06{n:08d}", "young", PADDING, note),
        "orders": lambda n: (f"O{n}", "1", "2026-02-03 10:00:00", f"K{n}", f"k{n}@home.example", PADDING + note),
        "calls": lambda n: (f"C{n}", "2026-02-03 09:30:00", "asked", f"K{n}", f"06{n:08d}"),
    }
    return [rows[source](n) for n in range(ROWS)]


@pytest.fixture(scope="module", params=FILES)
def attacked(request: pytest.FixtureRequest, server: Server) -> Attacked:
    source: str = request.param
    base, other = server.home / f"base-{source}", server.home / f"other-{FILES[source]}"
    server.run("faults_world:make", project=base).must()
    path = base / "landing" / FILES[source]
    stamp = path.stat().st_mtime_ns
    write_landing(path, COLUMNS[source], large(source, "before"))
    write_landing(other, COLUMNS[source], large(source, "after")[: ROWS // 2])
    for file in (path, other):
        os.utime(file, ns=(stamp, stamp))
    made = Attacked(server, base, source, other)
    made.reset()
    reads = made.take(Reading.COUNT).reads
    assert reads > 6, "it is read twice to be hashed, and in pieces in between"
    return replace(made, reads=reads, before=made.ledger())


def check(attacked: Attacked, mode: Reading, numbers: Sequence[int]) -> str:
    """Disturbed at these reads: what the ledger then has of it is whole, and after another night all of what it now is."""
    outcomes: Counter[str] = Counter()
    for number in numbers:
        spare = attacked.reset()
        ended = attacked.take(mode, number, spare)
        assert ended.reads >= number
        outcome, why = ended.value[attacked.name]
        where = f"{attacked.name}, {mode.name} at read {number} of {attacked.reads}: {outcome}, {why}"
        assert all(ended.value[other][0] == "used" for other in ended.value if other != attacked.name), where
        first = attacked.ledger()
        assert len(first) == (0 if outcome in ("changing", "refused") else 1), where
        attacked.take()
        second = attacked.ledger()
        now = attacked.server.home / "now"
        shutil.rmtree(now, ignore_errors=True)
        shutil.copytree(attacked.project / "landing", now)
        whole = attacked.before | (undisturbed(attacked, now) if mode in CHANGING else {})
        assert first.items() <= second.items() <= whole.items(), where
        assert hashes(now / attacked.name) <= set(second), where
        outcomes[outcome] += 1
    ways = ", ".join(f"{count} {name}" for name, count in outcomes.items())
    return f"{attacked.name}: {mode.name} at {len(numbers)} of {attacked.reads} reads: {ways}"


def undisturbed(attacked: Attacked, landing: Path) -> dict[str, str]:
    """What the ledger has of the source where the landing folder is like that from the beginning."""
    attacked.reset()
    shutil.rmtree(attacked.project / "landing")
    shutil.copytree(landing, attacked.project / "landing")
    attacked.take()
    return attacked.ledger()


def hashes(path: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest()} if path.exists() else set()


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_disturbed_at_some_reads(attacked: Attacked, mode: Reading, record_property: Note) -> None:
    numbers = [attacked.reads // 2, attacked.reads]
    record_property("faults", check(attacked, mode, numbers))


@pytest.mark.soak
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_disturbed_at_every_read(attacked: Attacked, mode: Reading, record_property: Note) -> None:
    record_property("faults", check(attacked, mode, range(1, attacked.reads + 1)))

"""Publication is safe: whatever stops or kills a night, the version before stays whole and readable, and the next night heals.

The second night (everything bad landed) is killed at chosen moments, each time on a copy of the first night's lake, and
then run again: its tables must be those of the night that was never disturbed.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from klantspoor.lake import Lake, Version, open_lake
from klantspoor.project.load import load_project
from tests.hostile import hostile_landing as landing
from tests.hostile.hostile_nights import (
    QUICK,
    Night,
    by_database,
    mend_database,
    run,
    second_night,
    start,
    tables_of,
)
from tests.hostile.hostile_project import ORDERS, write_source

# Runs the job, and has the system kill it (no handler, no clean-up) as it is about to make the given call.
KILLED = """
import importlib, os, signal, sys
module, _, place = {target!r}.partition(":")
owner = importlib.import_module(module)
*path, name = place.split(".")
for part in path:
    owner = getattr(owner, part)
original, calls = getattr(owner, name), 0
def deadly(*given, **named):
    global calls
    calls += {condition}
    if calls == {at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*given, **named)
setattr(owner, name, deadly)
from pipelines.run import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Moment:
    """A call of the night, and which of them (of those for which `condition` holds) is the last; what it leaves in the lake."""

    target: str
    at: int
    left: Callable[[Path], bool]
    condition: str = "1"

    @property
    def program(self) -> str:
        return KILLED.format(target=self.target, condition=self.condition, at=self.at)


def _ledger(lake: Path) -> int:
    return len([path for path in (lake / "ledger").iterdir() if path.is_dir() and not path.name.startswith(".")])


MOMENTS = {
    # Some of the night's files are in the ledger, the next is written aside.
    "intake": Moment(
        "klantspoor.intake.ledger:Ledger.add",
        15,
        lambda lake: _ledger(lake) == 11 + 14 and any(lake.glob("ledger/.tmp-*")),
    ),
    # Some tables are staged, the waits are half written.
    "journeys": Moment(
        "klantspoor.lake.writer:TableWriter._finish",
        1,
        lambda lake: any(lake.glob("work/*/tables/events")) and not any(lake.glob("work/*/tables/waits")),
        condition="given[0]._table.name == 'waits'",
    ),
    # The version lies there, the database aside; the pointer still names the one before.
    "publication": Moment(
        "klantspoor.lake.lake:move_pointer", 1, lambda lake: (lake / "versions" / "000002" / "manifest.json").is_file()
    ),
}


@pytest.fixture
def lake(good_night: Night, tmp_path: Path) -> Iterator[Lake]:
    """The first night's lake, copied: nothing of later nights in it."""
    second_night(good_night, tmp_path, limits=QUICK)
    yield open_lake(load_project(tmp_path / "project"))
    shutil.rmtree(tmp_path / "project")


def see_whole(lake: Lake, name: str, wanted: dict[str, pa.Table], *, but: str = "") -> None:
    """The version of that name is the current one, byte by byte as published, and says what it said."""
    version = lake.current()
    assert version is not None
    assert version.name == name
    for file, told in version.manifest["files"].items():
        content = (version.root / file).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (told["bytes"], told["sha256"]), file
    assert_same(tables_of(version), wanted, but=but)
    counted = by_database(lake.root.parent, "SELECT count(*) FROM events")
    assert counted == [(wanted["events"].num_rows,)]


def assert_same(found: dict[str, pa.Table], wanted: dict[str, pa.Table], *, but: str = "") -> None:
    """The same tables; of the diaries, which name the run that wrote them, the same but for that name."""
    assert set(found) == set(wanted)
    for name in set(wanted) - {but}:
        left, right = (tables[name] for tables in (found, wanted))
        if but and name == "restatements":
            left, right = left.drop_columns("run_id"), right.drop_columns("run_id")
        assert left.equals(right), name


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_night_leaves_the_version_before_and_the_next_one_heals(
    moment: Moment, lake: Lake, good_night: Night, bad_night: Night, tmp_path: Path
) -> None:
    before = tables_of(good_night.version)
    killed = run(tmp_path, landing.SECOND, moment.program)
    assert killed.code == -signal.SIGKILL, killed.out + killed.err
    assert moment.left(lake.root), "it died where it should"
    see_whole(lake, "000001", before)

    again = run(tmp_path, landing.SECOND)
    assert again.code == 0, again.out + again.err
    see_whole(lake, "000002", tables_of(bad_night.version), but="runs")
    runs = tables_of(lake_version(lake))["runs"].select(["run_id", "night_status"])
    nights = sorted(row["night_status"] for row in runs.group_by(["run_id", "night_status"]).aggregate([]).to_pylist())
    assert nights == ["published", "published", "unfinished"]
    assert not list(lake.root.rglob(".tmp-*")), "nothing is left lying about"
    assert [path.name for path in (lake.root / "work").iterdir()] == [lake_version(lake).manifest["run_id"]]


def lake_version(lake: Lake) -> Version:
    version = lake.current()
    assert version is not None
    return version


def test_a_stopped_night_leaves_the_version_before_readable_all_along(good_night: Night, tmp_path: Path) -> None:
    """Payments must come and did not, orders must not be few and are; a reader reads on, a second run is refused."""
    shutil.copytree(good_night.project, tmp_path / "project")
    write_source(tmp_path / "project", ORDERS | {"expected": ORDERS["expected"] | {"if_small": "stop"}})
    landing.land(tmp_path / "project" / "landing", {"orders/few.parquet": landing.orders_of(6, 3)}, landing.THIRD)
    mend_database(tmp_path / "project")
    lake = open_lake(load_project(tmp_path / "project"))
    before = tables_of(good_night.version)
    process = start(tmp_path, landing.THIRD)
    with reading(lake) as reads:
        wait_for(lambda: any((lake.root / "work").glob("*/run.json")))
        second = run(tmp_path, landing.THIRD)
        assert process.poll() is None, "the first was still at work"
        out, err = process.communicate(timeout=300)
    assert second.code == 3
    assert "another run is writing to this lake" in second.err
    assert str(process.pid) in second.err
    assert second.out == ""

    assert process.returncode == 1
    assert "freshness: must_come" in err
    assert "payments is stale" in out
    assert "orders is small" in out
    stopped = out.partition("Stopped by: 1")[2].partition("\nOdd")[0]
    assert "not so for 2 of 7 [freshness.must_come]" in stopped
    assert "Not published: version 000001 of Thu 2 Apr 2026 03:00 stays, complete up to" in out
    assert len(reads) > 3
    assert set(reads) == {("000001", before["events"].num_rows, before["waits"].num_rows)}
    see_whole(lake, "000001", before)


class reading:  # noqa: N801 - used like a function
    """Reads the lake over and over, by the pointer and by the database, in a thread; what it saw, or why it could not."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self._done, self._seen = lake, threading.Event(), list[object]()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> list[object]:
        self._thread.start()
        return self._seen

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._done.is_set():
            try:
                version = lake_version(self._lake)
                with version.connect() as connection:
                    ((waits,),) = connection.execute("SELECT count(*) FROM waits").fetchall()
                ((events,),) = by_database(self._lake.root.parent, "SELECT count(*) FROM events")
                self._seen.append((version.name, events, waits))
            except Exception as error:
                self._seen.append(repr(error))
            time.sleep(0.3)


def wait_for(condition: object, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""Publishing: readers see whole versions only, whatever fails; one writer; foreign folders stay untouched."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from klantspoor.dictionary import TABLES
from klantspoor.errors import LakeError
from klantspoor.lake import BusyError, Lake, Staging, Version
from klantspoor.lake.publishing import DATABASE, POINTER
from tests.lake.small_world import AS_OF, loose, row

SEEN = ("quarantine", "freshness")
"""Two tables whose rows carry the number of the night: a mixture of nights would show."""


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Forcing to disk takes most of the time: only note what would be, by path."""
    noted: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: noted.append(str(Path(f"/proc/self/fd/{handle}").readlink())))
    return noted


def stage(lake: Lake, night: int) -> Staging:
    """A run in which every table is there, and two of them tell which night it was."""
    staging = lake.open_run(f"night-{night}", AS_OF + timedelta(days=night))
    for name, table in TABLES.items():
        rows = [row(table, night)] if name in SEEN else []
        staging.write(name, pa.Table.from_pylist(rows, schema=loose(table)))
    (staging.extra("pages") / "index.html").write_text(f"night {night}", "utf-8")
    return staging


def publish(lake: Lake, night: int) -> Version:
    return lake.publish(stage(lake, night))


QUERY = (
    "SELECT DISTINCT right(file, 4)::INT FROM quarantine UNION ALL SELECT DISTINCT right(source, 4)::INT FROM freshness"
)


def night_in(connection: duckdb.DuckDBPyConnection) -> int:
    nights = {number for (number,) in connection.execute(QUERY).fetchall()}
    assert len(nights) == 1, f"a mixture of nights: {nights}"
    return int(nights.pop())


def nights(lake: Lake) -> list[int]:
    """What the two ways of reading show; both must be whole."""
    current = lake.current()
    assert current is not None
    with current.connect() as connection:
        by_pointer = night_in(connection)
    with duckdb.connect(lake.root / DATABASE, read_only=True) as connection:
        return [by_pointer, night_in(connection)]


def test_a_published_version_holds_everything_and_says_so(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert lake.current() is None
    version = publish(lake, 1)
    current = lake.current()
    assert current is not None
    assert current.name == version.name == "000001"
    manifest = current.manifest
    assert manifest["tables"] == {name: int(name in SEEN) for name in TABLES}
    assert manifest["run_id"] == "night-1"
    assert manifest["as_of"] == (AS_OF + timedelta(days=1)).isoformat()
    on_disk = {str(p.relative_to(version.root)) for p in version.root.rglob("*") if p.is_file()} - {"manifest.json"}
    assert on_disk == set(manifest["files"])
    assert "pages/index.html" in on_disk
    for name, told in manifest["files"].items():
        content = (version.root / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (told["sha256"], told["bytes"])


def test_the_database_has_a_commented_view_per_table(tmp_path: Path) -> None:
    publish(Lake(tmp_path / "lake"), 1)
    with duckdb.connect(tmp_path / "lake" / DATABASE, read_only=True) as connection:
        views = dict(connection.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
        columns = connection.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
    assert set(views) == set(TABLES)
    assert all(table.grain in views[name] for name, table in TABLES.items())
    told = {(table, column): comment for table, column, comment in columns}
    assert set(told) == {(name, column) for name, table in TABLES.items() for column in table.names}
    for name, table in TABLES.items():
        for column in table.columns:
            assert column.description in told[name, column.name]
    assert "null: the source names none" in told["events", "channel"]


def test_a_run_without_every_table_is_refused(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, 1)
    with lake.open_run("alone", AS_OF) as staging:
        staging.write("quarantine", TABLES["quarantine"].schema.empty_table())
        with pytest.raises(LakeError, match=r"has not made events, .*nightly"):
            lake.publish(staging)
    assert nights(lake) == [1, 1]


def test_readers_see_whole_versions_while_others_are_published(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", keep_versions=3)
    publish(lake, 1)
    seen: list[int] = []
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        # A reader that resolves once keeps its version; it may be pruned after `keep_versions` nights, not before.
        while not done.is_set():
            try:
                seen.extend(nights(lake))
            except BaseException as error:
                errors.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for night in range(2, 7):
        publish(lake, night)
    done.set()
    reader.join()
    assert errors == []
    assert set(seen) <= set(range(1, 7))
    assert len(seen) >= 4
    assert nights(lake) == [6, 6]


class Killed(BaseException):
    """Stands for the process ending: nothing that handles errors may handle it."""


def test_whatever_rename_the_process_dies_at_readers_see_a_whole_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, 1)
    at, night = 0, 1
    while True:
        before, night, at = nights(lake)[0], night + 1, at + 1
        staging = stage(lake, night)
        with monkeypatch.context() as patched:
            die_at_rename(patched, at)
            try:
                lake.publish(staging)
            except Killed:
                staging.close()
                by_pointer, by_database = nights(lake)
                assert {by_pointer, by_database} <= {before, night}
            else:
                break
        # The next run sweeps: what had become the current version is whole in both ways of reading.
        with lake.open_run("sweeper", AS_OF):
            by_pointer, by_database = nights(lake)
            assert by_pointer == by_database
            assert not list(lake.root.glob(".tmp-*")) + list(lake.versions.glob(".tmp-*"))
            assert [path.name for path in (lake.root / "work").iterdir()] == ["sweeper"]
            assert max(path.name for path in lake.versions.iterdir()) == lake.current().name  # type: ignore[union-attr]
    assert at > 3, "the version, the pointer and the database are each a rename"
    assert nights(lake) == [night, night]


def die_at_rename(patched: pytest.MonkeyPatch, at: int) -> None:
    """Make the process die just before its `at`-th rename."""
    count = 0
    for name in ("rename", "replace"):
        original = getattr(Path, name)

        def counted(path: Path, target: Path, original: object = original) -> object:
            nonlocal count
            count += 1
            if count == at:
                raise Killed
            return original(path, target)  # type: ignore[operator]

        patched.setattr(Path, name, counted)


def test_everything_is_forced_to_disk_before_the_pointer_moves(tmp_path: Path, forced: list[str]) -> None:
    lake = Lake(tmp_path / "lake")
    version = publish(lake, 1)
    pointer = forced.index(str(lake.root / f".tmp-{POINTER}"))
    before = {path.replace(f".tmp-{version.name}-night-1", version.name) for path in forced[:pointer]}
    assert {str(path) for path in version.root.rglob("*")} | {str(version.root), str(lake.versions)} <= before
    assert forced[pointer + 1] == str(lake.root), "then the rename itself"


def test_an_unmoved_pointer_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, 1)
    monkeypatch.setattr("klantspoor.lake.lake.move_pointer", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with stage(lake, 2) as staging, pytest.raises(OSError, match="full"):
        lake.publish(staging)
    assert nights(lake) == [1, 1]
    monkeypatch.undo()
    publish(lake, 3)
    assert nights(lake) == [3, 3]


def test_old_versions_are_pruned(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", keep_versions=2, keep_for=timedelta(0))
    for night in range(1, 5):
        publish(lake, night)
    assert sorted(path.name for path in lake.versions.iterdir()) == ["000003", "000004"]


def test_a_version_is_not_changed_by_writing_the_next(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    version = publish(lake, 1)
    files = {name: told["sha256"] for name, told in version.manifest["files"].items()}
    publish(lake, 2)
    for name, told in files.items():
        assert hashlib.sha256((version.root / name).read_bytes()).hexdigest() == told


def test_links_that_fail_are_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no links here")))
    lake = Lake(tmp_path / "lake")
    publish(lake, 1)
    assert nights(lake) == [1, 1]


@pytest.fixture
def lake_of_other_process(tmp_path: Path) -> Iterator[tuple[Lake, int]]:
    lake = Lake(tmp_path / "lake")
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    other = context.Process(target=hold, args=(str(lake.root), ready, stop))
    other.start()
    assert ready.wait(30)
    assert other.pid is not None
    yield lake, other.pid
    stop.set()
    other.join(30)


def hold(root: str, ready: threading.Event, stop: threading.Event) -> None:
    """Run in another process: hold the lake until told to stop."""
    with Lake(root).open_run("other", AS_OF):
        ready.set()
        stop.wait(30)


def test_a_second_writer_is_refused_and_told_who_is_writing(lake_of_other_process: tuple[Lake, int]) -> None:
    lake, pid = lake_of_other_process
    with pytest.raises(BusyError, match=f"process {pid}, run other"):
        lake.open_run("mine", AS_OF)
    assert (lake.root / "work" / "other").is_dir(), "the other's work is not swept"


def test_one_process_runs_one_night_at_a_time(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    first = lake.open_run("first", AS_OF)
    again = lake.open_run("first", AS_OF)
    assert again.root == first.root
    with pytest.raises(BusyError, match="already running first"):
        lake.open_run("second", AS_OF)
    first.close()
    lake.open_run("second", AS_OF).close()
    with pytest.raises(LakeError, match="does not hold this lake"):
        lake.publish(first)


def test_a_run_nobody_refers_to_any_more_lets_the_next_in(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.open_run("dropped", AS_OF)
    lake.open_run("next", AS_OF).close()


def test_a_run_is_reopened_with_its_own_clock_only(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    with lake.open_run("night", AS_OF) as staging:
        staging.write("quarantine", TABLES["quarantine"].schema.empty_table())
    with lake.open_run("night", AS_OF) as staging:
        assert staging.has("quarantine"), "what it staged is still there"
    with pytest.raises(LakeError, match="began with as_of"):
        lake.open_run("night", AS_OF + timedelta(hours=1))
    with pytest.raises(LakeError, match="no time zone"):
        lake.open_run("night", AS_OF.replace(tzinfo=None))


@pytest.mark.parametrize("run_id", ["", "../up", "a/b", ".hidden", "x" * 81, "a b"])
def test_a_run_id_stays_one_folder(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(LakeError, match="cannot name a run"):
        Lake(tmp_path / "lake").open_run(run_id, AS_OF)


def test_a_folder_that_is_not_ours_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "thesis.docx").write_text("three years", "utf-8")
    with pytest.raises(LakeError, match="not made by Klantspoor and holds 'work'"):
        Lake(tmp_path).open_run("night", AS_OF)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["thesis.docx", "work"]


def test_names_that_are_no_tables_or_folders_are_refused(tmp_path: Path) -> None:
    with Lake(tmp_path / "lake").open_run("night", AS_OF) as staging:
        with pytest.raises(LakeError, match="Did you mean 'journeys'"):
            staging.write("journey", TABLES["journeys"].schema.empty_table())
        with pytest.raises(LakeError, match="has not made the table waits yet"):
            staging.glob("waits")
        with pytest.raises(LakeError, match="models, pages"):
            staging.extra("secrets")
        for name in ("..", "a/b", "tables", ""):
            with pytest.raises(LakeError, match="cannot be a work folder"):
                staging.work(name)


def test_a_pointer_to_nothing_is_said(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    publish(lake, 1)
    (lake.root / POINTER).write_text("../..\n", "utf-8")
    with pytest.raises(LakeError, match="not a version"):
        lake.current()


def test_a_version_of_older_software_is_still_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    version = publish(lake, 1)
    for path in (version.root / "waits").rglob("*"):
        path.unlink()
    (version.root / "waits").rmdir()
    assert not version.has("waits")
    with pytest.raises(LakeError, match="older software"):
        version.glob("waits")
    with version.connect() as connection:
        assert night_in(connection) == 1


def test_the_manifest_is_json_that_others_read(tmp_path: Path) -> None:
    version = publish(Lake(tmp_path / "lake"), 1)
    assert json.loads((version.root / "manifest.json").read_text("utf-8")) == version.manifest

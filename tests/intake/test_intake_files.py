"""Whole files: which are taken in, in which order, what happens to broken ones, and what a crash leaves behind."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intake_world import AS_OF, SIMPLE, World, take_csv

from klantspoor.errors import ConfigError, LakeError
from klantspoor.intake import EVENTS_SCHEMA, LINKS_SCHEMA, QUARANTINE_SCHEMA, Ledger, reading, take, take_in
from klantspoor.project.model import KeySource

GOOD = "id,moment,activity,customer\n1,2024-05-01 10:00:00,call,C1\n"


def test_a_file_becomes_a_ledger_folder(world: World) -> None:
    take_csv(world, GOOD)
    (file,) = world.ledger
    assert file.path.name == f"00000001-{file.record.content_hash[:12]}"
    assert world.quarantine() == []
    assert sorted(p.name for p in file.path.iterdir()) == [
        "events.parquet",
        "file.json",
        "links.parquet",
        "quarantine.parquet",
    ]
    said = json.loads((file.path / "file.json").read_text())
    assert (said["source"], said["file"], said["file_status"], said["dialect"]) == ("crm", "crm.csv", "used", "default")
    assert (said["rows_read"], said["events_made"], said["rows_quarantined"]) == (1, 1, 0)
    assert pq.read_schema(file.events).equals(EVENTS_SCHEMA([]))
    assert pq.read_schema(file.links).equals(LINKS_SCHEMA)
    assert pq.read_schema(file.quarantine).equals(QUARANTINE_SCHEMA)
    assert world.events()[0]["received_at"] == datetime(2024, 5, 31, tzinfo=UTC)


def test_order_is_landing_then_name_and_landing_is_never_after_as_of(world: World) -> None:
    world.source()
    world.land("crm_c.csv", GOOD.replace("C1", "C3"), datetime(2024, 5, 3, tzinfo=UTC))
    world.land("crm_b.csv", GOOD.replace("C1", "C2"), datetime(2024, 5, 4, tzinfo=UTC))
    world.land("crm_a.csv", GOOD, datetime(2024, 5, 4, tzinfo=UTC))
    world.land("crm_0.csv", GOOD.replace("C1", "C9"), datetime(2030, 1, 1, tzinfo=UTC))
    world.night()
    assert [f.record.file for f in world.ledger] == ["crm_c.csv", "crm_a.csv", "crm_b.csv", "crm_0.csv"]
    assert world.ledger[-1].record.landed_at == AS_OF


def test_content_is_read_once_per_source(world: World) -> None:
    world.source("crm")
    world.source("crm2", files=["crm2*"])
    world.sources["crm"]["files"] = ["crm_*"]
    world.land("crm_1.csv", GOOD)
    world.land("crm2.csv", GOOD)
    assert len(world.night().of("used")) == 2
    world.land("crm_again.csv", GOOD)
    report = world.night()
    assert {f.outcome for f in report.files} == {"known"}
    assert len(world.ledger) == 2


def test_globs_stay_in_the_landing_folder(world: World) -> None:
    (world.root / "outside.csv").write_text(GOOD)
    (world.root / "landing" / "crm_link.csv").symlink_to(world.root / "outside.csv")
    (world.root / "landing" / "crm_loop.csv").symlink_to("crm_loop.csv")
    world.land(".crm_hidden.csv", GOOD)
    world.source(files=["*.csv", "../*.csv", "/etc/*.conf", "**/*.csv"])
    report = world.night()
    assert {f.file for f in report.of("refused")} == {"crm_link.csv", "crm_loop.csv", "../*.csv", "/etc/*.conf"}
    assert world.ledger == []


@pytest.mark.parametrize(
    ("name", "content", "reader", "reason"),
    [
        ("crm.csv", b"", {"format": "csv"}, "empty_file"),
        ("crm.csv", b"\xef\xbb\xbf", {"format": "csv"}, "empty_file"),
        ("crm.csv", b"\n\r\n", {"format": "csv"}, "empty_file"),
        ("crm.csv.gz", gzip.compress(b"", mtime=0), {"format": "csv"}, "empty_file"),
        ("crm.csv.gz", b"", {"format": "csv"}, "empty_file"),
        ("crm.csv.gz", gzip.compress(GOOD.encode() * 999, mtime=0)[:-9], {"format": "csv"}, "unreadable_file"),
        ("crm.csv.gz", b"no gzip at all", {"format": "csv"}, "unreadable_file"),
        ("crm.csv.gz", gzip.compress(GOOD.encode(), mtime=0)[:12] + b"\xff" * 40, {"format": "csv"}, "unreadable_file"),
        ("crm.csv", gzip.compress(GOOD.encode(), mtime=0), {"format": "csv"}, "unreadable_file"),
        ("crm.csv", GOOD.encode() + b"2,2024-05-01 10:00:00,caf\xe9,C2\n", {"format": "csv"}, "wrong_encoding"),
        ("crm.csv", GOOD.encode("utf-16"), {"format": "csv"}, "wrong_encoding"),
        ("crm.csv", GOOD.encode() + b"\x81", {"format": "csv", "encoding": "windows-1252"}, "wrong_encoding"),
        ("crm.csv", GOOD.encode() + b"\xc3", {"format": "csv"}, "wrong_encoding"),
        ("crm.parquet", b"", {"format": "parquet"}, "empty_file"),
        ("crm.parquet", b"PAR1 and then nothing", {"format": "parquet"}, "unreadable_file"),
        ("crm.jsonl", b"", {"format": "jsonl", "fields": {"id": "$.id"}}, "empty_file"),
        ("crm.jsonl", b'{"id": "\xe9"}', {"format": "jsonl", "fields": {"id": "$.id"}}, "wrong_encoding"),
    ],
)
def test_a_broken_file_is_quarantined_whole_and_the_others_load(
    world: World, name: str, content: bytes, reader: dict[str, Any], reason: str
) -> None:
    world.source(reader=reader)
    world.source("web")
    world.land(name, content)
    world.land("web.csv", GOOD)
    report = world.night()
    (bad,) = report.of("quarantined")
    assert (bad.reason, bad.file) == (reason, name)
    broken = next(f for f in world.ledger if f.record.source == "crm")
    assert broken.record.file_status == "quarantined"
    assert pq.read_table(broken.events).num_rows == 0
    (row,) = pq.read_table(broken.quarantine).to_pylist()
    assert (row["row_number"], row["quarantine_number"], row["reason"]) == (0, 1, reason)
    assert name in row["detail"]
    assert len(report.of("used")) == 1
    assert report.total("events_made") == 1


def test_a_corrupt_parquet_body_is_unreadable(world: World) -> None:
    rows = pa.table(
        {"id": [str(i) for i in range(5000)], "moment": ["2024-05-01 10:00:00"] * 5000, "activity": ["x"] * 5000}
    )
    path = world.land("crm.parquet", b"")
    pq.write_table(rows.append_column("customer", rows["id"]), path, compression="zstd")
    body = bytearray(path.read_bytes())
    body[100:400] = b"\0" * 300
    world.land("crm.parquet", bytes(body))
    world.source(reader={"format": "parquet"})
    world.night()
    assert world.reasons() == [(0, "unreadable_file")]


def test_wrong_encoding_in_the_middle_uses_nothing(world: World) -> None:
    lines = "".join(f"{i},2024-05-01 10:00:00,call,C{i}\n" for i in range(60_000))
    take_csv(world, GOOD.encode() + lines.encode() + b"\xff,2024-05-01 10:00:00,call,C\n")
    assert world.events() == []
    assert world.links() == []
    assert world.reasons() == [(0, "wrong_encoding")]
    assert f"byte {len(GOOD) + len(lines)}" in world.quarantine()[0]["detail"]


@pytest.mark.parametrize("count", [1, 400_000, 800_000])
def test_a_record_that_never_ends_is_refused_not_swallowed(world: World, count: int) -> None:
    rows = "2,2024-05-01 10:00:00,call,C2\n" * count
    take_csv(world, GOOD + '9,2024-05-01 10:00:00,"call,C2\n' + rows)
    assert world.reasons() == [(0, "unreadable_file")]
    assert "never closed" in world.quarantine()[0]["detail"]


def test_a_missing_column_names_file_column_and_nearest(world: World) -> None:
    world.source()
    world.source("web")
    world.land("crm.csv", GOOD.replace("customer", "customr"))
    world.land("web.csv", GOOD)
    report = world.night()
    (row,) = world.quarantine(0)
    assert (row["reason"], row["column"]) == ("missing_column", "customer")
    assert "crm.csv" in row["detail"]
    assert "'customer'" in row["detail"]
    assert "'customr'" in row["detail"]
    assert len(report.of("used")) == 1


def test_a_quarantined_file_is_read_again_only_when_it_is_removed_from_the_ledger(world: World) -> None:
    take_csv(world, GOOD.replace("customer", "klant"))
    world.source(dialects=[{"name": "d", "columns": {"customer": "klant"}}])
    (known,) = world.night().files
    assert known.outcome == "known"
    assert world.ledger[0].path.name in str(known.detail)
    shutil.rmtree(world.ledger[0].path)
    assert [f.outcome for f in world.night().files] == ["used"]


def test_header_only_is_a_good_file(world: World) -> None:
    take_csv(world, "id,moment,activity,customer")
    assert world.ledger[0].record.file_status == "used"
    assert world.ledger[0].record.rows_read == 0


def test_a_file_that_changes_while_it_is_read_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.source()
    path = world.land("crm.csv", GOOD)

    def grow(*args: Any) -> reading.Reading:
        done = reading.read_file(*args)
        path.write_text(GOOD + "2,2024-05-01 11:00:00,call,C2\n")
        return done

    monkeypatch.setattr(take, "read_file", grow)
    assert [f.outcome for f in world.night().files] == ["changing"]
    assert world.ledger == []
    monkeypatch.undo()
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "a secret of more than sixteen characters")
    world.night()
    assert len(world.events()) == 2


def test_a_crash_leaves_only_what_the_next_night_sweeps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.source()
    world.land("crm.csv", GOOD)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "rename", _no_rename)
        with pytest.raises(OSError, match="power"):
            world.night()
    ledger = world.root / "lake" / "ledger"
    assert [p.name for p in ledger.iterdir() if p.is_dir()] == [".tmp-00000001"]
    assert world.ledger == []
    world.night()
    assert [p.name[:8] for p in ledger.iterdir() if p.is_dir()] == ["00000001"]
    assert len(world.events()) == 1


def _no_rename(self: Path, target: Path) -> Path:
    raise OSError("power cut")


def test_two_at_once_are_refused(world: World) -> None:
    world.source()
    with Ledger(world.root / "lake").writing(), pytest.raises(LakeError, match="another run"):
        world.night()


def test_the_key_is_needed_and_must_stay_the_same(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take_csv(world, GOOD)
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "another secret of enough characters")
    with pytest.raises(ConfigError, match="another than the ledger"):
        world.night()
    monkeypatch.delenv("KLANTSPOOR_TEST_KEY")
    with pytest.raises(ConfigError, match="KLANTSPOOR_TEST_KEY"):
        world.night()
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", "short")
    with pytest.raises(ConfigError) as caught:
        world.night()
    assert "short" not in str(caught.value)


def test_a_readable_key_file_is_refused(world: World) -> None:
    world.source()
    key = world.root / "key"
    key.write_text("a secret of more than sixteen characters\n")
    key.chmod(0o644)
    file = world.project.file.model_copy(update={"pseudonym_key": KeySource(file="key")})
    project = world.project.model_copy(update={"file": file})
    with pytest.raises(ConfigError, match="chmod 600"):
        take.take_in(project, world.root / "lake", AS_OF)
    key.chmod(0o600)
    assert take.take_in(project, world.root / "lake", AS_OF).files == ()


def test_a_file_name_that_is_no_text_is_taken_in(world: World) -> None:
    world.source()
    path = os.fsencode(str(world.root / "landing")) + b"/crm_\xff.csv"
    Path(os.fsdecode(path)).write_text(GOOD)
    world.night()
    assert world.ledger[0].record.file == "crm_\\xff.csv"


def test_what_landed_later_is_left_and_what_was_missed_is_not(world: World) -> None:
    world.source()
    for day in (1, 2, 3):
        world.land(f"crm_{day}.csv", GOOD.replace("C1", f"C{day}"), datetime(2024, 5, day, 3, tzinfo=UTC))
    report = take_in(world.project, world.root / "lake", AS_OF, landed_before=datetime(2024, 5, 2, 3, tzinfo=UTC))
    assert [(f.file, f.outcome) for f in report.files] == [
        ("crm_1.csv", "used"), ("crm_2.csv", "later"), ("crm_3.csv", "later"),
    ]  # fmt: skip
    world.land("crm_0.csv", GOOD.replace("C1", "C0"), datetime(2024, 4, 1, tzinfo=UTC))
    report = take_in(world.project, world.root / "lake", AS_OF, landed_before=datetime(2024, 5, 2, 4, tzinfo=UTC))
    assert [f.file for f in report.of("used")] == ["crm_0.csv", "crm_2.csv"]
    assert [f.record.file for f in world.ledger] == ["crm_1.csv", "crm_0.csv", "crm_2.csv"]
    with pytest.raises(ValueError, match="need a time zone"):
        take_in(world.project, world.root / "lake", AS_OF, landed_before=datetime(2024, 5, 2))


def test_the_first_file_of_the_ledger_is_that_of_the_lowest_sequence(world: World) -> None:
    assert Ledger(world.root / "lake").first() is None
    world.source()
    world.land("crm_b.csv", GOOD, datetime(2024, 5, 1, tzinfo=UTC))
    world.night()
    world.land("crm_a.csv", GOOD.replace("C1", "C2"), datetime(2024, 4, 1, tzinfo=UTC))
    world.night()
    first = Ledger(world.root / "lake").first()
    assert first is not None
    assert (first.record.sequence, first.record.file) == (1, "crm_b.csv")
    (world.root / "lake" / "ledger" / first.path.name).rename(first.path.with_name(f"100{first.path.name}"))
    again = Ledger(world.root / "lake").first()
    assert again is not None
    assert again.record.file == "crm_a.csv", "by number, not by text"


def test_as_of_needs_a_zone(world: World) -> None:
    world.source(defaults=SIMPLE)
    with pytest.raises(ValueError, match="time zone"):
        world.night(datetime(2024, 6, 1))


def test_an_error_nobody_foresaw_costs_the_file_and_tells_no_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise pa.ArrowInvalid("cannot cast 'jane@example.com'")

    landed = SimpleNamespace(file="a.csv", path=tmp_path / "a.csv", landed_at=None)
    monkeypatch.setattr(reading, "_read", fails)
    monkeypatch.setattr(reading, "Tools", lambda *_: None)
    monkeypatch.setattr(reading, "case_keys", lambda _: [])
    (tmp_path / "aside").mkdir()
    dropped: list[bool] = []
    part = SimpleNamespace(drop=lambda: dropped.append(True))
    found = reading.read_file(SimpleNamespace(), SimpleNamespace(), landed, b"", tmp_path / "aside", part)  # type: ignore[arg-type]
    assert dropped
    [row] = pq.read_table(tmp_path / "aside" / "quarantine.parquet").to_pylist()
    assert found.fault is not None
    assert row["reason"] == "unreadable_file"
    assert "ArrowInvalid" in row["detail"]
    assert "jane" not in row["detail"]

"""The readers: CSV, JSON lines, Parquet; dialects; nothing turned silently into something else."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from intake_world import SIMPLE, World, take_csv

from klantspoor.intake.csv_reader import CsvFile
from klantspoor.intake.raw import BATCH_BYTES, ROW_BYTES, unique_names
from klantspoor.project.model import CsvReader

KEEP_ALL = SIMPLE | {"id": None, "attributes": {"note": "note"}}


def attributes(world: World) -> list[dict[str, str] | None]:
    return [json.loads(e["attributes"]) if e["attributes"] else None for e in world.events()]


def read(path: Path, **reader: Any) -> tuple[dict[str, list[str | None]], list[int], list[int]]:
    """Columns, record numbers of good rows, record numbers of malformed ones."""
    file = CsvFile(path, CsvReader(format="csv", **reader))
    batches = list(file.batches(None))
    if not batches:
        return {name: [] for name in file.columns}, [], []
    table = pa.concat_tables([b.table for b in batches])
    numbers = np.concatenate([b.numbers for b in batches]).tolist()
    return table.to_pydict(), numbers, [n for b in batches for n, _ in b.malformed]


def test_rows_keep_their_numbers_past_malformed_and_blank_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n1,x\n"two\nlines",y\n3\n\n4,z,extra\n5,w\n6\n')
    columns, numbers, malformed = read(path)
    assert columns == {"a": ["1", "two\nlines", "5"], "b": ["x", "y", "w"]}
    assert (numbers, malformed) == ([1, 2, 5], [3, 4, 6])


def test_a_malformed_row_is_told_without_its_text(world: World) -> None:
    take_csv(world, "id,moment,activity,customer\n1,2024-05-01 10:00:00,call,C1\n2,jan@jansen.nl\n")
    (row,) = world.quarantine()
    assert (row["row_number"], row["reason"]) == (2, "malformed_row")
    assert "found 2 values, expected 4" in row["detail"]
    assert "jan" not in row["detail"]
    record = world.ledger[0].record
    assert (record.rows_read, record.rows_quarantined, record.events_made) == (2, 1, 1)


def test_names_are_made_unique() -> None:
    assert unique_names(["category", "category", "Category_2", "CATEGORY", ""]) == [
        "category", "category_3", "Category_2", "CATEGORY_4", "column_5",
    ]  # fmt: skip
    assert unique_names(["a", "b", "a"]) == ["a", "b", "a_2"]
    assert unique_names(["a\0"]) == ["a\ufffd"]


def test_utf_16_without_a_mark_is_not_taken_for_utf_8(world: World) -> None:
    take_csv(world, "id,moment,activity,customer\n1,2024-05-01 10:00:00,call,C1\n".encode("utf-16-le"))
    assert world.reasons() == [(0, "missing_column")]


def test_odd_json_lines_are_malformed_at_worst(world: World) -> None:
    fields = {"id": "$.id", "moment": "$.moment", "activity": "$.activity", "customer": "$.customer"}
    good = '{"id":"1","moment":"2024-05-01 10:00:00","activity":"x","customer":"C"}'
    odd = [
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        good + "\0",
        '{"id":"\\ud800"}',
        "\x01",
        '{"id":1,"id":2}',
        '{"id":NaN}',
    ]
    world.source(reader={"format": "jsonl", "fields": fields})
    world.land("crm.jsonl", "\n".join([*odd, good]))
    world.night()
    assert [e["row_number"] for e in world.events()] == [7]
    assert {n for n, _ in world.reasons()} == {1, 2, 3, 4, 5, 6}


def test_header_with_mark_quotes_newline_and_no_final_newline(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('\ufeff\r\n"a\nb";"c""d";c\r\n1;2;3'.encode())
    columns, _, _ = read(path, delimiter=";")
    assert columns == {"a\nb": ["1"], 'c"d': ["2"], "c": ["3"]}


@pytest.mark.parametrize("encoding", ["windows-1252", "latin-1", "utf-16", "utf-8-sig", "cp850", "utf-16-le"])
def test_any_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress("naam,ß\nJosé,é\n".encode(encoding)))
    assert read(path, encoding=encoding)[0] == {"naam": ["José"], "ß": ["é"]}


def test_only_the_configured_nulls_are_nulls(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a\nNA\nnull\n0\nNaN\n?\n""\nN/A\n-\n')
    assert read(path)[0]["a"] == ["NA", "null", "0", "NaN", "?", None, "N/A", "-"]
    assert read(path, nulls=["?", "-"])[0]["a"] == ["NA", "null", "0", "NaN", None, "", "N/A", None]


def test_the_ids_na_null_and_0_stay_text(world: World) -> None:
    rows = "".join(f"{i},2024-05-01 10:00:00,call,C1\n" for i in ("NA", "null", "0", "None", "-1"))
    take_csv(world, "id,moment,activity,customer\n" + rows)
    assert [e["source_event_id"] for e in world.events()] == ["NA", "null", "0", "None", "-1"]


def test_decimal_comma(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a;b\n1.234,5;1,5\n-7;x\n1.234;y\n1.2.3;z\ntext, and more;q\n")
    columns, _, _ = read(path, delimiter=";", decimal_comma=["a"])
    assert columns == {"a": ["1234.5", "-7", "1234", "1.2.3", "text, and more"], "b": ["1,5", "x", "y", "z", "q"]}


def test_memory_is_bounded_by_the_batch_not_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    row = "x" * 99 + "\n"
    with path.open("w") as file:
        file.write("a\n")
        for _ in range(1200):
            file.write(row * 1000)
    pa.default_memory_pool().release_unused()
    before = pa.total_allocated_bytes()
    rows = peak = 0
    for batch in CsvFile(path, CsvReader(format="csv")).batches(None):
        rows += batch.rows
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert rows == 1_200_000
    assert path.stat().st_size > 2 * (BATCH_BYTES + 2 * ROW_BYTES)
    assert peak < BATCH_BYTES + 4 * ROW_BYTES


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(cells, min_size=2, max_size=4), max_size=25), st.sampled_from([",", ";", "\t", "|"]))
def test_every_record_of_any_csv_is_accounted_for(tmp_path: Path, rows: list[list[str]], delimiter: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(
        [["a", "b", "c"], *rows]
    )
    path = tmp_path / "a.csv"
    path.write_bytes(written.getvalue().encode())
    columns, numbers, malformed = read(path, delimiter=delimiter)
    assert sorted(numbers + malformed) == list(range(1, len(rows) + 1))
    assert numbers == [n for n, row in enumerate(rows, start=1) if len(row) == 3]
    for place, name in enumerate("abc"):
        assert columns[name] == [row[place] or None for row in rows if len(row) == 3]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(cells, st.sampled_from(["2024-05-01 10:00:00", "", "nonsense", "31/12/2024"]), cells, cells),
        max_size=12,
    )
)
def test_every_row_has_one_outcome_and_texts_survive(world: World, rows: list[tuple[str, ...]]) -> None:
    shutil.rmtree(world.root / "lake", ignore_errors=True)
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([["id", "moment", "activity", "customer"], *rows])
    take_csv(world, written.getvalue(), ignore_when="activity = 'a'")
    record = world.ledger[0].record
    used = {e["row_number"]: e for e in world.events()}
    quarantined = {n for n, _ in world.reasons()}
    assert record.rows_read == len(rows) == len(used) + len(quarantined) + record.rows_ignored
    assert record.rows_quarantined == len(quarantined)
    assert not quarantined & set(used)
    for number, event in used.items():
        assert event["activity"] == rows[number - 1][2]


# --- JSON lines ------------------------------------------------------------------------------------------------------


def test_json_lines_flattened(world: World) -> None:
    fields = {
        "id": "$.Id",
        "moment": "$.Start",
        "activity": "$.Q.Name",
        "customer": "$.C",
        "note": "$.Tags[*]",
        "deep": "$.a.b[1].c",
    }
    lines = [
        {"Id": 12345678901234567890123, "Start": "2024-05-01 10:00:00", "Q": {"Name": "<b>"}, "C": "null",
         "Tags": ["x", "y"], "a": {"b": [1, {"c": "deep"}]}},
        {"Id": "0", "Start": "2024-05-01 10:00:00", "Q": {"Name": "line\u2028sep\nnew"}, "C": "C2", "Tags": None},
    ]  # fmt: skip
    text = "\ufeff" + "\r\n\n".join(json.dumps(line) for line in lines) + '\n{"Id": "3", \n[1]\n"x"\n'
    world.source(reader={"format": "jsonl", "fields": fields}, not_personal=list(fields),
                 defaults=SIMPLE | {"attributes": {"tags": "note", "deep": "deep"}})  # fmt: skip
    world.land("crm.jsonl", text)
    world.night()
    events = world.events()
    assert [e["source_event_id"] for e in events] == ["12345678901234567890123", "0"]
    assert [e["activity"] for e in events] == ["<b>", "line\u2028sep\nnew"]
    assert attributes(world)[0] == {"tags": '["x","y"]', "deep": "deep"}
    assert world.reasons() == [(3, "malformed_row"), (4, "malformed_row"), (5, "malformed_row")]
    assert events[0]["identifiers"][0]["guard"] == "blocked"  # the customer "null" is nobody


def test_a_json_field_that_no_line_has(world: World) -> None:
    fields = {"id": "$.id", "moment": "$.moment", "activity": "$.activity", "customer": "$.customer"}
    line = {"id": 1, "moment": "2024-05-01 10:00:00", "activity": "x", "custmer": "C"}
    world.source(reader={"format": "jsonl", "fields": fields})
    world.land("crm.jsonl", "\n".join([json.dumps(line)] * 3))
    world.night()
    (row,) = world.quarantine()
    assert (row["reason"], row["column"]) == ("missing_column", "customer")
    assert "'custmer'" in row["detail"]
    world.source(reader={"format": "jsonl", "fields": fields}, optional_columns=["customer"])
    world.land("crm.jsonl", "\n".join([json.dumps(line)] * 4))
    world.night()
    assert [e["identifiers"] for e in world.events()] == [[]] * 4
    # Once in the whole file is enough.
    world.source(reader={"format": "jsonl", "fields": fields})
    world.land("crm.jsonl", "\n".join([json.dumps(line)] * 4 + [json.dumps(line | {"customer": "C9"})]))
    world.night()
    assert len(world.events()) == 5


def test_json_dialects_by_the_fields_a_file_has(world: World) -> None:
    fields = {"id": "$.id", "moment": "$.moment", "old": "$.kind", "new": "$.type.name", "customer": "$.customer"}
    world.source(
        reader={"format": "jsonl", "fields": fields},
        dialects=[
            {"name": "v2", "columns": {"activity": "new"}},
            {"name": "v1", "columns": {"activity": "upper(old)"}},
        ],
    )
    base = {"id": 1, "moment": "2024-05-01 10:00:00", "customer": "C"}
    world.land("crm1.jsonl", json.dumps(base | {"kind": "call"}))
    world.land("crm2.jsonl", json.dumps(base | {"type": {"name": "chat"}}))
    world.night()
    assert [(f.record.dialect, world.events(i)[0]["activity"]) for i, f in enumerate(world.ledger)] == [
        ("v1", "CALL"), ("v2", "chat"),
    ]  # fmt: skip


# --- Parquet, dialects, optional columns -----------------------------------------------------------------------------


def test_parquet_keeps_types(world: World) -> None:
    table = pa.table(
        {
            "customer": pa.array(["C1", None]).dictionary_encode(),
            "moment": pa.array([datetime(2024, 5, 1, 10), None], pa.timestamp("ns")),
            "id": pa.array([7, 8], pa.int32()),
            "activity": ["call", "call"],
        }
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    world.source(reader={"format": "parquet"}, timezone="Europe/Amsterdam")
    world.land("crm.parquet", buffer.getvalue())
    world.night()
    (event,) = world.events()
    assert (event["source_event_id"], event["occurred_at"]) == ("7", datetime(2024, 5, 1, 8, tzinfo=UTC))
    assert world.reasons() == [(2, "missing_time")]


def test_the_first_dialect_that_fits(world: World) -> None:
    world.source(
        dialects=[
            {"name": "new", "columns": {"id": "ticket_id", "customer": "upper(klant)"}},
            {"name": "old", "columns": {"id": "nr || '-x'", "activity": "'was ' || activity", "customer": "klant"}},
        ],
        not_personal=["ticket_id", "nr", "activity"],
    )
    world.land("crm1.csv", "nr,moment,activity,klant\n1,2024-05-01 10:00:00,call,c1\n")
    world.land("crm2.csv", "ticket_id,moment,activity,klant\n1,2024-05-01 10:00:00,call,c1\n")
    world.land("crm3.csv", "ticket,moment,activity,klant\n1,2024-05-01 10:00:00,call,c1\n")
    world.night()
    assert [f.record.dialect for f in world.ledger] == ["old", "new", None]
    assert (world.events(0)[0]["source_event_id"], world.events(0)[0]["activity"]) == ("1-x", "was call")
    (row,) = world.quarantine(2)
    assert row["column"] == "ticket_id"
    assert "dialect new" in row["detail"]
    assert "'ticket'" in row["detail"]


def test_columns_are_found_whatever_their_case(world: World) -> None:
    take_csv(world, "ID,Moment,Activity,Customer\n1,2024-05-01 10:00:00,call,c1\n")
    assert world.events()[0]["source_event_id"] == "1"


def test_an_absent_optional_column_is_null(world: World) -> None:
    text = "id,moment,activity,customer\n1,2024-05-01 10:00:00,call,c1\n"
    take_csv(
        world, text, optional_columns=["team"], defaults=SIMPLE | {"team": "coalesce(team, 'none')", "topic": "team"}
    )
    assert (world.events()[0]["team"], world.events()[0]["topic"]) == ("none", None)


DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "incidents" / "incident_event_log.csv.gz"


@pytest.mark.real
@pytest.mark.skipif(not DATA.exists(), reason="the public data is not beside the project")
def test_real_incidents(world: World) -> None:
    world.land("crm.csv.gz", DATA.read_bytes())
    world.source(
        reader={"format": "csv", "nulls": ["?"]},
        time={"formats": ["%d/%m/%Y %H:%M"]},
        not_personal=["number", "sys_mod_count", "category_2"],
        defaults={
            "id": "number || '/' || sys_mod_count", "occurred_at": "sys_updated_at", "activity": "ident_state",
            "tie_order": "sys_mod_count", "identifiers": [{"type": "customer", "value": "caller_id"}],
            "case_keys": {"ticket": "number"}, "attributes": {"subcategory": "category_2"},
        },
    )  # fmt: skip
    world.night()
    rows = pd.read_csv(DATA, dtype=str, na_filter=False)
    table = pq.read_table(world.ledger[0].events, columns=["occurred_at", "key_ticket"]).to_pandas()
    assert len(table) == len(rows)
    moments = pd.to_datetime(rows["sys_updated_at"], format="%d/%m/%Y %H:%M", utc=True)
    assert (table["occurred_at"].to_numpy() == moments.to_numpy()).all()
    assert table["key_ticket"].nunique() == rows["number"].nunique()
    known = rows.assign(day=moments.dt.date).loc[rows["caller_id"] != "?", ["caller_id", "day"]]
    assert len(world.links()) == len(known.drop_duplicates())
    assert world.ledger[0].record.anonymous_events == (rows["caller_id"] == "?").sum()
    assert world.quarantine() == []

"""Every row of the table of bad inputs, planted in one night of the real job: what the tables and the run's end say of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.hostile import hostile_landing as landing
from tests.hostile import hostile_rows as planted
from tests.hostile.hostile_nights import Night
from tests.hostile.hostile_project import ORDERS

BAD_FILES = landing.bad_files()
OUTCOMES = ("used", "reference", "ignored", "duplicates", "superseded", "quarantined", "erased")


def intake(night: Night) -> dict[str, dict[str, Any]]:
    return {row["file"]: row for row in night.rows("SELECT * FROM intake")}


def quarantine(night: Night, file: str) -> list[dict[str, Any]]:
    rows = night.rows("SELECT * FROM quarantine ORDER BY sequence, row_number, quarantine_number")
    return [row for row in rows if row["file"] == file]


def freshness(night: Night) -> dict[str, dict[str, Any]]:
    return {row["source"]: row for row in night.rows("SELECT * FROM freshness")}


def events(night: Night, condition: str) -> list[dict[str, Any]]:
    return night.rows(f"SELECT * FROM events WHERE {condition} ORDER BY file_sequence, row_number")


def told(night: Night, title: str) -> str:
    """A paragraph of the run's end: the line that begins so, and those indented below it."""
    lines = night.summary
    start = next(number for number, line in enumerate(lines) if line.startswith(title))
    end = next((n for n in range(start + 1, len(lines)) if not lines[n].startswith("  ")), len(lines))
    return "\n".join(lines[start:end])


def test_the_night_is_published_with_its_warnings(bad_night: Night) -> None:
    assert bad_night.code == 0
    assert bad_night.err == ""
    assert bad_night.version.name == "000002"
    assert bad_night.version.manifest["as_of"] == landing.SECOND.isoformat()
    assert told(bad_night, "Published: version 000002")
    odd = told(bad_night, "Checks that warn: 3")
    assert all(rule in odd for rule in ("freshness.all_came", "intake.files_readable", "intake.quarantined_share"))


def test_every_row_of_every_file_has_one_outcome(bad_night: Night) -> None:
    files = intake(bad_night)
    landed = {**landing.first_night(), **landing.second_night()}
    bad = {file.name for file in BAD_FILES}
    assert set(files) == (set(landed) | bad) - {"tickets/day-1-under-another-name.csv"}
    for row in files.values():
        assert row["rows_read"] == sum(row[outcome] for outcome in OUTCOMES), row["file"]
    assert {name for name, row in files.items() if row["file_status"] == "quarantined"} == bad
    used = bad_night.rows("SELECT file_sequence, count(DISTINCT row_number) AS rows FROM events GROUP BY ALL")
    by_sequence = {row["sequence"]: row["used"] for row in files.values() if row["used"]}
    assert {row["file_sequence"]: row["rows"] for row in used} == by_sequence


@pytest.mark.parametrize("bad", BAD_FILES, ids=[f"{number}-{bad.reason}" for number, bad in enumerate(BAD_FILES)])
def test_a_file_that_cannot_be_used_says_why(bad: landing.BadFile, bad_night: Night) -> None:
    (row,) = quarantine(bad_night, bad.name)
    assert (row["source"], row["row_number"], row["reason"]) == (bad.source, 0, bad.reason)
    assert bad.name in row["detail"]
    assert bad.detail in row["detail"]
    if bad.column is not None:
        assert row["column"] == bad.column
    counted = intake(bad_night)[bad.name]
    assert (counted["file_status"], counted["rows_read"], counted["events_made"]) == ("quarantined", 0, 0)
    assert events(bad_night, f"file_sequence = {counted['sequence']}") == []


def test_a_missing_header_does_not_make_a_value_the_nearest_column(bad_night: Night) -> None:
    (row,) = quarantine(bad_night, "tickets/headerless.csv")
    assert "Emil" not in row["detail"]


def test_the_runs_end_names_unusable_files(bad_night: Night) -> None:
    said = told(bad_night, f"Unusable files, quarantined: {len(BAD_FILES)}")
    assert "orders/empty.parquet: it holds nothing" in said
    assert f"and {len(BAD_FILES) - 5} more" in said
    assert "tickets/link.csv: a symbolic link leads out" in told(bad_night, "Left for the next night: 1")
    assert "\x1b" not in bad_night.out


@pytest.mark.parametrize(
    ("file", "bad"),
    [("tickets/bad-rows.csv", planted.bad_tickets()), ("chats/bad-rows.jsonl", planted.bad_chats())],
    ids=["tickets", "chats"],
)
def test_bad_rows_are_quarantined_and_the_good_ones_beside_them_used(
    file: str, bad: list[planted.Bad], bad_night: Night
) -> None:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in quarantine(bad_night, file):
        found.setdefault(row["row_number"], []).append(row)
    assert list(found) == [2 * place + 1 for place in range(len(bad))], "every other row is bad, counting from 1"
    for number, wanted in zip(found, bad, strict=True):
        said = [row for row in found[number] if row["reason"] == wanted.reason and row["column"] == wanted.column]
        assert said, f"row {number}: {found[number]}"
        assert any(wanted.detail in row["detail"] for row in said), f"row {number}: {said}"
    counted = intake(bad_night)[file]
    assert (counted["quarantined"], counted["used"], counted["rows_read"]) == (len(bad), len(bad), 2 * len(bad))
    good = events(bad_night, f"file_sequence = {counted['sequence']}")
    assert [row["row_number"] for row in good] == [2 * place + 2 for place in range(len(bad))]
    assert {row["activity"] for row in good} == {"Asked beside" if file.startswith("tickets") else "Chatted beside"}


def test_personal_values_are_told_by_their_shape(bad_night: Night) -> None:
    (row,) = [row for row in quarantine(bad_night, "tickets/bad-rows.csv") if row["column"] == "note"]
    assert row["detail"] == (
        "found a value like aaaa aaa.aaaaaaaa+aaaaa@aaaaaa.aaaaaaa aa aa-9999999999 (55 characters);"
        " the expression of tie_order fails"
    )


def test_times_of_a_type_that_is_no_time_are_quarantined(bad_night: Night) -> None:
    rows = quarantine(bad_night, "orders/odd-types.parquet")
    assert [(row["row_number"], row["reason"], row["column"]) for row in rows] == [
        (1, "unparsable_time", "moment"),
        (2, "unparsable_time", "moment"),
    ]


def test_local_times_that_the_rule_resolves_are_counted(bad_night: Night) -> None:
    counted = intake(bad_night)["orders/odd-times.parquet"]
    assert (counted["used"], counted["times_resolved"]) == (2, 2)
    assert ORDERS["time"] == {"ambiguous": "later", "nonexistent": "shift"}
    found = events(bad_night, f"file_sequence = {counted['sequence']}")
    assert [row["occurred_at"].isoformat() for row in found] == [
        "2026-03-29T01:00:00+00:00",  # 02:30 does not exist: the first moment that does, 03:00 in summer time
        "2025-10-26T01:30:00+00:00",  # 02:30 exists twice: the later, in winter time
    ]


def test_expected_files_that_did_not_come_or_are_small_are_said(bad_night: Night) -> None:
    found = freshness(bad_night)
    assert {name: row["freshness"] for name, row in found.items()} == {
        "chats": "fresh",
        "claims": "missing",
        "clients": "fresh",
        "letters": "missing",
        "orders": "small",
        "payments": "fresh",
        "tickets": "small",
    }
    assert found["orders"]["odd"].startswith("3 rows where 20 are usual")
    assert found["tickets"]["last_file"] == BAD_FILES[-1].name
    assert "its newest file could not be used" in found["tickets"]["odd"]
    assert "25% of the rows of its newest file were quarantined" in found["chats"]["odd"]
    said = told(bad_night, "Did not arrive as expected: 4")
    assert "letters is missing: no file of it has ever come" in said
    assert "orders is small: 3 rows where 20 are usual" in said


def test_the_same_file_under_another_name_is_known(good_night: Night, bad_night: Night) -> None:
    name = "tickets/day-1-under-another-name.csv"
    assert (bad_night.project / "landing" / name).is_file()
    assert name not in intake(bad_night)
    same = [row for row in intake(bad_night).values() if row["source"] == "tickets"]
    assert len({row["content_hash"] for row in same}) == len(same)
    before, now = intake(good_night)["tickets/day-1.csv"], intake(bad_night)["tickets/day-1.csv"]
    assert before["content_hash"] == now["content_hash"]
    assert before["sequence"] == now["sequence"]


def test_the_same_event_again_and_newer_and_older_versions_are_counted(bad_night: Night) -> None:
    files = intake(bad_night)
    counted = {name: [files[name][key] for key in ("rows_read", "used", "duplicates", "superseded")] for name in files}
    assert counted["tickets/again.csv"] == [5, 2, 2, 1], (
        "newer and new are used; known and twice repeat; older gave way"
    )
    assert counted["tickets/day-1.csv"] == [20, 19, 0, 1], "one gave way to a newer version"
    same, newer, older, new, _ = planted.repeated_tickets()
    ids = ", ".join(f"'{row['ticket']}'" for row in (same, newer, older, new))
    found = {row["source_event_id"]: row for row in events(bad_night, f"source_event_id IN ({ids})")}
    assert len(found) == 4
    assert found[newer["ticket"]]["activity"] == "Asked, corrected"
    assert found[older["ticket"]]["activity"] == planted.day_of_tickets(1)[2]["activity"]
    assert found[same["ticket"]]["file_sequence"] == files["tickets/day-1.csv"]["sequence"], "the first that told it"


def test_ids_that_look_like_nothing_stay_texts(bad_night: Night) -> None:
    ids = ", ".join(f"'{text}'" for text in planted.LITERALS)
    found = events(bad_night, f"source_event_id IN ({ids})")
    assert [row["source_event_id"] for row in found] == list(planted.LITERALS)
    assert len({row["person_id"] for row in found} - {None}) == 1, "all of one customer"


def test_events_of_nobody_are_kept_and_counted_or_quarantined_as_configured(bad_night: Night) -> None:
    files = intake(bad_night)
    assert files["tickets/literal.csv"]["anonymous_events"] == 5, "null, 0, nothing, TEST-1 and blanks"
    found = events(bad_night, "activity = 'Asked anonymously'")
    assert [row["person_id"] is None for row in found] == [False, True, True, True, True, True], "NA is a customer"
    blocked = bad_night.rows("SELECT * FROM identity_audit WHERE guard = 'blocked'")
    assert len(blocked) == 4, "null, 0, TEST-1, TEST-2; a row in quarantine tells nothing"
    reasons = [row["reason"] for row in quarantine(bad_night, "chats/bad-rows.jsonl")]
    assert reasons.count("no_identifier") == 3
    assert files["chats/bad-rows.jsonl"]["anonymous_events"] == 0


def test_a_shared_telephone_links_nobody(bad_night: Night) -> None:
    (row,) = bad_night.rows("SELECT * FROM identity_audit WHERE guard = 'at_most'")
    assert row["identifier_type"] == "phone"
    assert row["reason"] == "seen with 2 identifiers of type customer, at most 1"


def test_rows_that_hold_no_event_are_ignored_not_lost(good_night: Night) -> None:
    clients = intake(good_night)["clients/all.csv"]
    assert (clients["reference"], clients["quarantined"], clients["used"]) == (15, 2, 0)

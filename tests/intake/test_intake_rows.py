"""Row by row: what is quarantined and why, what is carried as text, how events, links and counts come out."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from intake_world import SIMPLE, World, take_csv

from klantspoor.errors import IntakeError, NotFoundError
from klantspoor.intake import preview

NPS = {"instrument": "nps", "score": "extra", "lowest": 0, "highest": 10}
HEAD = "id,moment,activity,customer,extra\n"


def row(**given: str) -> str:
    values = {"id": "1", "moment": "2024-05-01 10:00:00", "activity": "call", "customer": "C1", "extra": ""} | given
    return ",".join('"' + values[k].replace('"', '""') + '"' for k in HEAD.strip().split(",")) + "\n"


@pytest.mark.parametrize(
    ("given", "mapping", "reason", "column"),
    [
        ({"moment": ""}, {}, "missing_time", "moment"),
        ({"moment": "  "}, {}, "missing_time", "moment"),
        ({"moment": "1 May 2024"}, {}, "unparsable_time", "moment"),
        ({"moment": "2024-02-30 10:00:00"}, {}, "unparsable_time", "moment"),
        ({"moment": "infinity"}, {}, "unparsable_time", "moment"),
        ({"moment": "1970-01-01 00:00:00"}, {}, "implausibly_old", "moment"),
        ({"moment": "2024-06-03 10:00:00"}, {}, "far_future", "moment"),
        ({"moment": "9999-12-31 23:59:59"}, {}, "far_future", "moment"),
        ({"extra": "2024-05-01 09:59:59"}, {"ended_at": "extra"}, "end_before_start", "extra"),
        ({"extra": "later"}, {"ended_at": "extra"}, "unparsable_time", "extra"),
        ({"extra": "9999-12-31 00:00:00"}, {"ended_at": "extra"}, "far_future", "extra"),
        ({"extra": "once"}, {"need_started_at": "extra"}, "unparsable_time", "extra"),
        ({"activity": ""}, {}, "missing_activity", "activity"),
        ({"activity": " \n"}, {}, "missing_activity", "activity"),
        ({"extra": "robot"}, {"initiator": "extra"}, "unknown_initiator", "extra"),
        ({"extra": "12"}, {"survey": NPS}, "score_out_of_range", "extra"),
        ({"extra": "ten"}, {"survey": NPS}, "score_out_of_range", "extra"),
        ({"extra": "nan"}, {"survey": NPS}, "score_out_of_range", "extra"),
        ({"extra": "seven"}, {"topic": "CAST(extra AS INTEGER)"}, "expression_failed", "extra"),
        ({"extra": "seven"}, {"when": "CAST(extra AS INTEGER) = 7"}, "expression_failed", "extra"),
        ({"extra": "newest"}, {"version": "extra"}, "expression_failed", "extra"),
        ({"extra": "1.5"}, {"tie_order": "extra"}, "expression_failed", "extra"),
    ],
)  # fmt: skip
def test_a_bad_row_is_quarantined_and_the_others_are_used(
    world: World, given: dict[str, str], mapping: dict[str, Any], reason: str, column: str
) -> None:
    good = row(id="2", extra="7") if "CAST" in str(mapping) else row(id="2")
    take_csv(world, HEAD + row(**given) + good, defaults=SIMPLE | mapping)
    assert world.reasons() == [(1, reason)]
    assert world.quarantine()[0]["column"] == column
    assert [e["row_number"] for e in world.events()] == [2]
    record = world.ledger[0].record
    assert (record.rows_read, record.rows_quarantined, record.events_made) == (2, 1, 1)


def test_all_reasons_of_a_row_are_told_and_numbered(world: World) -> None:
    take_csv(world, HEAD + row() + row(moment="x", activity="", extra="y"), defaults=SIMPLE | {"ended_at": "extra"})
    second = [q for q in world.quarantine() if q["row_number"] == 2]
    assert [(q["row_number"], q["quarantine_number"], q["reason"]) for q in second] == [
        (2, 1, "unparsable_time"), (2, 2, "unparsable_time"), (2, 3, "missing_activity"),
    ]  # fmt: skip


def test_a_failing_ignore_when_quarantines_the_row(world: World) -> None:
    rows = row(extra="5") + row(id="2", extra="x") + row(id="3", extra="6")
    take_csv(world, HEAD + rows, ignore_when="extra::int = 5")
    assert world.reasons() == [(2, "expression_failed")]
    assert [e["row_number"] for e in world.events()] == [3]
    assert world.ledger[0].record.rows_ignored == 1


def test_a_failing_dialect_column_is_seen_through(world: World) -> None:
    dialect = {"name": "d", "columns": {"moment": "CAST(moment AS TIMESTAMP)", "team": "moment"}}
    rows = row() + row(id="2", moment="nonsense")
    take_csv(world, HEAD + rows, dialects=[dialect], defaults=SIMPLE | {"team": "team"})
    assert world.reasons() == [(2, "expression_failed")]
    assert world.quarantine()[0]["column"] == "moment"
    assert world.events()[0]["team"] == "2024-05-01 10:00:00"


@pytest.mark.parametrize(
    "bad", ["nosuchfunction(extra)", "extra + moment + 'x'::DATE", "(SELECT 1)", "read_text('/etc/passwd')"]
)
def test_an_expression_that_cannot_work_quarantines_the_file(world: World, bad: str) -> None:
    take_csv(world, HEAD + row(), defaults=SIMPLE | {"topic": bad})
    assert world.reasons() == [(0, "expression_failed")]


def test_failures_where_the_event_does_not_apply_do_not_matter(world: World) -> None:
    events = [{"when": "extra <> 'none'", "topic": "extra::int::varchar"}]
    take_csv(world, HEAD + row(extra="none") + row(id="2", extra="4"), events=events)
    assert world.reasons() == []
    assert world.ledger[0].record.rows_ignored == 1
    assert world.events()[0]["topic"] == "4"


def test_personal_values_are_told_as_shapes_only(world: World) -> None:
    rows = row(moment="jan@jansen.nl 06-12") + row(id="2", extra="Zoë99" * 40)
    take_csv(world, HEAD + rows, not_personal=["id"], defaults=SIMPLE | {"ended_at": "extra"})
    told, long = [q["detail"] for q in world.quarantine()]
    assert "aaa@aaaaaa.aa 99-99 (19 characters)" in told
    assert "%Y-%m-%d %H:%M:%S" in told
    assert "jan" not in told
    assert "aaa99aaa99" in long
    assert len(long) < 300


def test_not_personal_values_are_told(world: World) -> None:
    take_csv(world, HEAD + row(moment="soon"), not_personal=["moment"])
    assert "found 'soon'" in world.quarantine()[0]["detail"]


NASTY = [
    "<script>alert(1)</script>", '=HYPERLINK("http://x")', "a\nb\r\nc", "'; DROP TABLE raw; --", "x" * 10_000,
    "NA", "null", "0", "🙂 \u200b", '{"a": "}"}', "../../etc/passwd", "%s {0} $1 \\",
]  # fmt: skip


def test_nasty_texts_are_carried_as_they_are(world: World) -> None:
    rows = "".join(row(id=str(n), activity=text, extra=text) for n, text in enumerate(NASTY))
    mapping = SIMPLE | {"topic": "activity", "attributes": {"note": "extra"}}
    take_csv(world, HEAD + rows, defaults=mapping, not_personal=["id", "extra"])
    assert [e["activity"] for e in world.events()] == NASTY
    assert [e["topic"] for e in world.events()] == NASTY
    assert [json.loads(e["attributes"])["note"] for e in world.events()] == NASTY


def test_identifiers_are_cleaned_blocked_and_counted(world: World) -> None:
    mapping = SIMPLE | {"identifiers": [{"type": "email", "value": "extra"}, {"type": "customer", "value": "customer"}]}
    rows = [
        row(extra=" Jan@X.nl "), row(extra="jan@x.NL", customer=""), row(extra="a@example.test", customer="0000"),
        row(extra="", customer=" "), row(extra="N/A", customer="TEST7"), row(extra="--", customer="-1"),
    ]  # fmt: skip
    take_csv(world, HEAD + "".join(rows), defaults=mapping | {"id": None})
    found = [{i["type"]: i["guard"] for i in e["identifiers"]} for e in world.events()]
    nobody = {"customer": "blocked", "email": "blocked"}
    assert found == [{"customer": None, "email": None}, {"email": None}, nobody, {}, nobody, nobody]
    one, two = world.events()[:2]
    assert two["identifiers"][0] in one["identifiers"]
    assert world.ledger[0].record.anonymous_events == 4


def test_anonymous_rows_can_be_quarantined(world: World) -> None:
    take_csv(world, HEAD + row() + row(id="2", customer="") + row(id="3", customer="NULL"), anonymous="quarantine")
    assert world.reasons() == [(2, "no_identifier"), (3, "no_identifier")]
    assert world.ledger[0].record.anonymous_events == 0


def test_the_same_identifier_twice_in_a_row_is_one(world: World) -> None:
    both = [{"type": "phone", "value": "customer"}, {"type": "phone", "value": "extra"}]
    take_csv(
        world,
        HEAD + row(customer="06-12 34", extra="061234") + row(extra="+31"),
        defaults=SIMPLE | {"identifiers": both},
    )
    assert [len(e["identifiers"]) for e in world.events()] == [1, 2]


def test_several_events_of_a_row_and_partly_bad_rows(world: World) -> None:
    head = "order,bought,sent,customer\n"
    rows = (
        "1,2024-05-01 10:00:00,2024-05-02 10:00:00,C\n2,2024-05-01 10:00:00,,C\n3,2024-05-01 10:00:00,soon,C\n4,,,C\n"
    )
    events = [
        {"when": "bought IS NOT NULL", "occurred_at": "bought", "activity": "'bought'"},
        {"when": "sent IS NOT NULL", "occurred_at": "sent", "activity": "'sent'"},
    ]
    defaults = {"id": '"order"', "identifiers": [{"type": "customer", "value": "customer"}]}
    take_csv(world, head + rows, defaults=defaults, events=events, not_personal=["order"])
    assert [(e["row_number"], e["position"], e["source_event_id"]) for e in world.events()] == [
        (1, 1, "1#1"), (1, 2, "1#2"), (2, 1, "2#1"), (3, 1, "3#1"),
    ]  # fmt: skip
    record = world.ledger[0].record
    assert (record.rows_read, record.rows_ignored, record.rows_quarantined, record.events_made) == (4, 1, 1, 4)


def test_without_an_id_the_whole_row_is_the_id(world: World) -> None:
    mapping = SIMPLE | {"id": None}
    rows = row() + row() + row(extra="other") + row(id="")
    take_csv(world, HEAD + rows, defaults=mapping)
    ids = [e["source_event_id"] for e in world.events()]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert all(re.fullmatch("~[0-9a-f]{24}", i) for i in ids)
    # Another order of columns, and a new column without values, change nothing.
    world.land("crm2.csv", "customer,id,moment,activity,extra,new\nC1,1,2024-05-01 10:00:00,call,,\n")
    world.night()
    assert world.events()[0]["source_event_id"] == ids[0]


def test_content_tells_what_changed(world: World) -> None:
    rows = (
        row() + row() + row(activity="chat") + row(customer="C2") + row(extra="x") + row(moment="2024-05-01 10:00:01")
    )
    take_csv(world, HEAD + rows, defaults=SIMPLE | {"team": "extra"})
    contents = [e["content"] for e in world.events()]
    assert contents[0] == contents[1]
    assert len(set(contents)) == 5
    assert len({e["event_id"] for e in world.events()}) == 1


def test_versions_and_tie_orders(world: World) -> None:
    rows = "".join(row(id=str(n), extra=text) for n, text in enumerate(["3", "2.5", "", "2024-05-01 00:00:00"]))
    take_csv(world, HEAD + rows, defaults=SIMPLE | {"version": "extra", "tie_order": "id"})
    assert [e["version"] for e in world.events()] == [3.0, 2.5, None, datetime(2024, 5, 1, tzinfo=UTC).timestamp()]
    assert [e["tie_order"] for e in world.events()] == [0, 1, 2, 3]


def test_scores_run_from_worst_to_best(world: World) -> None:
    survey = {"instrument": "ces", "score": "extra", "lowest": 7, "highest": 1}
    take_csv(
        world, HEAD + "".join(row(id=s, extra=s) for s in ("7", "4", "1", "")), defaults=SIMPLE | {"survey": survey}
    )
    assert [(e["instrument"], e["score"], e["score_0_100"]) for e in world.events()] == [
        ("ces", 7.0, 0.0), ("ces", 4.0, 50.0), ("ces", 1.0, 100.0), (None, None, None),
    ]  # fmt: skip


def test_reference_files_link_and_make_no_events(world: World) -> None:
    text = "nr,mail,since,segment\nC1,a@x.nl,2020-01-01,gold\nC2,,,\n,,,\nC3,b@x.nl,nonsense,\n"
    mapping = {
        "occurred_at": "since", "persona": "segment",
        "identifiers": [{"type": "customer", "value": "nr"}, {"type": "email", "value": "mail"}],
    }  # fmt: skip
    take_csv(world, text, kind="reference", defaults=mapping, time={"formats": ["%Y-%m-%d"]}, ignore_when="nr IS NULL")
    record = world.ledger[0].record
    assert (record.rows_read, record.rows_reference, record.rows_ignored, record.rows_quarantined) == (4, 2, 1, 1)
    assert world.events() == []
    links = sorted(world.links(), key=lambda link: -len(link["identifiers"]))
    assert [(len(link["identifiers"]), link["persona"], link["first_seen"].year) for link in links] == [
        (2, "gold", 2020), (1, None, 2024),
    ]  # fmt: skip


def test_preview_shows_rows_beside_events_and_writes_nothing(world: World) -> None:
    world.source(ignore_when="activity = 'noise'")
    world.land(
        "crm.csv", HEAD + row() + "bad\n" + row(id="3", activity="noise") + row(id="4", moment="x") + row(id="5")
    )
    seen = preview(world.project, "crm", 4)
    assert [(r.row_number, r.outcome) for r in seen] == [
        (1, "events"),
        (2, "quarantined"),
        (3, "ignored"),
        (4, "quarantined"),
    ]
    assert seen[0].raw == {
        "id": "1",
        "moment": "2024-05-01 10:00:00",
        "activity": "call",
        "customer": "a9",
        "extra": None,
    }
    assert seen[0].events[0]["activity"] == "call"
    assert seen[3].reasons[0][0] == "unparsable_time"
    assert not (world.root / "lake").exists()
    with pytest.raises(NotFoundError, match="'crm'"):
        preview(world.project, "crmm", 1)
    world.land("crm2.csv", "", datetime(2024, 5, 31, 1, tzinfo=UTC))
    with pytest.raises(IntakeError, match="empty_file"):
        preview(world.project, "crm", 1)

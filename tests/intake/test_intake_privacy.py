"""Pseudonyms are what they should be, and nothing personal and no key is in any byte of the ledger or of a message."""

from __future__ import annotations

import hashlib
import hmac
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from intake_world import KEY, SIMPLE, World, take_csv

from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import locked_connection
from klantspoor.project.key import Keys


def mac(message: str, digits: int, key: str = KEY) -> str:
    return hmac.new(key.encode(), message.encode(), hashlib.sha256).hexdigest()[:digits]


@given(
    st.binary(min_size=16, max_size=200),
    st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"))), max_size=9),
)
def test_the_sql_is_hmac(key: bytes, values: list[str | None]) -> None:
    maker = Pseudonymiser(locked_connection(), Keys((key,)))
    made = maker.of(pa.array(values, pa.string()), "account", 16).to_pylist()
    assert made == [
        None if v is None else hmac.new(key, b"account\x1f" + v.encode(), hashlib.sha256).hexdigest()[:16]
        for v in values
    ]


def test_domains_are_apart(world: World) -> None:
    mapping = SIMPLE | {
        "account": "customer", "case_keys": {"order": "customer", "ticket": "customer"}, "id": "customer",
        "identifiers": [{"type": "customer", "value": "customer"}, {"type": "phone", "value": "customer"}],
        "attributes": {"who": "customer"},
    }  # fmt: skip
    take_csv(world, "moment,activity,customer\n2024-05-01 10:00:00,call,77\n", defaults=mapping)
    (event,) = world.events()
    assert event["account_id"] == mac("account\x1f77", 16)
    assert event["key_order"] == mac("case\x1forder\x1f77", 16)
    assert event["key_ticket"] == mac("case\x1fticket\x1f77", 16)
    assert [i["identifier"] for i in event["identifiers"]] == [
        mac("identifier\x1fcustomer\x1f77", 24), mac("identifier\x1fphone\x1f77", 24),
    ]  # fmt: skip
    assert event["source_event_id"] == "~" + mac("id\x1f77", 24)
    assert json.loads(event["attributes"]) == {"who": "~" + mac("attribute\x1fwho\x1f77", 24)}
    assert event["event_id"] == hashlib.sha256(f"crm\x1f{event['source_event_id']}".encode()).hexdigest()[:24]


@pytest.mark.parametrize(("listed", "plain"), [(["nr"], True), ([], False), (["id"], True)])
def test_an_id_is_plain_only_if_its_columns_are_not_personal(world: World, listed: list[str], plain: bool) -> None:
    dialect = {"name": "d", "columns": {"id": "'T' || nr"}}
    text = "nr,moment,activity,customer\n5,2024-05-01 10:00:00,call,C\n"
    take_csv(world, text, dialects=[dialect], not_personal=listed)
    assert (world.events()[0]["source_event_id"] == "T5") == plain


@pytest.mark.parametrize("mapping", [{}, {"when": "id <> '4'"}])
def test_a_failing_dialect_column_does_not_give_its_raw_column_away(world: World, mapping: dict[str, str]) -> None:
    dialect = {"name": "d", "columns": {"id": "CAST(bsn AS INT)::VARCHAR"}}
    text = "bsn,moment,activity,customer\nsecret77,2024-05-01 10:00:00,call,C\n"
    take_csv(world, text, dialects=[dialect], not_personal=["id"], defaults=SIMPLE | mapping)
    (row,) = world.quarantine()
    assert (row["reason"], row["column"]) == ("expression_failed", "bsn")
    assert "aaaaaa99" in row["detail"]
    assert "secret77" not in row["detail"]


PLANTED = ["jan.jansen", "voorbeeld.nl", "0612345678", "Wilhelmina", "Kerkstraat", "NL91ABNA"]


def test_nothing_personal_is_left_behind(world: World) -> None:
    head = "id,moment,activity,customer,mail,phone,name,address\n"
    personal = "jan.jansen@voorbeeld.nl,0612345678,Wilhelmina de Vries,Kerkstraat 1 NL91ABNA"
    rows = [
        f"1,2024-05-01 10:00:00,call,Wilhelmina,{personal}", f"2,Kerkstraat,call,jan.jansen,{personal}",
        f"3,2024-05-01 10:00:00,,C,{personal}", f"4,{personal}", f"5,2024-05-01 10:00:00,call,NL91ABNA,{personal},",
        f"6,2024-05-01 10:00:00,call,C,{personal}",
    ]  # fmt: skip
    identifiers = [
        {"type": "customer", "value": "customer"},
        {"type": "email", "value": "mail"},
        {"type": "phone", "value": "phone"},
    ]  # fmt: skip
    mapping = SIMPLE | {
        "id": "id || name", "identifiers": identifiers, "account": "address", "case_keys": {"house": "address"},
        "initiator": "CASE WHEN id = '6' THEN name END", "version": "CASE WHEN id = '5' THEN name END",
        "ended_at": "CASE WHEN id = '1' THEN mail END", "attributes": {"name": "name"},
        "topic": "CASE WHEN id = '3' THEN CAST(phone || 'x' AS INT)::VARCHAR END",
        "survey": {"instrument": "nps", "score": "CASE WHEN id = '6' THEN phone END", "lowest": 0, "highest": 10},
    }  # fmt: skip
    world.source("crm", defaults=mapping, not_personal=["id", "activity"])
    world.source("list", kind="reference", defaults={"identifiers": identifiers})
    world.source("broken", defaults=mapping, not_personal=["id"])
    world.land("crm.csv", head + "\n".join(rows) + "\n")
    world.land("list.csv", head + "\n".join(rows) + "\n")
    world.land("broken.csv", (head + "\n".join(rows) + "\n").encode() + b"\xff")
    world.land("broken_headless.csv", rows[0] + "\n" + rows[0] + "\n")
    report = world.night()
    kept = b"".join(p.read_bytes() for p in (world.root / "lake").rglob("*") if p.is_file()) + repr(report).encode()
    for index in range(len(world.ledger)):
        kept += repr([world.events(index), world.links(index), world.quarantine(index)]).encode()
    for secret in [*PLANTED, KEY]:
        assert secret.encode() not in kept
        assert secret.lower().encode() not in kept.lower()
    assert {f.outcome for f in report.files} == {"used", "quarantined"}
    assert len(world.quarantine(next(i for i, f in enumerate(world.ledger) if f.record.source == "crm"))) >= 5


def test_the_gate_sees_no_key_and_no_file(world: World) -> None:
    con = locked_connection()
    for query in (
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO 'x.csv'",
        "SET threads = 4",
        "INSTALL httpfs",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|disabled|locked"):
            con.sql(query)
    secret = pa.table({"x": [KEY]})  # a Python variable in sight of the query
    with pytest.raises(Exception, match="does not exist"):
        con.sql("SELECT * FROM secret")
    assert secret.num_rows == 1

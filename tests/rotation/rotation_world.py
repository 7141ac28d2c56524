"""A lake with a pseudonym in every place that may hold one, made with any chain of keys; and what one ought to be."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from klantspoor.intake import Ledger
from klantspoor.intake.tombstones import TOMBSTONES_SCHEMA
from klantspoor.lake import Lake
from klantspoor.project.model import KeySource, Project
from tests.intake.intake_world import World

VARIABLE = "KLANTSPOOR_TEST_KEY"
FIRST = "the first: key, with a colon in it"
SECOND, THIRD = "2a" * 32, "3b" * 32
PLANTED = ["jan@voorbeeld.nl", "0612345678", "Wilhelmina", "Kerkstraat", "C-77", "C-78", "A-1"]
HEAD = "id,moment,activity,customer,mail,phone,account,parcel,product\n"
ROWS = (
    "1,2024-05-01 10:00:00,call,C-77,jan@voorbeeld.nl,,A-1,Kerkstraat,~not a pseudonym\n"
    '2,2024-05-01 11:00:00,chat,C-77,,0612345678,,Kerkstraat,"say "":""~bbbbbbbbbbbbbbbbbbbbbbbb"""\n'
    "3,2024-05-02 10:00:00,call,,jan@voorbeeld.nl,,A-1,,\n"
    "4,2024-05-02 10:00:00,chat,C-78,,0699999999,A-2,,lamp\n"
    "5,2024-05-02 10:00:00,call,,,,,,\n"
    ",2024-05-03 10:00:00,call,C-79,piet@voorbeeld.nl,,,Dorpsweg,lamp\n"
    "7,never,call,C-77,,,A-1,,\n"
)
"""Row 5 is anonymous, the sixth has no id, and the last is quarantined."""


def mac(keys: Sequence[str], domain: str, value: str, digits: int = 24) -> str:
    """A pseudonym by its definition, one hash at a time."""
    made = hmac.new(keys[0].encode(), f"{domain}\x1f{value}".encode(), hashlib.sha256).hexdigest()[:digits]
    for key in keys[1:]:
        made = hmac.new(key.encode(), f"rotated\x1f{made}".encode(), hashlib.sha256).hexdigest()[:digits]
    return made


def tombstone(keys: Sequence[str], type_: str, value: str, made_with: int) -> str:
    """The tombstone of an identifier that was forgotten when there were `made_with` keys."""
    return mac(keys, f"tombstone\x1fidentifier\x1f{type_}", mac(keys[:made_with], f"identifier\x1f{type_}", value))


def use(monkeypatch: pytest.MonkeyPatch, *keys: str) -> None:
    monkeypatch.setenv(VARIABLE, ":".join(keys))


def sources(world: World) -> None:
    """A source of calls with ids of their own or personal ones, one with two events a row, and a list."""
    identifiers = [
        {"type": "customer", "value": "customer"},
        {"type": "email", "value": "mail"},
        {"type": "phone", "value": "phone"},
    ]
    mapping = {
        "id": "id", "occurred_at": "moment", "activity": "activity", "identifiers": identifiers, "account": "account",
        "case_keys": {"parcel": "parcel", "order": "id"},
        "attributes": {"product": "product", "house": "parcel", "who": "mail"},
    }  # fmt: skip
    world.source("crm", defaults=mapping, not_personal=["id", "activity", "moment", "product"])
    world.source("visits", defaults=mapping | {"id": "mail || moment"}, not_personal=["activity", "moment"])
    twice = [{"activity": "'asked'"}, {"activity": "'told'", "identifiers": identifiers[:1]}]
    without_id = {key: value for key, value in mapping.items() if key not in ("id", "activity")}
    world.source("twice", defaults=without_id, events=twice, not_personal=["activity", "moment"])
    world.source("list", kind="reference", defaults={"identifiers": identifiers})


SOURCES = ("crm", "visits", "twice", "list")


def build(root: Path, monkeypatch: pytest.MonkeyPatch, *keys: str, only: Sequence[str] = SOURCES) -> World:
    """A lake, vault and decisions made with these keys from the start."""
    use(monkeypatch, *keys)
    (root / "landing").mkdir(parents=True)
    world = World(root)
    Lake(root / "lake").prepare()
    sources(world)
    for name in only:
        world.land(f"{name}.csv", HEAD + ROWS)
    if "crm" in only:
        world.land("crm_broken.csv", b"\xff\xfe broken")
    assert {file.outcome for file in world.night().files} <= {"used", "quarantined"}
    beside(world, keys)
    return world


def beside(world: World, keys: Sequence[str]) -> None:
    """What other parts of the software keep: evidence of linkage, tombstones, the vault, decisions, caches."""
    customer, mail = (
        mac(keys, f"identifier\x1f{t}", v) for t, v in (("customer", "C-77"), ("email", "jan@voorbeeld.nl"))
    )
    ledger, lake = world.root / "lake/ledger", world.root / "lake"
    (ledger / "linkage").mkdir()
    found = {"left_type": ["customer"], "left": [customer], "right_type": ["email"], "right": [mail], "weight": [9.5]}
    pq.write_table(pa.table(found), ledger / "linkage/000001.parquet")
    gone = tombstone([*keys], "customer", "C-00", 1)
    grave = {
        "kind": "identifier", "identifier_type": "customer", "tombstone": gone,
        "effective_before": datetime(2030, 1, 1, tzinfo=UTC), "receipt": "20240601T000000Z-1",
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([grave], TOMBSTONES_SCHEMA), ledger / "tombstones.parquet")
    shared = {"identifier_type": ["email"], "identifier": [mail], "how": ["shared"]}
    pq.write_table(pa.table(shared), ledger / "shared.parquet")
    (world.root / "vault").mkdir(mode=0o700)
    vault = world.root / "vault" / f"{world.ledger[0].path.name}.parquet"
    pq.write_table(pa.table({"record_type": ["customer"], "record": [customer], "last_name": ["Wilhelmina"]}), vault)
    vault.chmod(0o600)
    decision = {
        "number": 1, "decided_at": "2024-05-01T10:00:00+00:00", "verb": "forbid", "who": "é",
        "a": {"type": "customer", "identifier": customer}, "b": {"type": "email", "identifier": mail}, "why": "known",
    }  # fmt: skip
    block = decision | {"number": 2, "verb": "block", "b": None}
    lines = "".join(json.dumps(one) + "\n" for one in (decision, block))
    (world.root / "identity-decisions.jsonl").write_text(lines, "utf-8")
    for cache in ("state", "work/run"):
        (lake / cache).mkdir(parents=True)
        (lake / cache / "seen").write_text(customer)


def everything(root: Path) -> dict[str, Any]:
    """All that a project keeps: tables as rows in their order, but for how long reading took."""
    kept: dict[str, Any] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = str(path.relative_to(root))
        if name.startswith("landing/") or path.name == ".lock":
            continue
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            kept[name] = (table.schema, table.to_pylist())
        elif path.name == "file.json":
            kept[name] = json.loads(path.read_text()) | {"seconds": 0}
        elif path.suffix == ".jsonl":
            kept[name] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        else:
            kept[name] = path.read_bytes()
    return kept


def with_key_file(world: World, *keys: str) -> Project:
    """The project as one that has its keys in a file."""
    path = world.root / "pseudonym.key"
    path.write_text("\n".join(keys) + "\n")
    path.chmod(0o600)
    file = world.project.file.model_copy(update={"pseudonym_key": KeySource(file="pseudonym.key")})
    return world.project.model_copy(update={"file": file})


def partition(root: Path) -> set[frozenset[tuple[str, str]]]:
    """Which identifiers were seen together, over others too: by merging sets until none meet."""
    groups: list[set[tuple[str, str]]] = []
    for file in Ledger(root / "lake").files():
        for link in pq.read_table(file.links).to_pylist():
            mine = {(one["type"], one["identifier"]) for one in link["identifiers"]}
            met = [group for group in groups if group & mine]
            groups = [group for group in groups if not group & mine] + [set.union(mine, *met)]
    return {frozenset(group) for group in groups}


NIGHT = datetime(2024, 6, 2, 3, tzinfo=UTC)

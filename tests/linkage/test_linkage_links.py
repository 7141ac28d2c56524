"""Who is linked and who is not, on an administration of which we know the truth."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linkage_world import strangers, table

from klantspoor.errors import LinkageError, MissingExtraError
from klantspoor.linkage import LINKS, LinkageResult, LinkageSettings, find_links

PEOPLE = [person | {"record": f"a{number:04d}"} for number, person in enumerate(strangers(600))]


def again(number: int, **changed: Any) -> dict[str, Any]:
    """The person of that number a second time, with what changed."""
    return PEOPLE[number] | {"record": f"b{number:04d}"} | changed


DOUBLES = [
    again(0, first_name=PEOPLE[0]["first_name"][:-1] + "x"),
    again(1, last_name="Zonneveld", email=None),
    again(2, street="Nieuwe Gracht", house_number="9", postcode="1234 ZZ", city="Groningen"),
    again(3, phone=None, email=None, birth_date=None),
    again(4, first_name=PEOPLE[4]["last_name"], last_name=PEOPLE[4]["first_name"]),
    again(5, birth_date=PEOPLE[5]["birth_date"][:4]),
    again(8, email="info@example.com", phone=None),
]
# A sister, and a partner whose birth date nobody asked: what a household shares, they share.
HOUSEHOLD = [
    again(6, first_name="Zus", birth_date="1999-01-31", email="zus@example.org"),
    again(7, first_name="Zus", birth_date=None),
]


@pytest.fixture(scope="module")
def found() -> LinkageResult:
    return find_links(table([*PEOPLE, *DOUBLES, *HOUSEHOLD]))


def pairs(result: LinkageResult) -> set[tuple[str, str]]:
    return set(zip(result.links["left"].to_pylist(), result.links["right"].to_pylist(), strict=True))


def test_doubles_are_found_and_strangers_and_households_are_not(found: LinkageResult) -> None:
    assert pairs(found) == {(f"a{double['record'][1:]}", double["record"]) for double in DOUBLES}
    assert found.report.held_back == len(HOUSEHOLD)


def test_a_link_says_what_agreed_and_what_differed(found: LinkageResult) -> None:
    told = {row["right"]: (set(row["agreed"]), set(row["differed"])) for row in found.links.to_pylist()}
    house = {"street", "house_number", "postcode", "city"}
    everything = house | {"first_name", "last_name", "birth_date", "email", "phone"}
    assert told["b0001"] == (everything - {"last_name", "email"}, {"last_name"})
    assert told["b0002"] == (everything - house, house)
    assert told["b0003"] == (house | {"first_name", "last_name"}, set())
    assert told["b0004"] == (everything, set())
    assert told["b0008"] == (everything - {"email", "phone"}, {"email"})


def test_a_field_differs_whatever_else_is_missing() -> None:
    people = [person | {"last_name": None} for person in PEOPLE[:200]]
    result = find_links(table([*people, people[9] | {"record": "b0009", "first_name": "Zus"}]))
    [row] = result.links.to_pylist()
    assert (row["left"], row["right"], row["differed"]) == ("a0009", "b0009", ["first_name"])
    assert "last_name" not in row["agreed"]


def test_links_have_their_schema_order_and_weights(found: LinkageResult) -> None:
    assert found.links.schema == LINKS
    rows = found.links.to_pylist()
    assert [(row["left"], row["right"]) for row in rows] == sorted(pairs(found))
    for row in rows:
        assert row["left"] < row["right"]
        assert row["probability"] >= 0.99
        assert row["probability"] == pytest.approx(1 / (1 + 2 ** -row["weight"]))
    weight = {row["right"]: row["weight"] for row in rows}
    # Everything but a letter agrees; only names and the address do.
    assert weight["b0000"] > weight["b0003"]


def test_the_report_counts_and_shows_no_value(found: LinkageResult) -> None:
    report = found.report
    assert (report.records, report.links, report.warnings) == (len(PEOPLE) + 9, len(DOUBLES), ())
    assert report.compared <= sum(rule.pairs for rule in report.rules)
    assert {level.comparison for level in report.levels} == set(report.trained_on)
    for name in report.trained_on:
        assert sum(level.m for level in report.levels if level.comparison == name) == pytest.approx(1)
    equal = {level.comparison: level.weight for level in reversed(report.levels)}
    assert all(level.weight <= equal[level.comparison] + 1e-9 for level in report.levels)
    said = str(report).lower()
    values = {str(value).lower() for person in PEOPLE for value in person.values() if len(str(value)) > 4}
    assert not [value for value in values if value in said]


def test_neither_the_order_of_rows_nor_the_form_matters(found: LinkageResult, tmp_path: Path) -> None:
    people = [*PEOPLE, *DOUBLES, *HOUSEHOLD]
    random.Random(3).shuffle(people)
    shuffled = table(people)
    half = len(people) // 2
    for name, part in (("one", shuffled.slice(0, half)), ("two", shuffled.slice(half))):
        pq.write_table(part, tmp_path / f"{name}.parquet")
    again_found = find_links([tmp_path / "two.parquet", tmp_path / "one.parquet"], LinkageSettings(threads=2))
    assert again_found.links.equals(found.links)
    assert again_found.report == found.report


def test_families_do_not_teach_what_a_person_is() -> None:
    # Every second stranger moves in with the one before, shares all that a household shares, and was born another day.
    family = [dict(person) for person in PEOPLE]
    for host, guest in zip(family[::2], family[1::2], strict=True):
        guest |= {
            kind: host[kind] for kind in ("last_name", "street", "house_number", "postcode", "city", "phone", "email")
        }
        guest["first_name"] = "Eef"
    doubles = [family[n] | {"record": f"b{n:04d}", "phone": None, "email": None} for n in range(0, 20, 2)]
    result = find_links(table([*family, *doubles]))
    assert pairs(result) == {(f"a{n:04d}", f"b{n:04d}") for n in range(0, 20, 2)}
    assert result.report.held_back > 100
    [differs] = [
        level.m for level in result.report.levels if (level.comparison, level.level) == ("birth_date", "different")
    ]
    assert differs < 0.1


def test_a_full_name_alone_is_taken_apart() -> None:
    people = [
        {"record": p["record"], "full_name": f"{p['first_name']} {p['last_name']}", "birth_date": p["birth_date"]}
        for p in [*PEOPLE[:300], PEOPLE[5] | {"record": "b0005"}]
    ]
    result = find_links(table(people))
    assert pairs(result) == {("a0005", "b0005")}
    assert set(result.links["agreed"].to_pylist()[0]) == {"first_name", "last_name", "full_name", "birth_date"}


def test_nothing_is_said_and_nothing_is_left_behind(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    caplog.set_level(logging.NOTSET)
    find_links(table([*PEOPLE[:60], *DOUBLES]), LinkageSettings(scratch=tmp_path / "scratch"))
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_everybody_shares_proposes_no_pairs() -> None:
    bomb = [
        {"record": f"t{n:05d}", "first_name": "Test", "last_name": "Test", "email": "test@test.nl"} for n in range(5000)
    ]
    same = [{"record": f"s{n:05d}", "first_name": "Jan", "last_name": "Jansen", "city": "Ede"} for n in range(5000)]
    result = find_links(table([*bomb, *same, *PEOPLE[:50], *DOUBLES[:3]]))
    assert result.report.compared < 5000
    assert pairs(result) == {("a0000", "b0000"), ("a0001", "b0001"), ("a0002", "b0002")}
    left_out = {rule.rule: rule.left_out for rule in result.report.rules}
    assert left_out["email"] == left_out["email before the at"] + 5000 == 5000
    assert left_out["both names"] == 5000


def test_a_small_budget_keeps_the_surest_rules_and_says_so() -> None:
    result = find_links(table([*PEOPLE, *DOUBLES]), LinkageSettings(max_pairs=20))
    assert 0 < result.report.compared <= 20
    assert result.report.rules[0].pairs > 0
    assert any("budget" in warning for warning in result.report.warnings)


@pytest.mark.parametrize(
    ("people", "why"),
    [
        ([{"first_name": "Anna", "last_name": "Bos"}], "fewer than two"),
        ([{"email": "a@b.nl"}, {"email": "a@b.nl"}], "fewer than two"),
        ([{"first_name": "Anna", "city": "Ede"}, {"first_name": "Bart", "city": "Goes"}], "no two records"),
    ],
)
def test_where_there_is_nothing_to_compare_there_are_no_links(people: list[dict[str, Any]], why: str) -> None:
    result = find_links(table(people))
    assert result.links.num_rows == 0
    assert result.links.schema == LINKS
    assert why in result.report.warnings[0]


def test_without_anything_personal_nobody_is_linked() -> None:
    household = [{"record": p["record"], "email": p["email"], "phone": p["phone"]} for p in [*PEOPLE, *DOUBLES]]
    result = find_links(table(household))
    assert result.links.num_rows == 0
    assert "household" in result.report.warnings[0]


@pytest.mark.parametrize(
    ("records", "why"),
    [
        (pa.table({"first_name": ["Secretia"]}), "'record' is missing"),
        (pa.table({"record": ["Secretia"]}), "no field to compare"),
        (pa.table({"record": ["Secretia", "Secretia"], "city": ["Ede", "Ede"]}), "0 rows have none, 1 repeat one"),
        (pa.table({"record": ["Secretia", None], "city": ["Ede", "Ede"]}), "1 rows have none"),
        (pa.table({"record": ["Secretia"], "birth_date": pa.array([0], pa.date32())}), "birth_date: expected text"),
    ],
)
def test_what_is_no_table_of_records_is_refused_without_its_values(records: pa.Table, why: str) -> None:
    with pytest.raises(LinkageError, match=why) as refused:
        find_links(records)
    assert "Secretia" not in str(refused.value)


def test_a_failure_inside_tells_its_kind_and_no_value(tmp_path: Path) -> None:
    broken = tmp_path / "secretia.parquet"
    broken.write_bytes(b"no Parquet")
    with pytest.raises(LinkageError, match="failed in Splink or DuckDB") as refused:
        find_links([broken])
    assert "secretia" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "splink", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'klantspoor\[linkage\]'"):
        find_links(table(PEOPLE[:2]))


def test_importing_the_room_imports_no_splink() -> None:
    code = "import sys, klantspoor.linkage; print(any(n.split('.')[0] in {'splink', 'sqlglot'} for n in sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.strip() == "False"

"""A lake that was rotated is, to the last row, the lake that the longer chain of keys would have made from the start."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from klantspoor.errors import ConfigError, LakeError
from klantspoor.events.dedupe import load_raw, rank_copies
from klantspoor.intake import take_in
from klantspoor.lake import BusyError, Lake
from klantspoor.project.key import parse_keys
from klantspoor.rotation import key_state, rotate
from tests.rotation.rotation_world import (
    FIRST,
    HEAD,
    NIGHT,
    PLANTED,
    ROWS,
    SECOND,
    THIRD,
    build,
    everything,
    mac,
    partition,
    use,
    with_key_file,
)


def without_caches(kept: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in kept.items() if not name.startswith(("lake/state", "lake/work"))}


@pytest.mark.parametrize("layers", [(1, 2), (1, 3), (2, 3)])
def test_rotated_is_what_the_keys_would_have_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: tuple[int, int]
) -> None:
    chain = (FIRST, SECOND, THIRD)
    world = build(tmp_path / "rotated", monkeypatch, *chain[: layers[0]])
    before = everything(world.root)
    use(monkeypatch, *chain[: layers[1]])
    report = rotate(world.project)
    assert (report.outcome, report.files, report.keys) == ("rotated", 5, layers[1])
    fresh = build(tmp_path / "fresh", monkeypatch, *chain[: layers[1]])
    expected = without_caches(everything(fresh.root))
    assert everything(world.root) == expected
    assert set(expected) == set(without_caches(before))
    same = [value for name, value in expected.items() if before[name] == value]
    assert not re.search("[0-9a-f]{16}", repr(same))


def test_every_place_of_a_pseudonym_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    keys = (FIRST, SECOND)
    use(monkeypatch, *keys)
    rotate(world.project)
    crm = [file.record.file for file in world.ledger].index("crm.csv")
    one, two, *_ = world.events(crm)
    assert one["account_id"] == mac(keys, "account", "A-1", 16)
    assert one["key_parcel"] == mac(keys, "case\x1fparcel", "Kerkstraat", 16)
    assert one["source_event_id"] == "1"
    assert one["event_id"] == hashlib.sha256(b"crm\x1f1").hexdigest()[:24]
    assert json.loads(one["attributes"]) == {
        "product": "~not a pseudonym",
        "house": "~" + mac(keys, "attribute\x1fhouse", "Kerkstraat"),
        "who": "~" + mac(keys, "attribute\x1fwho", "jan@voorbeeld.nl"),
    }
    assert json.loads(two["attributes"])["product"] == 'say ":"~bbbbbbbbbbbbbbbbbbbbbbbb"'
    assert {(i["type"], i["identifier"]) for i in one["identifiers"]} == {
        ("customer", mac(keys, "identifier\x1fcustomer", "C-77")),
        ("email", mac(keys, "identifier\x1femail", "jan@voorbeeld.nl")),
    }
    (bad,) = world.quarantine(crm)
    assert [i["identifier"] for i in bad["identifiers"]] == [mac(keys, "identifier\x1fcustomer", "C-77")]
    visits = [file.record.file for file in world.ledger].index("visits.csv")
    visit = world.events(visits)[0]
    assert visit["source_event_id"] == "~" + mac(keys, "id", "jan@voorbeeld.nl2024-05-01 10:00:00")
    assert visit["event_id"] == hashlib.sha256(f"visits\x1f{visit['source_event_id']}".encode()).hexdigest()[:24]
    twice = [file.record.file for file in world.ledger].index("twice.csv")
    ids = [event["source_event_id"] for event in world.events(twice)]
    assert {text[0] + text[25:] for text in ids} == {"~#1", "~#2"}


def outcomes(world: Any) -> dict[int, dict[int, int]]:
    """Per file of the ledger, how many events lose, by outcome (1 superseded, 2 duplicate)."""
    connection = duckdb.connect()
    files = [file for file in world.ledger if pq.read_metadata(file.events).num_rows]
    listed = pa.table(
        {
            "sequence": [file.record.sequence for file in files],
            "source": [file.record.source for file in files],
            "events": [str(file.events) for file in files],
        }
    )
    load_raw(connection, listed, ["order", "parcel"])
    connection.execute("CREATE VIEW copies AS SELECT * FROM raw")
    rank_copies(connection)
    lost: dict[int, dict[int, int]] = {}
    for sequence, outcome, rows in connection.execute(
        "SELECT sequence, outcome, count(*) FROM new_losers GROUP BY ALL"
    ).fetchall():
        lost.setdefault(sequence, {})[outcome] = rows
    return lost


def test_what_is_delivered_again_is_a_duplicate_and_what_changed_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    rotate(world.project)
    assert outcomes(world) == {}
    later = datetime(2024, 6, 1, tzinfo=UTC)
    for name in ("crm", "visits", "twice"):
        world.land(f"{name}_again.csv", HEAD + ROWS + "8,2024-05-09 10:00:00,call,C-1,,,,,\n", later)
    world.land("crm_corrected.csv", HEAD + ROWS.splitlines()[0].replace("call", "letter") + "\n", NIGHT)
    world.night(NIGHT)
    numbers = {file.record.file: file.record.sequence for file in world.ledger}
    # Row 5 of the visits has no mail address, so no id: the whole row is its id, as it is where there never is one.
    assert outcomes(world) == {
        numbers["crm.csv"]: {1: 1},
        numbers["crm_again.csv"]: {1: 1, 2: 5},
        numbers["visits_again.csv"]: {2: 6},
        numbers["twice_again.csv"]: {2: 12},
    }


def test_persons_are_the_same_and_decisions_are_about_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    before = partition(world.root)
    use(monkeypatch, FIRST, SECOND)
    rotate(world.project)

    def on(pseudonym: str) -> str:
        return mac([SECOND], "rotated", pseudonym)

    assert len(before) == 3
    assert partition(world.root) == {frozenset((type_, on(value)) for type_, value in group) for group in before}
    decision, block = (json.loads(line) for line in (world.root / "identity-decisions.jsonl").read_text().splitlines())
    forbidden = {(side["type"], side["identifier"]) for side in (decision["a"], decision["b"])}
    assert [forbidden <= group for group in partition(world.root)].count(True) == 1
    assert (block["a"], block["b"], block["who"]) == (decision["a"], None, "é")


def test_rows_that_come_after_belong_to_the_same_persons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    rotate(world.project)
    persons = partition(world.root)
    world.land("crm_new.csv", HEAD + "9,2024-05-20 10:00:00,call,C-77,,,,,\n", NIGHT)
    world.night(NIGHT)
    assert partition(world.root) == persons


def test_the_forgotten_do_not_come_back_after_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)  # customer C-00 was forgotten with the first key
    for keys in ((FIRST, SECOND), (FIRST, SECOND, THIRD)):
        use(monkeypatch, *keys)
        rotate(world.project)
        world.land(f"crm_{len(keys)}.csv", HEAD + f"9{len(keys)},2024-05-20 10:00:00,call,C-00,,,,,\n", NIGHT)
        world.night(NIGHT)
        record = world.ledger[-1].record
        assert (record.rows_read, record.rows_erased, record.events_made) == (1, 1, 0)


def test_modes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    rotate(with_key_file(world, FIRST))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (world.root / "vault").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((world.root / "pseudonym.key").stat().st_mode) == 0o600


def test_a_key_file_gets_a_further_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    project = with_key_file(world, FIRST)
    assert rotate(project).keys == 2
    assert rotate(project).keys == 3
    keys = (world.root / "pseudonym.key").read_text().split("\n")
    assert (keys[0], len(keys[1]), len(keys[2]), keys[3:]) == (FIRST, 64, 64, [""])
    crm = [file.record.file for file in world.ledger].index("crm.csv")
    assert world.events(crm)[0]["account_id"] == mac(keys[:3], "account", "A-1", 16)
    state = key_state(project)
    assert (state.place, state.keys, state.files) == ("the file pseudonym.key (mode 0600)", 3, 5)


def test_a_key_from_the_environment_is_set_before_the_lake_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    before = everything(world.root)
    report = rotate(world.project)
    assert (report.outcome, report.keys) == ("key_made", 2)
    assert report.key_file == world.root / "pseudonym.key.new"
    assert stat.S_IMODE(report.key_file.stat().st_mode) == 0o600
    made = report.key_file.read_bytes()
    assert rotate(world.project).key_file == report.key_file
    assert report.key_file.read_bytes() == made
    assert everything(world.root) == before | {"pseudonym.key.new": made}
    world.night(NIGHT)  # nights go on with the old key until the variable is set
    monkeypatch.setenv("KLANTSPOOR_TEST_KEY", made.decode().strip())
    with pytest.raises(ConfigError, match=r"there are 2 keys, and the lake was made with the first 1.*key rotate"):
        world.night(NIGHT)
    assert rotate(world.project).outcome == "rotated"
    world.night(NIGHT)
    report.key_file.unlink()
    assert rotate(world.project).keys == 3


def test_a_file_of_other_keys_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    (world.root / "pseudonym.key.new").write_text(f"{SECOND}\n{THIRD}\n")
    with pytest.raises(ConfigError, match="exists already, and holds other keys"):
        rotate(world.project)
    assert (world.root / "pseudonym.key.new").read_text() == f"{SECOND}\n{THIRD}\n"


@pytest.mark.parametrize(
    "keys", [(FIRST,), (SECOND, FIRST), ("another key of many bytes",), (FIRST, THIRD), (FIRST, SECOND, THIRD)]
)
def test_other_keys_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...]) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    rotate(world.project)
    use(monkeypatch, *keys)
    calls: list[Callable[[], object]] = [world.night, lambda: key_state(world.project)]
    if len(keys) < 3:
        calls.append(lambda: rotate(world.project))
    for call in calls:
        with pytest.raises(ConfigError, match=r"pseudonym_key: (the key is another|there are 3 keys)") as caught:
            call()
        assert not any(key in str(caught.value) for key in (FIRST, SECOND, THIRD, *keys))


def test_nothing_read_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.intake.intake_world import World

    use(monkeypatch, FIRST)
    with pytest.raises(LakeError, match="Nothing was read into this lake yet"):
        rotate(World(tmp_path).project)
    assert list(tmp_path.iterdir()) == []


def test_a_writer_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    with Lake(world.root / "lake").open_run("night", NIGHT), pytest.raises(BusyError, match="night"):
        rotate(world.project)


@pytest.mark.parametrize("where", ["ledger/unheard_of.parquet", "ledger/{folder}/unheard_of.parquet"])
def test_files_of_unknown_content_stop_it_before_anything_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    (world.root / "lake" / where.format(folder=world.ledger[-1].path.name)).write_bytes(b"PAR1")
    before = of_ledger(world.root)
    project = with_key_file(world, FIRST)
    with pytest.raises(LakeError, match=r"unheard_of\.parquet"):
        rotate(project)
    take_in(project, world.root / "lake", NIGHT)  # the next night goes on, and sweeps what was written aside
    assert of_ledger(world.root) == before


def test_not_while_a_person_is_being_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    (world.root / "lake/ledger/forgetting").mkdir()
    use(monkeypatch, FIRST, SECOND)
    with pytest.raises(LakeError, match="a person is being forgotten"):
        rotate(world.project)


def of_ledger(root: Path) -> dict[str, bytes]:
    """The bytes of every file of the ledger."""
    return {str(path): path.read_bytes() for path in (root / "lake/ledger").rglob("*") if path.is_file()}


def damage_linkage(root: Path) -> None:
    path = root / "lake/ledger/linkage/000001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "left", pa.array(["customer:" + table["left"][0].as_py()])), path)


def damage_vault(root: Path) -> None:
    (path,) = (root / "vault").iterdir()
    pq.write_table(pq.read_table(path).drop_columns(["record"]), path)


def damage_links(root: Path) -> None:
    for path in (root / "lake/ledger").glob("*/links.parquet"):
        pq.write_table(pq.read_table(path).slice(1), path)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (damage_linkage, "something else where a pseudonym is expected"),
        (damage_vault, "has no column 'record'"),
        (damage_links, "name identifiers that its links lack"),
    ],
)
def test_a_damaged_lake_is_not_rotated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None], says: str
) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    damage(world.root)
    before = of_ledger(world.root)
    use(monkeypatch, FIRST, SECOND)
    with pytest.raises(LakeError, match=says) as caught:
        rotate(world.project)
    assert not any(value in str(caught.value) for value in PLANTED)
    use(monkeypatch, FIRST)
    world.night(NIGHT)
    assert of_ledger(world.root) == before


def test_damaged_decisions_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    (world.root / "identity-decisions.jsonl").write_text('{"a": "Wilhelmina"}\n')
    use(monkeypatch, FIRST, SECOND)
    with pytest.raises(LakeError, match="no decision") as caught:
        rotate(world.project)
    assert "Wilhelmina" not in str(caught.value)
    use(monkeypatch, FIRST)
    world.night(NIGHT)


def test_no_key_and_no_raw_value_is_in_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path, monkeypatch, FIRST)
    use(monkeypatch, FIRST, SECOND)
    said: list[str] = []
    rotate(world.project, progress=said.append)
    kept = b"".join(path.read_bytes() for path in (world.root / "lake").rglob("*") if path.is_file())
    kept += repr([value for name, value in everything(world.root).items() if name.startswith("lake/")]).encode()
    old = mac([FIRST], "identifier\x1fcustomer", "C-77")
    for secret in (*PLANTED, FIRST, SECOND, old):
        assert secret.encode() not in kept
        assert secret not in "".join(said)
    assert len(said) == 5
    assert parse_keys(f"{FIRST}:{SECOND}".encode()).chain == (FIRST.encode(), SECOND.encode())

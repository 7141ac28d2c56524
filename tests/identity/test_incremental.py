"""A night that goes on from the ones before finds what a night finds that begins anew."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nights_world import File, Row, from_nothing, land, link, night, pseudonym, state

from klantspoor.errors import LakeError
from klantspoor.identity import carried, memory
from klantspoor.identity.columns import Columns
from klantspoor.identity.decisions import DecisionError, Identifier, append
from klantspoor.identity.evidence import Evidence

KINDS = ("login", "mail", "phone", "cookie")
EXAMPLES = int(os.environ.get("KLANTSPOOR_EXAMPLES", "300")) // 12
PLAIN: dict[str, Any] = {"login": {"priority": 1}, "mail": {"priority": 2}, "phone": {"priority": 3}}
HUBS: dict[str, Any] = PLAIN | {"phone": {"priority": 3, "at_most": {"login": 2}}}
NAMES = [f"{kind}:{n}" for kind in KINDS for n in range(5)]


@st.composite
def types(draw: st.DrawFn) -> dict[str, Any]:
    limit = st.builds(
        lambda most, within: {"most": most, "within": within}, st.integers(1, 2), st.sampled_from([None, "2 days"])
    )
    made: dict[str, Any] = {}
    for number, kind in enumerate(KINDS, start=1):
        others = st.sampled_from([other for other in KINDS if other != kind])
        made[kind] = {
            "priority": number,
            "one_per_person": draw(st.integers(0, 3)) == 0,
            "at_most": draw(st.dictionaries(others, limit, max_size=1)) if draw(st.booleans()) else {},
            "at_most_persons": draw(st.one_of(st.none(), limit)),
            "when_shared": draw(st.sampled_from(["nobody", "split"])),
            "between": draw(st.sampled_from(["nobody", "next", "previous"])),
            "same_topic_within": draw(st.sampled_from([None, "3 days"])),
        }
    return made


ONE = st.sampled_from(NAMES)
SEEN = st.one_of(
    *[ONE] * 12, st.builds(lambda name, guard: f"{name}!{guard}", ONE, st.sampled_from(["blocked", "staff"]))
)
ROWS = st.lists(
    st.builds(
        lambda members, first, longer: Row(tuple(members), first, first + longer),
        st.lists(SEEN, min_size=1, max_size=3),
        st.integers(0, 8),
        st.integers(0, 2),
    ),
    max_size=5,
)
FILES = st.lists(st.builds(File, st.sampled_from(["web", "crm", "shop"]), ROWS, st.booleans()), max_size=2)
PAIR = st.tuples(ONE, ONE).filter(lambda pair: pair[0] != pair[1])


def lose(root: Path, number: int) -> None:
    if state(root).exists():
        shutil.rmtree(state(root).parent)


def cut_short(root: Path, number: int) -> None:
    """The end of some file is gone."""
    with some_file(root, number).open("r+b") as file:
        file.truncate(max(file.seek(0, 2) - 1, 0))


def spoil(root: Path, number: int) -> None:
    """A byte of some file is another one."""
    path = some_file(root, number)
    content = bytearray(path.read_bytes())
    if content:
        content[number % len(content)] ^= 255
        path.write_bytes(bytes(content))


def break_off(root: Path, number: int) -> None:
    """A night that wrote columns and then ended: rows behind those that count, files that nothing names."""
    for path in sorted(state(root).glob("*.bin")):
        with path.open("ab") as file:
            file.write(b"\x07" * (number % 50))
    if state(root).exists():
        (state(root) / "person.c.bin").write_bytes(b"\x01")


def some_file(root: Path, number: int) -> Path:
    files = sorted(state(root).glob("*")) if state(root).exists() else []
    spare = root / "none"
    spare.touch()
    return files[number % len(files)] if files else spare


def decide(root: Path, number: int) -> None:
    kinds = ("force", "forbid", "block")
    verb = kinds[number % 3]
    a, b = NAMES[number % 20], NAMES[(number * 7 + 3) % 20]
    one, other = (Identifier(name.partition(":")[0], pseudonym(name)) for name in (a, b))
    try:
        append(root, verb, one, None if verb == "block" else other, "me", "so it is")
    except DecisionError:
        return


def run_linkage(root: Path, number: int) -> None:
    link(
        root, [(NAMES[number % 20], NAMES[(number + 6) % 20], 5.0), (NAMES[(number + 1) % 20], NAMES[number % 20], 7.5)]
    )


Change = Callable[[Path, int], None]
CHANGES: list[Change | None] = [None, None, None, lose, cut_short, spoil, break_off, decide, run_linkage]
NIGHTS = st.lists(st.tuples(FILES, st.sampled_from(CHANGES), st.integers(0, 10**6)), min_size=1, max_size=5)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(types(), types(), st.integers(2, 6), st.lists(PAIR, max_size=3), NIGHTS)
def test_every_night_finds_what_one_from_nothing_finds(
    one: dict[str, Any], other: dict[str, Any], until: int, pairs: list[tuple[str, str]], nights: list[Any]
) -> None:
    """Hypothesis draws the nights; from night `until` on the types are others."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        link(root, [(*pair, 1.0) for pair in pairs])
        decide(root, len(nights) * 3 + until)
        for number, (files, change, drawn) in enumerate(nights, start=1):
            for file in files:
                land(root, file)
            if change is not None:
                change(root, drawn)
            now = one if number < until else other
            assert night(root, now) == from_nothing(root, now)


def resolved(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many identifiers the kernel was given, call by call."""
    given_: list[int] = []
    assign = carried.assign

    def noted(evidence: Evidence, types: Any) -> Any:
        given_.append(evidence.nodes)
        return assign(evidence, types)

    monkeypatch.setattr(carried, "assign", noted)
    return given_


def test_only_what_is_touched_is_resolved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [Row((f"login:{n}", f"mail:{n}")) for n in range(30)]
    land(tmp_path, File("crm", people))
    night(tmp_path, PLAIN)
    land(tmp_path, File("crm", [Row(("mail:3", "phone:3")), Row(("login:99",)), Row(("mail:7", "mail:8"))]))
    given_ = resolved(monkeypatch)
    report, _ = night(tmp_path, PLAIN)
    assert given_ == [8]  # login, mail and phone of 3; login 99; login and mail of 7 and of 8
    assert (report.identifiers, report.persons) == (62, 30)
    land(tmp_path, File("crm", []))
    night(tmp_path, PLAIN)
    night(tmp_path, PLAIN)
    assert given_ == [8, 0, 0]


def test_a_shared_telephone_is_counted_without_all_who_share_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its count grows to what a night from nothing counts, and those who share it stay as they are."""
    land(tmp_path, File("crm", [Row((f"login:{n}", "phone:office")) for n in range(30)]))
    night(tmp_path, HUBS)
    land(tmp_path, File("crm", [Row(("login:30", "phone:office")), Row(("login:2", "phone:office", "mail:2"))]))
    given_ = resolved(monkeypatch)
    _, found = night(tmp_path, HUBS)
    assert given_ == [4]  # login 30, login and mail of 2, and the telephone
    [audited] = found["identity_audit"]
    assert "seen with 31 identifiers of type login, at most 2" in audited
    assert found == from_nothing(tmp_path, HUBS)[1]


def test_what_grew_by_more_than_a_part_is_put_in_order_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "GROWTH", 2)
    given_ = resolved(monkeypatch)
    for number in range(8):
        land(tmp_path, File("crm", [Row((f"login:{number}", f"mail:{number}"))]))
        assert night(tmp_path, PLAIN) == from_nothing(tmp_path, PLAIN)
    # The first night reads one person at once. The third after that finds two added to one, and begins anew; and so on.
    ours = given_[::2]
    assert ours == [2, 2, 6, 2, 2, 12, 2, 2]


def test_an_identifier_that_becomes_guarded_is_told_from_the_beginning(tmp_path: Path) -> None:
    land(tmp_path, File("crm", [Row(("login:a", "mail:m")), Row(("login:b", "mail:m"))]))
    report, _ = night(tmp_path, PLAIN)
    assert report.persons == 1
    land(tmp_path, File("crm", [Row(("mail:m!staff",))]))
    report, found = night(tmp_path, PLAIN)
    assert (report.persons, report.guarded) == (2, 1)
    assert found == from_nothing(tmp_path, PLAIN)[1]


def test_a_night_that_broke_off_while_it_remembered_is_no_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    land(tmp_path, File("crm", [Row(("login:a", "mail:m"))]))
    night(tmp_path, PLAIN)
    land(tmp_path, File("crm", [Row(("login:b", "mail:n"))]))

    def full(self: Columns, about: dict[str, Any]) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Columns, "commit", full)
        with pytest.raises(OSError, match="no space"):
            night(tmp_path, PLAIN)
    land(tmp_path, File("crm", [Row(("login:c", "mail:m"))]))
    given_ = resolved(monkeypatch)
    found = night(tmp_path, PLAIN)
    assert given_ == [5]
    assert found == from_nothing(tmp_path, PLAIN)


def test_sets_that_share_a_number_over_nights_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    land(tmp_path, File("crm", [Row(("login:a", "mail:m"))]))
    night(tmp_path, PLAIN)
    monkeypatch.setattr("nights_world.repr", lambda _: str(["login:a", "mail:m"]), raising=False)
    land(tmp_path, File("crm", [Row(("login:b", "mail:m"))]))
    with pytest.raises(LakeError, match="share their number"):
        night(tmp_path, PLAIN)


def test_more_sources_than_a_word_has_bits(tmp_path: Path) -> None:
    for number in range(66):
        land(tmp_path, File(f"s{number:02d}", [Row(("login:a", f"mail:{number}"))]))
        if number in (0, 40, 63, 64):
            night(tmp_path, PLAIN)
    _, found = night(tmp_path, PLAIN)
    [told] = [row[-1] for row in found["identities"] if pseudonym("login:a") in row]
    assert told == "132 rows of " + ", ".join(f"s{number:02d}" for number in range(66))


def test_columns_keep_rows_and_say_when_they_are_damaged(tmp_path: Path) -> None:
    columns = Columns(tmp_path / "c")
    columns.append("a", np.arange(3, dtype=np.int32))
    columns.append("wide", np.ones((2, 2), np.uint64))
    columns.replace("b", np.array([b"x", b"yy"]))
    columns.commit({"night": 1})
    columns = Columns(tmp_path / "c")
    columns.append("a", np.array([7]))
    columns.replace("b", np.array([b"z"]))
    assert Columns(tmp_path / "c").read("a").tolist() == [0, 1, 2]
    assert Columns(tmp_path / "c").read("b").tolist() == [b"x", b"yy"]
    columns.commit({"night": 2})
    again = Columns(tmp_path / "c")
    assert again.about == {"night": 2}
    assert again.read("a").tolist() == [0, 1, 2, 7]
    assert again.read("b").tolist() == [b"z"]
    assert again.read("wide").tolist() == [[1, 1], [1, 1]]
    (tmp_path / "c" / "a.bin").write_bytes(b"\x00" * 16)
    assert Columns(tmp_path / "c").about == {}

"""The file of stewards' decisions: what it keeps, what it refuses, what stands."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klantspoor.errors import ConfigError
from klantspoor.identity.decisions import (
    FILE,
    Decision,
    DecisionError,
    Identifier,
    append,
    contradictions,
    in_force,
    read_decisions,
)

MOMENT = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)


def known(name: str) -> Identifier:
    return Identifier("login", sha256(name.encode()).hexdigest()[:24])


A, B, C, D = (known(name) for name in "abcd")


def decide(folder: Path, verb: str, a: Identifier, b: Identifier | None = None, **more: Any) -> Decision:
    return append(folder, verb, a, b, **{"who": "anna", "why": "seen the papers", "decided_at": MOMENT, **more})


def numbered(*told: tuple[str, Identifier, Identifier | None]) -> list[Decision]:
    return [Decision(n, MOMENT, verb, a, b, "anna", "so") for n, (verb, a, b) in enumerate(told, start=1)]


def test_no_file_is_no_decision(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == []


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    first = decide(tmp_path, "force", A, B)
    second = decide(tmp_path, "block", C, why='the “front desk”\u200b "tablet"', decided_at=MOMENT + timedelta(hours=1))
    assert read_decisions(tmp_path) == [first, second]
    assert [one.number for one in (first, second)] == [1, 2]
    lines = (tmp_path / FILE).read_text(encoding="ascii").splitlines()
    assert json.loads(lines[0]) == {
        "number": 1, "decided_at": "2026-11-25T09:30:00+00:00", "verb": "force",
        "a": {"type": "login", "identifier": A.identifier}, "b": {"type": "login", "identifier": B.identifier},
        "who": "anna", "why": "seen the papers",
    }  # fmt: skip


def test_only_the_owner_may_read_it_and_earlier_lines_stay_as_they_are(tmp_path: Path) -> None:
    decide(tmp_path, "force", A, B)
    path = tmp_path / FILE
    assert path.stat().st_mode & 0o777 == 0o600
    spaced = path.read_text(encoding="ascii").replace('"number": 1', '"number":   1')
    path.write_text(spaced, encoding="ascii")
    path.chmod(0o644)
    decide(tmp_path, "force", C, D)
    assert path.read_text(encoding="ascii").startswith(spaced)
    assert path.stat().st_mode & 0o777 == 0o600


def test_instants_are_kept_in_utc(tmp_path: Path) -> None:
    decide(tmp_path, "force", A, B, decided_at=datetime(2026, 11, 25, 10, 30, tzinfo=timezone(timedelta(hours=1))))
    assert read_decisions(tmp_path)[0].decided_at == MOMENT


GOOD = {
    "number": 1, "decided_at": "2026-11-25T09:30:00+00:00", "verb": "force", "a": {"type": "login", "identifier": "a" * 24},
    "b": {"type": "login", "identifier": "b" * 24}, "who": "anna", "why": "so",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "where", "expected"),
    [
        ({"number": 0}, "number", "a whole number, 1 or more"),
        ({"number": True}, "number", "a whole number"),
        ({"decided_at": "2026-11-25T09:30:00"}, "decided_at", "an instant in UTC"),
        ({"decided_at": "2026-11-25T09:30:00+01:00"}, "decided_at", "an instant in UTC"),
        ({"decided_at": 7}, "decided_at", "an instant in UTC"),
        ({"verb": "join"}, "verb", "one of force, forbid, block, withdraw"),
        ({"verb": ["force"]}, "verb", "one of force, forbid, block, withdraw"),
        ({"a": None}, "a", "an identifier"),
        ({"a": {"type": "login", "identifier": "jan@example.org"}}, "a", "24 hexadecimal digits"),
        ({"a": {"type": "Login!", "identifier": "a" * 24}}, "a", "an identifier"),
        ({"b": {"type": "login"}}, "b", "an identifier"),
        ({"b": None}, "b", "an identifier: force is about two"),
        ({"verb": "block"}, "b", "null: block is about one"),
        ({"b": {"type": "login", "identifier": "a" * 24}}, "b", "another identifier than a"),
        ({"who": " "}, "who", "one line of text"),
        ({"why": "two\nlines"}, "why", "one line of text"),
        ({"why": "\ud800"}, "why", "one line of text"),
        ({"why": "x" * 501}, "why", "at most 500"),
        ({"more": 1}, "", "a JSON object with the keys"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, change: dict[str, Any], where: str, expected: str) -> None:
    lines = [json.dumps(GOOD), json.dumps({**GOOD, "number": 2} | change)]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n", encoding="ascii")
    with pytest.raises(ConfigError) as caught:
        read_decisions(tmp_path)
    [problem] = caught.value.problems
    assert (problem.file, problem.line, problem.where) == (FILE, 2, where)
    assert expected.replace("1 or more", "2 or more") in str(problem.expected)
    assert "jan@example.org" not in str(problem)


@pytest.mark.parametrize("line", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"7"])
def test_a_line_that_is_no_object_is_named(tmp_path: Path, line: bytes) -> None:
    (tmp_path / FILE).write_bytes(line + b"\n")
    with pytest.raises(ConfigError) as caught:
        read_decisions(tmp_path)
    assert [(p.file, p.line) for p in caught.value.problems] == [(FILE, 1)]


def test_all_damaged_lines_are_named_at_once_and_a_gap_is_none(tmp_path: Path) -> None:
    lines = [
        json.dumps({**GOOD, "number": 3}),
        "{",
        json.dumps({**GOOD, "number": 3}),
        json.dumps({**GOOD, "number": 9}),
    ]
    (tmp_path / FILE).write_text("\n".join(lines) + "\n" + "{", encoding="ascii")
    with pytest.raises(ConfigError) as caught:
        read_decisions(tmp_path)
    assert sorted(p.line or 0 for p in caught.value.problems) == [2, 3, 5]


def test_a_line_cut_off_keeps_others_from_being_added(tmp_path: Path) -> None:
    decide(tmp_path, "force", A, B)
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"number": 2, "deci')
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(ConfigError, match="is cut off"):
        decide(tmp_path, "force", C, D)
    assert (tmp_path / FILE).read_bytes() == before


def test_what_is_not_as_it_should_be_is_not_added(tmp_path: Path) -> None:
    decide(tmp_path, "force", A, B)
    before = (tmp_path / FILE).read_bytes()
    for verb, b, more in (("join", C, {}), ("force", None, {}), ("force", C, {"why": "a\nb"}), ("block", B, {})):
        with pytest.raises(ConfigError, match="nothing was written"):
            decide(tmp_path, verb, A, b, **more)
    assert (tmp_path / FILE).read_bytes() == before


def test_a_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("", encoding="ascii")
    (tmp_path / FILE).symlink_to(tmp_path / "other")
    with pytest.raises(OSError):
        decide(tmp_path, "force", A, B)
    assert (tmp_path / "other").read_text(encoding="ascii") == ""


def test_two_who_decide_at_once_get_each_a_line(tmp_path: Path) -> None:
    pairs = [(known(f"l{n}"), known(f"r{n}")) for n in range(24)]
    threads = [threading.Thread(target=decide, args=(tmp_path, "force", *pair)) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read_decisions(tmp_path)
    assert [one.number for one in found] == list(range(1, 25))
    assert {one.about for one in found} == {frozenset(pair) for pair in pairs}


# --- what stands -----------------------------------------------------------------------------------------------------


def test_the_latest_about_a_pair_stands_in_whatever_order_it_names_it() -> None:
    told = numbered(("force", A, B), ("forbid", B, A), ("force", C, D), ("withdraw", D, C), ("block", A, None))
    assert [one.number for one in in_force(told)] == [2, 5]


def test_a_block_and_a_pair_are_withdrawn_apart() -> None:
    told = numbered(("block", A, None), ("force", C, D), ("withdraw", A, None))
    assert [one.number for one in in_force(told)] == [2]
    again = [*told, Decision(4, MOMENT, "block", A, None, "anna", "so")]
    assert [one.number for one in in_force(again)] == [2, 4]


def test_forced_over_another_and_forbidden_is_a_contradiction() -> None:
    told = numbered(("force", A, B), ("force", C, B), ("force", C, D), ("forbid", A, C))
    [found] = contradictions(told)
    assert [one.number for one in found.decisions] == [1, 2, 4]
    assert contradictions(told[1:]) == []


def test_blocked_and_forced_is_a_contradiction() -> None:
    told = numbered(("force", A, B), ("block", B, None), ("block", C, None), ("forbid", A, C))
    [found] = contradictions(told)
    assert [one.number for one in found.decisions] == [1, 2]


def test_a_contradiction_is_refused_and_named(tmp_path: Path) -> None:
    decide(tmp_path, "force", A, B)
    decide(tmp_path, "force", B, C)
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(DecisionError) as caught:
        decide(tmp_path, "forbid", A, C)
    assert all(
        told in str(caught.value) for told in ("1 (force, 2026-11-25, by anna: seen the papers)", "2 (force", "3")
    )
    assert (tmp_path / FILE).read_bytes() == before
    decide(tmp_path, "withdraw", C, B)
    assert decide(tmp_path, "forbid", A, C).number == 4
    with pytest.raises(DecisionError, match="forbidden"):
        decide(tmp_path, "force", B, C)


def test_saying_it_twice_and_withdrawing_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="none to withdraw"):
        decide(tmp_path, "withdraw", A, B)
    decide(tmp_path, "block", A)
    with pytest.raises(DecisionError, match="Decision 1 says so already"):
        decide(tmp_path, "block", A)
    decide(tmp_path, "withdraw", A)
    with pytest.raises(DecisionError, match="none to withdraw"):
        decide(tmp_path, "withdraw", A)


def test_an_opposite_decision_replaces_the_one_before(tmp_path: Path) -> None:
    decide(tmp_path, "forbid", A, B)
    decide(tmp_path, "force", B, A)
    assert [(one.number, one.verb) for one in in_force(read_decisions(tmp_path))] == [(2, "force")]


TOLD = st.lists(
    st.tuples(st.sampled_from(["force", "forbid", "block", "withdraw"]), st.integers(0, 4), st.integers(0, 4)).filter(
        lambda told: told[1] != told[2]
    ),
    max_size=14,
)


@given(TOLD)
def test_contradictions_are_those_of_groups_joined_by_hand(told: list[tuple[str, int, int]]) -> None:
    standing: dict[object, tuple[str, set[int]]] = {}
    decisions = []
    for number, (verb, a, b) in enumerate(told, start=1):
        alone = verb == "block" or (verb == "withdraw" and number % 2 == 0)
        standing[a if alone else frozenset((a, b))] = (verb, {a} if alone else {a, b})
        decisions.append(Decision(number, MOMENT, verb, known(str(a)), None if alone else known(str(b)), "anna", "so"))
    groups = [{n} for n in range(5)]
    for verb, about in standing.values():
        if verb == "force":
            touched = [group for group in groups if group & about]
            groups = [group for group in groups if not group & about] + [set().union(*touched)]
    forbidden = sum(verb == "forbid" and any(about <= group for group in groups) for verb, about in standing.values())
    blocked = sum(
        verb == "block" and any(v == "force" and about & pair for v, pair in standing.values())
        for verb, about in standing.values()
    )
    found = contradictions(in_force(decisions))
    assert len(found) == forbidden + blocked
    for one in found:
        if one.decisions[-1].verb == "forbid":
            # A way from one of the forbidden two to the other, each step sharing an identifier with the next.
            *way, last = one.decisions
            assert all(step.about & after.about for step, after in pairwise(way))
            assert last.about <= frozenset().union(*(step.about for step in way))

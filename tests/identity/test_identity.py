"""Who is who: links, guards, ids, against hand-counted cases and a naive union-find."""

from __future__ import annotations

import tempfile
from itertools import permutations
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_world import Link, parts, persons

PLAIN: dict[str, Any] = {"login": {"priority": 1}, "mail": {"priority": 2}, "phone": {"priority": 3}}


def test_what_is_seen_together_is_one_person(tmp_path: Path) -> None:
    held, audit = persons(tmp_path, PLAIN, [[["login:a", "mail:m"], ["mail:m", "phone:p"]], [["login:b"]]])
    assert parts(held) == {frozenset({"login:a", "mail:m", "phone:p"}), frozenset({"login:b"})}
    assert audit == []


def test_a_blocked_identifier_is_nobodys(tmp_path: Path) -> None:
    held, audit = persons(tmp_path, PLAIN, [[["login:a", "!mail:test"], ["login:b", "!mail:test"]]])
    assert parts(held) == {frozenset({"login:a"}), frozenset({"login:b"})}
    assert [row[:2] for row in audit] == [("blocked", "mail:test")]


def test_a_shared_telephone_merges_nobody_and_is_nobodys(tmp_path: Path) -> None:
    types = PLAIN | {"phone": {"priority": 3, "at_most": {"login": 1}}}
    held, audit = persons(tmp_path, types, [[["login:a", "phone:p"], ["login:b", "phone:p"], ["phone:p"]]])
    assert parts(held) == {frozenset({"login:a"}), frozenset({"login:b"})}
    assert audit == [("at_most", "phone:p", "seen with 2 identifiers of type login, at most 1")]


def test_a_limit_is_not_passed_at_the_limit(tmp_path: Path) -> None:
    types = PLAIN | {"phone": {"priority": 3, "at_most": {"login": 2}}}
    held, audit = persons(tmp_path, types, [[["login:a", "phone:p"], ["login:b", "phone:p"]]])
    assert parts(held) == {frozenset({"login:a", "login:b", "phone:p"})}
    assert audit == []


def test_a_limit_on_persons_sees_through_other_identifiers(tmp_path: Path) -> None:
    """One logs in, the other leaves an e-mail address that is elsewhere known to be another login's."""
    types = PLAIN | {"cookie": {"priority": 4, "at_most_persons": 1}}
    files: list[list[Link]] = [
        [["login:a", "mail:a"], ["login:b", "mail:b"]],
        [["login:a", "cookie:c"], ["mail:b", "cookie:c"], ["login:a", "cookie:own"]],
    ]
    held, audit = persons(tmp_path, types, files)
    assert parts(held) == {frozenset({"login:a", "mail:a", "cookie:own"}), frozenset({"login:b", "mail:b"})}
    assert audit == [("at_most_persons", "cookie:c", "seen with 2 persons, at most 1")]


def test_two_identifiers_of_one_person_are_one_person_to_the_limit(tmp_path: Path) -> None:
    types = PLAIN | {"cookie": {"priority": 4, "at_most_persons": 1}}
    held, _ = persons(tmp_path, types, [[["login:a", "cookie:c"], ["mail:m", "cookie:c"], ["login:a", "mail:m"]]])
    assert parts(held) == {frozenset({"login:a", "mail:m", "cookie:c"})}


def test_the_id_comes_from_the_oldest_identifier_and_survives_a_merge(tmp_path: Path) -> None:
    before, _ = persons(tmp_path / "one", PLAIN, [[["mail:m"]], [["login:a"]]])
    assert before["mail:m"] != before["login:a"]
    after, _ = persons(tmp_path / "two", PLAIN, [[["mail:m"]], [["login:a"]], [["login:a", "mail:m"]]])
    assert after["login:a"] == after["mail:m"] == before["mail:m"]


def test_an_empty_ledger_has_nobody(tmp_path: Path) -> None:
    assert persons(tmp_path, PLAIN, []) == ({}, [])


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    rows: list[Link] = [["login:a", "mail:m"], ["mail:m", "phone:p"], ["phone:q", "login:b"]]
    found = [persons(tmp_path / str(n), PLAIN, [list(order)])[0] for n, order in enumerate(permutations(rows))]
    assert all(held == found[0] for held in found)


def naive(links: list[Link], limit: int) -> set[frozenset[str]]:
    """Union-find over the links, telephones that more than `limit` logins share left out."""
    logins: dict[str, set[str]] = {}
    for link in links:
        for phone in (name for name in link if name.startswith("phone:")):
            logins.setdefault(phone, set()).update(name for name in link if name.startswith("login:"))
    shared = {phone for phone, found in logins.items() if len(found) > limit}
    groups: list[set[str]] = []
    for link in links:
        mine = set(link) - shared
        if mine:
            touched = [group for group in groups if group & mine]
            groups = [group for group in groups if not group & mine] + [set.union(mine, *touched)]
    return {frozenset(group) for group in groups}


NAMES = st.sampled_from([f"{kind}:{n}" for kind in ("login", "mail", "phone") for n in range(5)])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(NAMES, min_size=1, max_size=3, unique=True), max_size=14), st.integers(1, 2))
def test_persons_are_those_of_a_union_find(links: list[list[str]], limit: int) -> None:
    types = PLAIN | {"phone": {"priority": 3, "at_most": {"login": limit}}}
    with tempfile.TemporaryDirectory() as folder:
        held, _ = persons(Path(folder), types, [list(links)])
    assert parts(held) == naive(list(links), limit)

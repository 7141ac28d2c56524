"""Chains of evidence against a naive search, and finding persons by id."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from explained_world import END, PERSON, START, alike, former, held, linkage, named, refused, version
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from identity_world import NIGHT, Link, land

from klantspoor.errors import NotFoundError
from klantspoor.identity.decisions import Decision
from klantspoor.identity.explain import Evidence
from klantspoor.identity.gather import gather, look_for
from klantspoor.identity.known import (
    Found,
    anchor_of,
    find_person,
    former_ids,
    holders,
    persons_of,
    refusals_of,
)

A, B, C, D = "login:a", "mail:b", "phone:c", "cookie:d"


def named_chain(evidence: Evidence, start: str, end: str) -> list[str] | None:
    """The chain from one identifier to another, by their names."""
    by_number = {one.number: f"{one.identifier.type}:{one.identifier.identifier}" for one in everything(evidence)}
    numbers = {name: number for number, name in by_number.items()}
    [chain] = evidence.chains(numbers[start], [numbers[end]])
    return [by_number[number] for number in chain] if chain else None


def everything(evidence: Evidence) -> list:  # type: ignore[type-arg]
    return evidence.listed(list(range(1, evidence.count + 1)))


def force(a: str, b: str, number: int = 1) -> Decision:
    return Decision(number, datetime(2026, 2, 1, tzinfo=UTC), "force", named(a), named(b), "anna", "the papers")


def test_a_chain_goes_over_what_was_seen_together(tmp_path: Path) -> None:
    land(tmp_path, [[[A, B], [B, C]], [[A, B], ["login:x"]]])
    connection = version([held(C), held(A, "anchor"), held(B, since=START + timedelta(days=1))])
    evidence = gather(connection, tmp_path / "lake", PERSON, [])
    assert [(one.number, one.identifier, one.rule, one.rows, one.sources) for one in everything(evidence)] == [
        (1, named(A), "anchor", 2, ["crm"]), (2, named(C), "linked", 1, ["crm"]), (3, named(B), "linked", 3, ["crm"]),
    ]  # fmt: skip
    assert evidence.chains(1, [1, 2, 3]) == [[1], [1, 3, 2], [1, 3]]
    [[first, second]] = evidence.hops([[1, 3, 2]])
    assert (first.left, first.right, second.left, second.right) == (1, 3, 3, 2)
    [seen] = first.together
    assert (seen.source, seen.mapping, seen.rows) == ("crm", 1, 2)
    assert (seen.first_seen, seen.last_seen) == (NIGHT - timedelta(days=99), NIGHT - timedelta(days=98))
    assert not first.decisions and not first.alike


def test_no_hop_goes_over_an_identifier_that_is_not_the_persons(tmp_path: Path) -> None:
    """The telephone is shared: it stands in rows with both, and neither it nor a blocked value ties them."""
    land(tmp_path, [[[A, C], [C, B], [A, "!mail:test"], [B, "!mail:test"], [A, D], [D, B]]])
    connection = version([held(A, "anchor"), held(B), held(D)], [refused(C, "at_most_persons")])
    evidence = gather(connection, tmp_path / "lake", PERSON, [])
    assert named_chain(evidence, A, B) == [A, D, B]
    beside, total = evidence.refused_beside(10)
    assert [(one.identifier, one.guard) for one in beside] == [(named(C), "at_most_persons")]
    assert total == 1


def test_a_blocked_reading_of_an_identifier_of_ones_own_ties_nothing(tmp_path: Path) -> None:
    land(tmp_path, [[[A, "!mail:b"], [A, C], [C, B]]])
    evidence = gather(version([held(A, "anchor"), held(B), held(C)]), tmp_path / "lake", PERSON, [])
    assert named_chain(evidence, A, B) == [A, C, B]


def test_a_link_that_a_guard_cut_is_no_hop(tmp_path: Path) -> None:
    land(tmp_path, [[[A, B], [A, C], [C, B]]])
    audit = [refused(B, "one_per_person", A)]
    people = [held(A, "anchor"), held(B), held(C)]
    evidence = gather(version(people, audit), tmp_path / "lake", PERSON, [])
    assert named_chain(evidence, A, B) == [A, C, B]
    assert [one.other for one in evidence.refused(5)[0]] == [named(A)]
    forced = gather(version(people, audit), tmp_path / "lake", PERSON, [force(B, A)])
    assert named_chain(forced, A, B) == [A, B]
    older = gather(version(people, audit, old=True), tmp_path / "lake", PERSON, [])
    assert named_chain(older, A, B) == [A, B]
    assert older.refused(5)[0][0].other is None


def test_what_several_had_in_turn_is_an_end_and_no_step(tmp_path: Path) -> None:
    """The tablet was in rows with both, and never ties them; in rows of another's time it is not even an end."""
    land(tmp_path, [[[A, D]], [[D, B]], [[A, C], [C, B]], [[D, "login:x"], [C, D]]])
    mine = (NIGHT - timedelta(days=100), NIGHT - timedelta(days=98))
    people = [
        held(A, "anchor"), held(B), held(C), held(D, "in_turn", since=mine[0], to=mine[1]),
        held(D, "in_turn", "b" * 16, mine[1], END),
    ]  # fmt: skip
    evidence = gather(version(people), tmp_path / "lake", PERSON, [])
    assert named_chain(evidence, A, B) == [A, C, B]
    assert named_chain(evidence, A, D) == [A, D]
    assert named_chain(evidence, C, D) in ([C, A, D], [C, B, D])
    assert named_chain(evidence, D, C) in ([D, A, C], [D, B, C])
    assert {one.identifier: one.rows for one in everything(evidence)}[named(D)] == 2


def test_decisions_and_likeness_are_hops(tmp_path: Path) -> None:
    land(tmp_path, [[[A], [B], [C], [D]]])
    linkage(tmp_path / "lake", 1, [alike(A, D)])
    linkage(tmp_path / "lake", 2, [alike(C, B, 12.5), alike(A, "login:x")])
    connection = version([held(A, "anchor"), held(B), held(C), held(D)])
    evidence = gather(connection, tmp_path / "lake", PERSON, [force(B, A), force(A, "login:x", 2)])
    assert named_chain(evidence, A, C) == [A, B, C]
    assert named_chain(evidence, A, D) is None, "only the newest run counts"
    numbers = {one.identifier: one.number for one in everything(evidence)}
    [[first, second]] = evidence.hops([[numbers[named(name)] for name in (A, B, C)]])
    assert ([one.number for one in first.decisions], first.together, first.alike) == ([1], [], [])
    assert (second.decisions, second.together) == ([], [])
    [found] = second.alike
    assert (found.weight, found.agreed, found.differed) == (12.5, ["last_name", "postcode"], ["first_name"])


def test_files_that_the_version_does_not_know_tie_nothing_yet(tmp_path: Path) -> None:
    land(tmp_path, [[[A, C], [C, B]], [[A, B]]])
    people = [held(A, "anchor"), held(B), held(C)]
    assert named_chain(gather(version(people, newest=1), tmp_path / "lake", PERSON, []), A, B) == [A, C, B]
    assert named_chain(gather(version(people, newest=2), tmp_path / "lake", PERSON, []), A, B) == [A, B]


def test_without_a_ledger_there_is_no_chain(tmp_path: Path) -> None:
    evidence = gather(version([held(A, "anchor"), held(B)]), tmp_path / "lake", PERSON, [])
    assert evidence.chains(1, [1, 2]) == [[1], None]
    assert [(one.rows, one.sources) for one in everything(evidence)] == [(0, []), (0, [])]


def test_a_person_without_identifiers_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        gather(version([held(A, "anchor")]), tmp_path / "lake", "0" * 16, [])


def test_an_identifier_is_named_by_number_or_beginning(tmp_path: Path) -> None:
    people = [
        held(f"mail:{name}", "anchor" if name[0] == "0" else "linked") for name in ("0123a", "ab12c", "ab12d", "3333e")
    ]
    evidence = gather(version(people), tmp_path / "lake", PERSON, [])
    by_number = {one.number: one.identifier.identifier for one in everything(evidence)}
    assert by_number[evidence.number_of("2")] == by_number[2]
    assert by_number[evidence.number_of("3333")] == "3333e", "four digits are a beginning where the list is shorter"
    assert by_number[evidence.number_of(" AB12D… ")] == "ab12d"
    for wrong in ("ab12", "0", "5", "333", "jan@example.org", "9" * 5000, ""):
        with pytest.raises(NotFoundError) as caught:
            evidence.number_of(wrong)
        assert "jan@example.org" not in str(caught.value)


NAMES = [f"{kind}:{n}" for kind in ("login", "mail", "phone") for n in range(4)]
LINKS = st.lists(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True), max_size=16)


def naive(
    links: list[list[str]],
    mine: set[str],
    ends: set[str],
    cut: set[frozenset[str]],
    extra: set[frozenset[str]],
    start: str,
) -> dict[str, int]:
    """The number of hops from `start` to everything that can be reached, by trying every pair in every round."""
    tied = {frozenset((x, y)) for link in links for x in link for y in link if x != y}
    tied = {pair for pair in tied if pair <= mine and not pair <= ends and pair not in cut} | extra
    far = {start: 0}
    for hops in range(len(mine)):
        here = [name for name, steps in far.items() if steps == hops and (name not in ends or name == start)]
        for name in here:
            for pair in tied:
                if name in pair:
                    far.setdefault(next(iter(pair - {name})), hops + 1)
    return far


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    LINKS, st.sets(st.sampled_from(NAMES), min_size=2), st.sets(st.sampled_from(NAMES), max_size=3),
    st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda p: p[0] != p[1]), max_size=6),
)  # fmt: skip
def test_chains_are_those_of_a_naive_search(
    links: list[Link], mine: set[str], ends: set[str], pairs: list[tuple[str, str]]
) -> None:
    """Of the pairs a third is cut by a guard, a third forced, a third found alike."""
    cut, forced, like = pairs[::3], pairs[1::3], pairs[2::3]
    first = min(mine)
    ends = (ends & mine) - {first}
    sets = {
        kind: {frozenset(pair) for pair in some} for kind, some in (("cut", cut), ("forced", forced), ("like", like))
    }
    kept = {pair for pair in sets["like"] if not pair <= ends and pair not in sets["cut"] - sets["forced"]}
    extra = {pair for pair in sets["forced"] | kept if pair <= mine}
    rules = {name: "anchor" if name == first else "in_turn" if name in ends else "linked" for name in mine}
    people = [held(name, rule, since=NIGHT - timedelta(days=500), to=NIGHT) for name, rule in rules.items()]
    audit = [refused(a, "one_per_person", b) for a, b in cut]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        land(root, [links[::2], links[1::2]])
        linkage(root / "lake", 1, [alike(*pair) for pair in like])
        decisions = [force(*pair, number) for number, pair in enumerate(forced, start=1)]
        evidence = gather(version(people, audit), root / "lake", PERSON, decisions)
        known = everything(evidence)
        names = {one.number: f"{one.identifier.type}:{one.identifier.identifier}" for one in known}
        for start in (1, evidence.count):
            hops = naive([list(link) for link in links], mine, ends, sets["cut"] - sets["forced"], extra, names[start])
            for end, chain in zip(names, evidence.chains(start, list(names)), strict=True):
                assert (len(chain) - 1 if chain else None) == hops.get(names[end])
                if chain:
                    assert (chain[0], chain[-1]) == (start, end)
                    [found] = evidence.hops([chain])
                    assert [(hop.left, hop.right) for hop in found] == list(pairwise(chain))
                    assert all(hop.together or hop.decisions or hop.alike for hop in found)


# --- finding ---------------------------------------------------------------------------------------------------------

OLD, GONE = "c" * 16, "dddd" + "0" * 12


def test_a_person_is_found_by_id_beginning_or_former_id() -> None:
    people = [held(A, "anchor"), held(B), held(C, "anchor", "a1b2" + "f" * 12)]
    connection = version(people, aliases=[former(OLD, PERSON), former(GONE, None, "nobodys")])
    assert find_person(connection, PERSON) == Found(PERSON)
    assert find_person(connection, " a1b2c ") == Found(PERSON)
    assert find_person(connection, "ccc") == Found(PERSON, OLD)
    assert [(one.person_id, one.why) for one in former_ids(connection, PERSON)] == [(OLD, "merged")]
    with pytest.raises(NotFoundError, match="could begin so: a1b2c3d4e5f60718, a1b2ffffffffffff"):
        find_person(connection, "a1b2")
    with pytest.raises(NotFoundError, match="is nobody's id since 2026-01-10: nobodys"):
        find_person(connection, "dddd")
    with pytest.raises(NotFoundError, match="Give more"):
        find_person(connection, "cc")


@pytest.mark.parametrize("typed", ["jan@example.org", "06-12345678", "1000233", "'; DROP TABLE identities", "", "Ä"])
def test_what_is_no_id_is_not_repeated(typed: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_person(version([held(A, "anchor")]), typed)
    assert not typed or typed not in str(caught.value)


def test_older_versions_know_no_former_ids() -> None:
    connection = version([held(A, "anchor")], old=True)
    assert find_person(connection, "a1b2") == Found(PERSON)
    assert former_ids(connection, PERSON) == []


def test_whose_an_identifier_is() -> None:
    other = "e" * 16
    early, late = START + timedelta(days=10), START + timedelta(days=20)
    people = [
        held(A, "anchor"), held(D, "in_turn", other, late), held(D, "in_turn", PERSON, START, early), held(C, "anchor", other)
    ]  # fmt: skip
    connection = version(people, [refused(B, "blocked"), refused(C, "forbidden", A)])
    assert [(one.person_id, one.valid_from) for one in holders(connection, named(D))] == [
        (PERSON, START),
        (other, late),
    ]
    assert holders(connection, named(B)) == []
    assert persons_of(connection, [named(D), named(A), named(B)]) == {named(D): [PERSON, other], named(A): [PERSON]}
    assert [one.guard for one in refusals_of(connection, named(B), 5)] == ["blocked"]
    assert [one.guard for one in refusals_of(connection, named(A), 5)] == ["forbidden"], "as the other one"
    assert anchor_of(connection, other) == named(C)
    with pytest.raises(NotFoundError):
        anchor_of(connection, "0" * 16)


def test_where_an_identifier_that_is_nobodys_was_seen(tmp_path: Path) -> None:
    land(tmp_path, [[[A, "!mail:b"], [B]], [[B, C]]])
    connection = version([held(A, "anchor")], newest=1)
    seen = look_for(connection, tmp_path / "lake", named(B))
    assert (seen.rows, seen.later_rows, seen.quarantined_rows, seen.sources) == (2, 1, 0, ["crm"])
    assert (seen.first_seen, seen.last_seen) == (NIGHT - timedelta(days=99), NIGHT - timedelta(days=98))
    assert seen.guards == ["blocked"]
    never = look_for(connection, tmp_path / "lake", named("mail:never"))
    assert (never.rows, never.later_rows, never.first_seen, never.sources, never.guards) == (0, 0, None, [], [])
    assert look_for(connection, tmp_path / "nothing", named(B)).rows == 0

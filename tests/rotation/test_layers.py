"""Keys in layers: reading them, and what is made with them, against one hash at a time."""

from __future__ import annotations

import hashlib
import hmac
import secrets

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.errors import ConfigError
from klantspoor.intake.identifiers import IdentifierColumn, set_numbers, together
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import locked_connection
from klantspoor.project.key import Keys, parse_keys
from klantspoor.rotation.columns import Columns
from tests.rotation.rotation_world import FIRST, SECOND, THIRD, mac, tombstone

TEXTS = st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=20)), max_size=6)
CHAINS = st.lists(st.text("abcdef:\n 0123456789", min_size=1, max_size=90), min_size=1, max_size=4)
CONNECTION = locked_connection()


def keys_of(*texts: str) -> Keys:
    return Keys(tuple(text.encode() for text in texts))


@given(CHAINS, TEXTS, st.sampled_from([16, 24]))
@settings(deadline=None)
def test_pseudonyms_are_hashed_by_one_key_after_the_other(
    chain: list[str], values: list[str | None], digits: int
) -> None:
    made = Pseudonymiser(CONNECTION, keys_of(*chain)).of(pa.array(values, pa.string()), "account", digits)
    assert made.to_pylist() == [None if v is None else mac(chain, "account", v, digits) for v in values]


@given(CHAINS, CHAINS, TEXTS)
@settings(deadline=None)
def test_old_pseudonyms_become_new_ones_without_their_values(
    old: list[str], further: list[str], values: list[str | None]
) -> None:
    texts = pa.array(values, pa.string())
    before = Pseudonymiser(CONNECTION, keys_of(*old))
    after = Pseudonymiser(CONNECTION, keys_of(*old, *further))
    rotated = after.rotated(before.of(texts, "id", 24), len(old))
    assert rotated.to_pylist() == after.of(texts, "id", 24).to_pylist()


def test_whole_rows_too() -> None:
    table = pa.table({"b": ["x", None], "a": ["1", "2"]})
    one, two = (Pseudonymiser(CONNECTION, keys) for keys in (keys_of(FIRST), keys_of(FIRST, SECOND)))
    assert two.of_rows(table, 24).to_pylist() == two.rotated(one.of_rows(table, 24), 1).to_pylist()
    assert one.of_rows(table, 24).to_pylist() == [mac([FIRST], "row", t) for t in ("a\x1f1\x1eb\x1fx", "a\x1f2")]


@pytest.mark.parametrize("forgotten_with", [1, 2, 3])
def test_a_forgotten_identifier_is_known_however_often_the_key_was_rotated_since(forgotten_with: int) -> None:
    chain = (FIRST, SECOND, THIRD)
    domain, grave = "identifier\x1fcustomer", "tombstone\x1fidentifier\x1fcustomer"
    then = Pseudonymiser(CONNECTION, keys_of(*chain[:forgotten_with]))
    kept = then.of(then.of(pa.array(["C-1", "C-2"]), domain, 24), grave, 24)
    now = Pseudonymiser(CONNECTION, keys_of(*chain))
    kept = now.rotated(kept, forgotten_with)
    assert kept.to_pylist() == [tombstone(chain, "customer", value, forgotten_with) for value in ("C-1", "C-2")]
    asked = [now.of(one.of(pa.array(["C-2", "C-3", None]), domain, 24), grave, 24) for one in (now, *now.earlier())]
    assert [[value in kept.to_pylist() for value in one.to_pylist()] for one in asked] == [
        [layer == forgotten_with, False, False] for layer in (3, 2, 1)
    ]


@given(st.binary(min_size=1, max_size=90))
def test_a_key_of_an_earlier_version_is_read_as_it_was(text: bytes) -> None:
    assert parse_keys(text).chain == (text.strip(),)


@given(st.text("ab:\n ").map(str.strip).filter(bool), st.integers(0, 3), st.sampled_from([":", "\n", " : ", "\r\n"]))
def test_further_keys_stand_after_a_colon_or_a_line_end(first: str, number: int, between: str) -> None:
    further = [secrets.token_hex(32) for _ in range(number)]
    text = between.join([first, *further])
    assert parse_keys(f"\n{text} \n".encode()).chain == tuple(key.encode() for key in [first, *further])


def test_a_longer_chain_is_read_as_it_was_written() -> None:
    keys = parse_keys(FIRST.encode())
    for number in range(1, 5):
        assert len(keys) == number
        assert parse_keys(keys.text()) == keys
        assert parse_keys(keys.text().replace(b"\n", b":").strip(b":")) == keys
        keys = keys.longer()
    many = Keys((b"k" * 4000, SECOND.encode()))
    with pytest.raises(ConfigError, match="there are 2 keys"):
        many.longer()


def test_keys_are_not_shown_and_their_check_is_layered() -> None:
    keys = keys_of(FIRST, SECOND, THIRD)
    assert FIRST not in repr(keys)
    assert SECOND not in str(keys)
    assert keys.checks == [mac((FIRST, SECOND, THIRD)[:layers], "check", "", 16) for layers in (1, 2, 3)]
    assert keys.check == keys.checks[2]
    # What ledgers of one key remember, byte for byte.
    assert keys_of(FIRST).check == hmac.new(FIRST.encode(), b"check\x1f", hashlib.sha256).hexdigest()[:16]
    with pytest.raises(ValueError, match="at least one"):
        Keys(())


PSEUDONYM = st.text("0123456789abcdef", min_size=24, max_size=24)
PLAIN = st.text(st.sampled_from('~":{}[],\\#0123456789abcdefé\n'), max_size=30)


@given(st.lists(st.lists(st.tuples(st.booleans(), PSEUDONYM, PLAIN), max_size=4), max_size=5))
@settings(deadline=None, max_examples=200)
def test_attributes_change_in_their_pseudonyms_alone(rows: list[list[tuple[bool, str, str]]]) -> None:
    import json

    columns = Columns(Pseudonymiser(CONNECTION, keys_of(FIRST, SECOND)), 1)

    def text(row: list[tuple[bool, str, str]], on: bool) -> str | None:
        values = [
            "~" + (mac([SECOND], "rotated", pseudonym) if on else pseudonym) if marked else plain
            for marked, pseudonym, plain in row
        ]
        said = {f"attribute {number}": value for number, value in enumerate(values)}
        return json.dumps(said, ensure_ascii=False, separators=(",", ":")) if row else None

    given_texts = pa.array([text(row, on=False) for row in rows], pa.string())
    assert columns.attributes(given_texts).to_pylist() == [text(row, on=True) for row in rows]


def test_ids_that_only_look_like_pseudonyms_stay() -> None:
    columns = Columns(Pseudonymiser(CONNECTION, keys_of(FIRST, SECOND)), 1)
    digits = "ab" * 12
    made = mac([SECOND], "rotated", digits)
    ids = [
        f"~{digits}",
        f"~{digits}#12",
        digits,
        f"~{digits}0",
        f"~{digits[1:]}",
        f"~{digits}#x",
        f"é~{digits}",
        "~",
        "",
    ]
    assert columns.ids(pa.array(ids)).to_pylist() == [f"~{made}", f"~{made}#12", *ids[2:]]


@given(st.lists(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=2), min_size=1, max_size=8))
@settings(deadline=None)
def test_a_set_has_the_number_that_intake_gave_it(rows: list[list[str | None]]) -> None:
    maker = Pseudonymiser(CONNECTION, keys_of(FIRST))
    columns = [
        IdentifierColumn(
            name, maker.of(pa.array([row[at] for row in rows], pa.string()), "d", 24), pa.nulls(len(rows), pa.string())
        )
        for at, name in enumerate(("mail", "phone"))
    ]
    found = together(columns, len(rows))
    assert np.array_equal(set_numbers(found.lists), found.sets)
    assert np.array_equal(set_numbers(found.lists.slice(1)), found.sets[1:])

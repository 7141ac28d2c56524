"""The fields two records are compared on, and how each is cleaned before it is.

A field is called after its kind. Cleaning is for comparing only: case, accents and punctuation go, and what is nobody's
(`unknown`, `test`, `000`) becomes null, so that it speaks neither for nor against a pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import duckdb

from klantspoor.lake.connection import quoted
from klantspoor.project.model import RecordField

KINDS: tuple[str, ...] = get_args(RecordField)
"""The kinds of field that can be compared, in the order in which evidence names them."""

_NOBODYS = (
    r"^(0+|x+|test|tester|unknown|onbekend|none|null|nil|geen|anonymous|anoniem|n a|na|nvt|n v t|niet van toepassing)$"
)
# A telephone number is told by its last nine digits: with and without the country's code it is the same one.
_PHONE_DIGITS = 9


def _words(text: str) -> str:
    return f"trim(regexp_replace(lower(strip_accents({text})), '[^\\p{{L}}\\p{{N}}]+', ' ', 'g'))"


def _real(text: str) -> str:
    """`text`, or null where it is empty or nobody's."""
    return f"CASE WHEN {text} <> '' AND NOT regexp_matches({text}, '{_NOBODYS}') THEN {text} END"


def _cleaned(kind: str) -> str:
    """The SQL that cleans a column of this kind; both are called after it."""
    column = quoted(kind)
    if kind == "email":
        return f"CASE WHEN regexp_matches({column}, '^[^@]+@[^@]+$') THEN lower(trim({column})) END"
    if kind == "phone":
        digits = f"right(regexp_replace({column}, '[^0-9]', '', 'g'), {_PHONE_DIGITS})"
        return f"CASE WHEN len({digits}) >= 6 AND NOT regexp_matches({digits}, '^(.)?(0+|9+)$') THEN {digits} END"
    if kind == "birth_date":
        # Year, year and month, or a whole date; a month or day of 00 is one that is not known.
        found = f"regexp_extract(trim({column}), '^[0-9]{{4}}(-(0[1-9]|1[0-2])(-(0[1-9]|[12][0-9]|3[01]))?)?')"
        return f"nullif({found}, '')"
    if kind in {"postcode", "house_number"}:
        return _real(f"replace({_words(column)}, ' ', '')")
    return _real(_words(column))


def derived_columns(fields: Sequence[str]) -> tuple[str, ...]:
    """The fields that records come with, and the two names that a full name tells where they do not stand apart."""
    named = {"first_name", "last_name"} if {"first_name", "last_name", "full_name"} & set(fields) else set()
    return tuple(kind for kind in KINDS if kind in {*fields, *named})


def prepare(connection: duckdb.DuckDBPyConnection, source: str, fields: Sequence[str]) -> int:
    """Makes the table `people` of the relation `source`, and returns its number of rows.

    Columns: `id` (int64, the rank of `record`, so that the order of the rows does not matter), `record`, every field
    cleaned, and, where there are names, `name_parts` and `last_parts`: the words of four letters and more ("van" and "der"
    are no names) in the full and the last name together, and in the last name.
    """
    cleaned = ", ".join(f"{_cleaned(kind)} AS {quoted(kind)}" for kind in fields)
    connection.execute(
        f"CREATE TABLE cleaned AS SELECT row_number() OVER (ORDER BY record) AS id, record, {cleaned} FROM {source}"
    )
    connection.execute(f"CREATE TABLE people AS {_with_names(fields)} ORDER BY id")
    connection.execute("DROP TABLE cleaned")
    [(rows,)] = connection.execute("SELECT count(*) FROM people").fetchall()
    return int(rows)


def _with_names(fields: Sequence[str]) -> str:
    names = {"first_name", "last_name", "full_name"} & set(fields)
    if not names:
        return "SELECT * FROM cleaned"
    full = "full_name" if "full_name" in names else "NULL"
    first, last = (f"{name}" if name in names else "NULL" for name in ("first_name", "last_name"))
    # Where neither name stands apart, the first and the last word of the full name are taken for them.
    taken = f"{first} IS NULL AND {last} IS NULL AND contains({full}, ' ')"
    others = f"* EXCLUDE ({', '.join(sorted(names - {'full_name'}))})" if names - {"full_name"} else "*"
    parts = "list_sort(list_distinct(list_filter(string_split({}, ' '), lambda part: len(part) > 3)))"
    return f"""
        WITH named AS (
            SELECT {others},
                CASE WHEN {taken} THEN string_split({full}, ' ')[1] ELSE {first} END::VARCHAR AS first_name,
                CASE WHEN {taken} THEN string_split({full}, ' ')[-1] ELSE {last} END::VARCHAR AS last_name,
                concat_ws(' ', {full}, {last})::VARCHAR AS said
            FROM cleaned
        )
        SELECT * EXCLUDE (said),
            {parts.format("said")} AS name_parts, {parts.format("last_name")} AS last_parts
        FROM named"""

"""Which pairs are compared: those that share a key, as long as few enough records share it.

Comparing everyone with everyone is out of the question, and one value that thousands share (a test value, a default, a
family name in a village) is as bad. So every key is a column of its own, null where more records share it than a block may
hold, and blocks are counted before a single pair is made: n (n - 1) / 2 each, by grouping. (Splink's own count makes the
pairs to count them.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from klantspoor.linkage.report import RuleReport

LARGEST_BLOCK = 200
"""The most records that may share a key; more tell nobody apart."""

_TIGHTER = (100, 50, 20, 10, 5, 2)


@dataclass(frozen=True, slots=True)
class Rule:
    """Records that share the values of all `parts` (SQL over one record; null: no key) are compared.

    `column` is the key's column in the table `people`.
    """

    name: str
    needs: frozenset[str]
    parts: tuple[str, ...]

    @property
    def column(self) -> str:
        """The key's column in the table `people`."""
        return "key_" + self.name.replace(" ", "_")


def _rule(name: str, needs: str, *parts: str) -> Rule:
    return Rule(name, frozenset(needs.split()), parts)


_WHOLE_DATE = "CASE WHEN len(birth_date) = 10 THEN birth_date END"
_YEAR = "left(birth_date, 4)"
_AREA = "left(postcode, 4)"
# The surest first: where there are too many pairs, the last rules give way.
_RULES = (
    _rule("email", "email", "email"),
    _rule("phone", "phone", "phone"),
    _rule("last name and birth date", "last_name birth_date", "last_name", _WHOLE_DATE),
    _rule("first name and birth date", "first_name birth_date", "first_name", _WHOLE_DATE),
    _rule("postcode and last name", "postcode last_name", "postcode", "last_name"),
    _rule("postcode and first name", "postcode first_name", "postcode", "first_name"),
    _rule("postcode and birth year", "postcode birth_date", "postcode", _YEAR),
    _rule("area and birth date", "postcode birth_date", _AREA, _WHOLE_DATE),
    _rule("city and birth date", "city birth_date", "city", _WHOLE_DATE),
    _rule("birth place and birth date", "birth_place birth_date", "birth_place", _WHOLE_DATE),
    _rule("both names", "first_name last_name", "least(first_name, last_name)", "greatest(first_name, last_name)"),
    _rule("full name", "full_name", "full_name"),
    _rule("area and last name", "postcode last_name", _AREA, "last_name"),
    _rule("area and first name", "postcode first_name", _AREA, "first_name"),
    _rule("city and last name", "city last_name", "city", "last_name"),
    _rule("birth place and last name", "birth_place last_name", "birth_place", "last_name"),
    _rule("house", "street house_number city", "street", "house_number", "city"),
    _rule("email before the at", "email", "CASE WHEN strpos(email, '@') > 5 THEN split_part(email, '@', 1) END"),
    _rule("start of both names", "first_name last_name", "left(first_name, 3)", "left(last_name, 4)"),
    _rule(
        "starts and birth year",
        "first_name last_name birth_date",
        "left(first_name, 2)",
        "left(last_name, 2)",
        _YEAR,
    ),
    _rule("birth date and start of name", "last_name birth_date", _WHOLE_DATE, "left(last_name, 2)"),
    _rule("postcode", "postcode", "postcode"),
    _rule("occupation and last name", "occupation last_name", "occupation", "last_name"),
    _rule("birth place and first name", "birth_place first_name", "birth_place", "first_name"),
    _rule("city and first name", "city first_name", "city", "first_name"),
)
# Training needs pairs that agree on one thing, to learn how the others behave.
_TRAINING = (
    _rule("train names", "first_name last_name", "first_name", "last_name"),
    _rule("train birth date", "birth_date", _WHOLE_DATE),
    _rule("train postcode", "postcode", "postcode"),
    _rule("train email", "email", "email"),
    _rule("train phone", "phone", "phone"),
)


def training_rules(fields: Sequence[str]) -> list[Rule]:
    """The rules that training may learn from."""
    return [rule for rule in _TRAINING if rule.needs <= set(fields)]


def comparison_rules(fields: Sequence[str]) -> list[Rule]:
    """The rules by which pairs are chosen, the surest first."""
    return [rule for rule in _RULES if rule.needs <= set(fields)]


def add_keys(connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], budget: int) -> list[RuleReport]:
    """Gives `people` the rules' key columns, so that together they propose at most `budget` pairs.

    A rule that would go over what is left is held to smaller blocks, and left out where even blocks of two are too many.
    """
    reports = []
    for rule in rules:
        key = f"concat_ws('|', {', '.join(rule.parts)})"
        whole = " AND ".join(f"({part}) IS NOT NULL" for part in rule.parts)
        connection.execute(
            f"CREATE OR REPLACE TABLE blocks AS SELECT {key} AS block, count(*) AS n FROM people WHERE {whole} GROUP BY 1"
        )
        report = _limit(connection, rule, budget)
        budget -= report.pairs
        reports.append(report)
        connection.execute(
            f"CREATE OR REPLACE TABLE people AS SELECT p.*, b.block AS {rule.column} FROM people p"
            f" LEFT JOIN blocks b ON b.n BETWEEN 2 AND {report.largest_block} AND {whole} AND b.block = {key} ORDER BY id"
        )
    connection.execute("DROP TABLE IF EXISTS blocks")
    return reports


def _limit(connection: duckdb.DuckDBPyConnection, rule: Rule, left: int) -> RuleReport:
    """The largest blocks with which a rule proposes no more than the pairs that are left."""
    for largest in (LARGEST_BLOCK, *_TIGHTER, 0):
        [(pairs, left_out)] = connection.execute(
            "SELECT coalesce(sum(n * (n - 1) // 2) FILTER (n <= $1), 0), coalesce(sum(n) FILTER (n > greatest($1, 1)), 0)"
            " FROM blocks",
            [largest],
        ).fetchall()
        if pairs <= left:
            break
    return RuleReport(rule.name, int(pairs), largest, int(left_out))

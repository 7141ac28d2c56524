"""The sandbox of one SQL expression: attacks, what must work, and what is told about an expression."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klantspoor.project.model import EventMapping, SourceFile
from klantspoor.project.sql import SqlError, merged_events, parse

ATTACKS = [
    # breaking out of the brackets
    "1) FROM secrets --",
    "1) FROM (SELECT 1",
    "1), (2",
    "1) UNION SELECT (2",
    "1); DROP TABLE x; SELECT (2",
    "1) || (2",
    "1 --\n) FROM x --",
    "1 /*",
    "1 */",
    "a, b",
    "a AS b",
    "a b",
    "a; SELECT 1",
    "a FROM t",
    "a WHERE true",
    "a ORDER BY a",
    "a LIMIT 1",
    "a HAVING true",
    "a QUALIFY true",
    "a USING SAMPLE 3",
    "DISTINCT a",
    "WITH x AS (SELECT 1) SELECT 1",
    "INSERT INTO t VALUES (1)",
    "COPY t TO 'x'",
    "",
    "   ",
    "-- only a comment",
    "'unterminated",
    "a\0b",
    "\ud800",
    "(" * 3000 + "1" + ")" * 3000,
    "||".join("a" * 990),
    "x" * 30_000,
    # other rows and tables
    "(SELECT 1)",
    "EXISTS (SELECT 1)",
    "a IN (SELECT b FROM t)",
    "a = ANY(SELECT 1)",
    "a = ANY(['x'])",
    "ARRAY(SELECT 1)",
    "sum(a)",
    "count(*)",
    "max(a)",
    "max(DISTINCT a)",
    "string_agg(a, ',' ORDER BY b)",
    "list(a)",
    "any_value(a)",
    "sum(a) FILTER (WHERE a > 1)",
    "sum(a) OVER ()",
    "row_number() OVER (ORDER BY a)",
    "lag(a)",
    "json_group_array(a)",
    "geomean(a)",
    "unnest([1, 2])",
    "generate_subscripts(a, 1)",
    "GROUPING(a)",
    "*",
    "t.*",
    "COLUMNS('a')",
    "COLUMNS(*)",
    "unpack(a)",
    "#1",
    "?",
    "$1",
    "$name",
    "DEFAULT",
    # files, settings, the engine
    "read_text('/etc/passwd')",
    "read_csv('x.csv')",
    "read_parquet('x')",
    "read_blob('x')",
    "glob('*')",
    "system.main.read_text('x')",
    "getenv('HOME')",
    "getvariable('x')",
    "current_setting('memory_limit')",
    "current_query()",
    "current_database()",
    "current_schemas(true)",
    "in_search_path('a', 'b')",
    "get_block_size('memory')",
    "pg_get_viewdef(1)",
    "nextval('s')",
    "currval('s')",
    "setval('s', 1)",
    "txid_current()",
    "version()",
    "write_log('x')",
    "json_serialize_plan('SELECT 1')",
    "json_execute_serialized_sql('x')",
    "query('SELECT 1')",
    "query_table('t')",
    "error('x')",
    "sleep_ms(1000)",
    "pg_sleep(1)",
    "__internal_compress_string_hugeint(a)",
    "user",
    "USER",
    "current_user",
    "session_user",
    "current_role",
    "current_catalog",
    "current_schema",
    # clock and chance
    "now()",
    "NOW()",
    "today()",
    "current_timestamp",
    "CURRENT_DATE",
    "current_time",
    "localtime",
    "LocalTimestamp",
    "current_localtimestamp()",
    "current_localtime()",
    "get_current_timestamp()",
    "transaction_timestamp()",
    "age(a::TIMESTAMP)",
    "ago(INTERVAL 1 DAY)",
    "random()",
    "setseed(0.1)",
    "uuid()",
    "gen_random_uuid()",
    "uuidv7()",
    "'é' || user",
    # hidden inside what is allowed
    "coalesce(a, now()::VARCHAR)",
    "CASE WHEN a THEN random() END",
    "[now() for x in a]",
    "list_transform(a, lambda x: random())",
    "a::TIMESTAMP > current_timestamp",
    "concat(a, (SELECT 1))",
    "TRY(random())",
    # a column that would go unseen
    "email.lower()",
    "t.email.lower()",
    "main.lower(email)",
]


@pytest.mark.parametrize("text", ATTACKS, ids=[ascii(attack[:40]) for attack in ATTACKS])
def test_attacks_are_refused(text: str) -> None:
    with pytest.raises(SqlError):
        parse(text)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a", {"a"}),
        ('"Date of call" || \' \' || "Time"', {"Date of call", "Time"}),
        ('"say ""hi"""', {'say "hi"'}),
        ('"user"', {"user"}),
        ("'é' || \"user\"", {"user"}),
        ('"current_date"', {"current_date"}),
        ("a -- a comment", {"a"}),
        ("/* a */ b", {"b"}),
        ("payload.customer.name", {"payload"}),
        ("payload ->> '$.x'", {"payload"}),
        ("email -> '$.x'", {"email"}),
        ("list_transform(items, lambda x: upper(x))", {"items"}),
        ("list_transform(items, lambda email: email || name)", {"items", "name"}),
        ("list_transform(items, lambda raw: raw.email)", {"items", "raw"}),
        ("[x for x in items if x > lowest]", {"items", "lowest"}),
        ("CASE kind WHEN 'a' THEN b ELSE c END", {"kind", "b", "c"}),
        ("a IS NULL AND NOT b IN ('x', c) OR d BETWEEN e AND f", {"a", "b", "c", "d", "e", "f"}),
        ("strptime(a, '%d') AT TIME ZONE 'UTC' + INTERVAL (b) MINUTES", {"a", "b"}),
        ("TRY_CAST(a AS DECIMAL(9, 2))", {"a"}),
        ("CAST(a AS ENUM('email'))", {"a"}),
        ("extract(year FROM a::DATE)", {"a"}),
        ("split_part(a, ',', 1)", {"a"}),
        ("if(a = '1', b, c)", {"a", "b", "c"}),
        ("nullif(trim(a), '')", {"a"}),
        ("age(a::TIMESTAMP, b::TIMESTAMP)", {"a", "b"}),
        ("json_extract_string(a, '$.b')", {"a"}),
        ("regexp_extract(a, '(x)', 1)", {"a"}),
        ("a[1:3]", {"a"}),
        ("row(a, b)", {"a", "b"}),
        ("list_sum(a)", {"a"}),
        ("1", set()),
    ],
)
def test_what_works_and_which_columns_it_reads(text: str, columns: set[str]) -> None:
    assert parse(text).columns == columns


@pytest.mark.parametrize(
    ("text", "results", "is_closed"),
    [
        ("'web'", {"web"}, True),
        ("CASE a WHEN 'C' THEN 'call' WHEN 'W' THEN 'web' END", {"call", "web"}, True),
        ("CASE a WHEN 'C' THEN 'call' ELSE a END", {"call"}, False),
        ("coalesce(a, 'web')", {"web"}, False),
        ("if(a = 'x', 'y', 'z')", {"y", "z"}, True),
        ("MAP {'C': 'call', 'W': 'web'}[a]", {"call", "web"}, True),
        ("'Ticket ' || status", set(), False),
        ("status", set(), False),
        ("NULL", set(), True),
    ],
)
def test_what_an_expression_can_give(text: str, results: set[str], is_closed: bool) -> None:
    expression = parse(text)
    assert (expression.results, expression.is_closed) == (results, is_closed)


def test_literals_are_all_string_constants() -> None:
    assert parse("CASE a WHEN 'C' THEN 'it''s' ELSE b || 'x' END").literals == {"C", "it's", "x"}


def test_the_hint_names_the_function_that_was_meant() -> None:
    with pytest.raises(SqlError) as caught:
        parse("lowr(a)")
    assert "'lower'" in (caught.value.hint or "")


def test_sql_can_stand_inside_other_sql_with_a_comment_at_its_end() -> None:
    text = parse("a || 'x' -- why").sql
    assert duckdb.sql(f"SELECT upper({text}), 2 FROM (SELECT 'a' AS a)").fetchall() == [("AX", 2)]


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab'\"()[]{},;.*-/ \n=|:?$#0x\\"), max_size=25))
def test_whatever_is_allowed_is_one_column_over_one_row(text: str) -> None:
    """An independent check: over one row, an allowed expression gives one row and one column, or an error."""
    try:
        expression = parse(text)
    except SqlError:
        return
    row = (
        ", ".join('1 AS "' + name.replace('"', '""') + '"' for name in sorted(expression.columns, key=str)) or "1 AS z"
    )
    try:
        result = duckdb.connect(config={"enable_external_access": "false"}).execute(
            f"SELECT {expression.sql}, 42 FROM (SELECT {row})"
        )
    except duckdb.Error:
        return
    assert [len(line) for line in result.fetchall()] == [2]


def source(**more: object) -> SourceFile:
    return SourceFile.model_validate(
        {"source": "s", "title": "S", "files": ["s.csv"], "reader": {"format": "csv"}, **more}
    )


def test_defaults_are_filled_in_and_replaced_as_a_whole() -> None:
    defaults = {
        "id": "a",
        "team": "t",
        "channel": "c",
        "case_keys": {"x": "a", "y": "b"},
        "identifiers": [{"type": "customer", "value": "a"}],
    }
    events = [{"activity": "'one'", "case_keys": {"z": "c"}}, {"activity": "'two'", "id": "b", "team": None}]
    one, two = merged_events(source(defaults=defaults, events=events))
    assert (one.activity, one.id, one.id_from_defaults, one.team, one.case_keys) == (
        "'one'",
        "a",
        True,
        "t",
        {"z": "c"},
    )
    assert (two.activity, two.id, two.id_from_defaults, two.team, two.channel) == ("'two'", "b", False, None, "c")
    assert two.case_keys == {"x": "a", "y": "b"}
    assert two.identifiers == one.identifiers == source(defaults=defaults).defaults.identifiers
    assert isinstance(one, EventMapping)


def test_without_events_the_defaults_are_the_event() -> None:
    (only,) = merged_events(source(defaults={"activity": "a", "visibility": "internal"}))
    assert (only.activity, only.visibility, only.id, only.id_from_defaults) == ("a", "internal", None, False)

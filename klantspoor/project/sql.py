"""What one SQL expression of a project file may be, checked with DuckDB's own parser.

An expression computes one value from one row: no tables, no other rows, no files, settings, clock or chance. Here is
only the judging of a single expression; which columns a source may use where is in `klantspoor.project.privacy`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb

from klantspoor.errors import did_you_mean
from klantspoor.project.model import EventMapping, SourceFile

_NODES = {"BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "FUNCTION"}
_NODES |= {"LAMBDA", "OPERATOR", "TYPE"}
_REFUSED_NODES = {
    "SUBQUERY": "a subquery",
    "STAR": "a star or COLUMNS()",
    "WINDOW": "a window function",
    "PARAMETER": "a parameter",
    "POSITIONAL_REFERENCE": "a column by its position",
    "DEFAULT": "DEFAULT",
}
_REFUSED_OPERATORS = {"GROUPING_FUNCTION", "OPERATOR_UNPACK"}
# DuckDB reads these names as functions where no column has them, quoted or not.
_NAMES_THAT_ARE_FUNCTIONS = {"current_catalog", "current_date", "current_role", "current_schema", "current_time"}
_NAMES_THAT_ARE_FUNCTIONS |= {
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
}
# Called consistent by DuckDB, and yet reading the clock, other files, or the inside of the engine.
_REFUSED_FUNCTIONS = {"current_localtime", "current_localtimestamp", "version"}
_REFUSED_FUNCTIONS |= {"json_serialize_plan", "json_serialize_sql", "json_deserialize_sql"}
_AT_MOST_CHARACTERS = 20_000
_CASE_FOLD = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

Node = dict[str, Any]


class SqlError(ValueError):
    """The expression is not allowed; the message says why, `hint` what to do instead."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.hint = hint
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Expression:
    """One allowed expression.

    `columns` are the columns it reads and `literals` its string constants, both as written. `results` are the texts it
    can give as far as they can be told; `is_closed` says that it can give no other (null aside).
    """

    text: str
    columns: frozenset[str]
    literals: frozenset[str]
    results: frozenset[str]
    is_closed: bool

    @property
    def sql(self) -> str:
        """The expression as it can stand inside any other SQL, whatever comment it ends with."""
        return f"(\n{self.text}\n)"


class ResolvedMapping(EventMapping):
    """An event mapping with the defaults filled in; `id_from_defaults`: its `id` is shared with its siblings."""

    id_from_defaults: bool = False


def column_key(name: str) -> str:
    """The name as DuckDB compares it: ASCII letters without case, everything else as it is."""
    return name.translate(_CASE_FOLD)


def merged_events(source: SourceFile) -> list[ResolvedMapping]:
    """The events a row of the source may hold, with `defaults` filled in; one as in `defaults` where none is listed.

    A key given in an event replaces the default as a whole (lists and mappings are not mixed), and `key: null`
    switches the default off. A reference source gives one mapping too: its identifiers, account and persona.
    """
    defaults = {name: getattr(source.defaults, name) for name in source.defaults.model_fields_set}
    merged = []
    for event in source.events or [EventMapping()]:
        own = {name: getattr(event, name) for name in event.model_fields_set}
        shared = "id" in defaults and defaults["id"] is not None and "id" not in own
        merged.append(ResolvedMapping.model_construct(**{**defaults, **own, "id_from_defaults": shared}))
    return merged


@lru_cache(maxsize=4096)
def parse(text: str) -> Expression:
    """Checks one expression.

    Raises:
        SqlError: where it is not one scalar expression over the columns of one row.
    """
    if len(text) > _AT_MOST_CHARACTERS:
        raise SqlError(f"is longer than {_AT_MOST_CHARACTERS} characters")
    if "\0" in text:
        raise SqlError("holds a NUL character")
    # Bare, it must be one item without a name, and in brackets it must still parse: "1) FROM x --", "1), (2",
    # "a, b", "a AS b" and "a FROM t" each fail one of the two.
    root = _only_item(_serialised(f"SELECT\n{text}\n"))
    _only_item(_serialised(f"SELECT (\n{text}\n)"))
    columns: set[str] = set()
    literals: set[str] = set()
    for node, scope in _walk(root):
        _refuse_node(node)
        if node["class"] == "FUNCTION":
            _refuse_function(node)
        elif node["class"] == "COLUMN_REF":
            columns |= _column(node, scope, text)
        elif node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING":
            literals.add(node["literal"]["text"])
    try:
        results = _results(root)
    except RecursionError:
        results = None
    closed = results is not None and None not in results
    known = frozenset(r for r in results or () if r is not None)
    return Expression(text, frozenset(columns), frozenset(literals), known, closed)


def binding_error(text: str, columns: list[str]) -> str | None:
    """What DuckDB says against the expression where the given columns hold text; None where it fits.

    Tells wrong argument types and unknown types before the night does. The text must have passed `parse`.
    """
    source = ", ".join(f"NULL::VARCHAR AS {quote(name)}" for name in columns) or "NULL AS nothing"
    return complaint(f"DESCRIBE SELECT (\n{text}\n) FROM (SELECT {source}) AS the_row")


def complaint(query: str, parameters: list[str] | None = None) -> str | None:
    """The first line of what DuckDB says against a query in an empty engine without files; None where it runs."""
    try:
        _engine().cursor().execute(query, parameters)
    except UnicodeError:
        return "is not text that DuckDB can read"
    except duckdb.Error as error:
        return str(error).split("\n", maxsplit=1)[0][:300]
    return None


def quote(name: str) -> str:
    """The name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


# --- the tree --------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"enable_external_access": "false", "lock_configuration": "true", "threads": "1"})


def _serialised(statement: str) -> Node:
    try:
        row = _engine().cursor().execute("SELECT json_serialize_sql(?)", [statement]).fetchone()
        tree: Node = json.loads(row[0]) if row else {}
    except (duckdb.Error, UnicodeError):
        raise SqlError("is not text that DuckDB can read") from None
    except RecursionError:
        raise SqlError("is nested too deeply") from None
    if tree.get("error", True):
        raise SqlError(f"is not one SQL expression: {str(tree.get('error_message', 'unreadable'))[:300]}")
    return tree


def _only_item(tree: Node) -> Node:
    """The one expression of a SELECT that has nothing but one expression."""
    statements = tree["statements"]
    if len(statements) != 1:
        raise SqlError("holds more than one statement")
    node = statements[0]["node"]
    if node.get("type") != "SELECT_NODE":
        raise SqlError("is a query, not one expression")
    clauses = ("where_clause", "group_expressions", "group_sets", "having", "sample", "qualify", "modifiers")
    if node["from_table"]["type"] != "EMPTY" or node["cte_map"]["map"] or any(node.get(clause) for clause in clauses):
        raise SqlError("is a query, not one expression", "leave out FROM, WHERE, ORDER BY and the like")
    items = node["select_list"]
    if len(items) != 1:
        raise SqlError("holds several expressions", "write one; to join texts use ||")
    if items[0].get("alias"):
        raise SqlError("gives its value a name, or holds two words", "leave out AS …, and put a text in single quotes")
    item: Node = items[0]
    return item


def _walk(root: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    """Every expression node below `root`, with the lambda parameters that are known to it."""
    todo: list[tuple[object, frozenset[str]]] = [(root, frozenset())]
    while todo:
        thing, scope = todo.pop()
        if isinstance(thing, list):
            todo += [(item, scope) for item in thing]
            continue
        if not isinstance(thing, dict):
            continue
        if "class" in thing:
            yield thing, scope
            if thing["class"] == "TYPE":
                continue  # what a type is made of is no column and no text of the expression
            # With ->, the left side is a JSON column, not a parameter.
            if thing["class"] == "LAMBDA" and thing.get("syntax_type") == "LAMBDA_KEYWORD":
                todo.append((thing["expr"], scope | _parameters(thing["lhs"])))
                continue
        todo += [(value, scope) for value in thing.values()]


def _parameters(node: Node) -> frozenset[str]:
    parts = [argument["expression"] for argument in node["arguments"]] if node["class"] == "FUNCTION" else [node]
    return frozenset(column_key(part["column_names"][0]) for part in parts if part["class"] == "COLUMN_REF")


def _refuse_node(node: Node) -> None:
    kind = node["class"]
    if kind in _NODES and not (kind == "OPERATOR" and node.get("type") in _REFUSED_OPERATORS):
        return
    hint = "for = ANY(list) write list_contains(list, value)" if kind == "SUBQUERY" else None
    raise SqlError(f"holds {_REFUSED_NODES.get(kind, str(node.get('type')).lower())}", hint)


def _column(node: Node, scope: frozenset[str], text: str) -> set[str]:
    names = node["column_names"]
    first = column_key(names[0])
    # A qualified name counts as a column even where a parameter has its first part: DuckDB prefers the table's column.
    if len(names) == 1 and first in scope:
        return set()
    at = node.get("query_location", 0) - len("SELECT\n")
    quoted = 0 <= at < len(raw := text.encode()) and raw[at : at + 1] == b'"'
    if first in _NAMES_THAT_ARE_FUNCTIONS and not quoted:
        raise SqlError(
            f"reads the clock or the engine through {first}", f'if a column is called so, write "{names[0]}" in quotes'
        )
    return {names[0]}


# --- functions -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _functions() -> tuple[dict[str, bool], frozenset[str]]:
    """For each scalar function whether it always gives the same for the same; and the aggregates and window functions.

    A macro is what its definition is: allowed where every variant of it would be an allowed expression.
    """
    query = "SELECT function_name, function_type, stability FROM duckdb_functions()"
    rows = _engine().cursor().execute(query).fetchall()
    steady: dict[str, bool] = {}
    for name, kind, stability in rows:
        if kind == "scalar":
            fine = stability == "CONSISTENT" and name not in _REFUSED_FUNCTIONS and not name.startswith("__internal")
            steady[name] = steady.get(name, True) and fine
    return steady, frozenset(name for name, kind, _ in rows if kind in ("aggregate", "window"))


@lru_cache(maxsize=256)
def _is_allowed_macro(name: str) -> bool:
    query = "SELECT schema_name, macro_definition, function_type FROM duckdb_functions() WHERE function_name = ?"
    variants = [row[:2] for row in _engine().cursor().execute(query, [name]).fetchall() if row[2] == "macro"]
    if not variants or any(schema != "main" for schema, _ in variants):
        return False
    try:
        for _, definition in variants:
            parse(definition)
    except SqlError:
        return False
    return True


def _refuse_function(node: Node) -> None:
    name = node["function_name"].lower()
    if node.get("schema") or node.get("catalog") or len(node.get("qualified_name", {}).get("path", [])) > 1:
        # `email.lower()` is lower(email) to DuckDB: the column would go unseen.
        raise SqlError(f"calls {name} with a dot", f"write {name}(column), without schema or dot")
    steady, aggregates = _functions()
    if name in aggregates and name not in steady:
        raise SqlError(f"uses {name}, which looks at several rows", "an expression sees one row at a time")
    if node.get("filter") or node.get("distinct") or (node.get("order_bys") or {}).get("orders"):
        raise SqlError(f"uses {name} as an aggregate", "an expression sees one row at a time")
    if name == "age" and len(node["arguments"]) < 2:
        raise SqlError("reads the clock through age", "give age() two times")
    if steady.get(name) or _is_allowed_macro(name):
        return
    if name in steady or name in _REFUSED_FUNCTIONS:
        raise SqlError(f"uses {name}, which reads the clock, chance, settings or the engine")
    raise SqlError(
        f"uses {name}, which is no function over one row",
        did_you_mean(name, {known for known, fine in steady.items() if fine and known.isidentifier()}),
    )


# --- what it can give ------------------------------------------------------------------------------------------------


def _results(node: Node) -> set[str | None]:
    """The texts the expression can give; None among them stands for any other."""
    kind = node["class"]
    if kind == "CONSTANT":
        literal = node["literal"]
        return set() if literal["kind"] == "NULL_LITERAL" else {literal["text"]}
    branches: list[Node] = []
    if kind == "CASE":
        branches = [check["then_expr"] for check in node["case_checks"]] + [node["else_expr"]]
    elif kind == "OPERATOR" and node["type"] == "OPERATOR_COALESCE":
        branches = node["children"]
    elif kind == "OPERATOR" and node["type"] == "ARRAY_EXTRACT":
        branches = _map_values(node["children"][0])
    elif kind == "FUNCTION":
        arguments = [argument["expression"] for argument in node["arguments"]]
        name = node["function_name"].lower()
        branches = arguments[1:3] if name == "if" else arguments[:1] if name == "nullif" else []
    if not branches:
        return {None}
    return set().union(*(_results(branch) for branch in branches))


def _map_values(node: Node) -> list[Node]:
    """The values of MAP {…}, where they are written out."""
    if node.get("function_name") != "map" or len(node["arguments"]) != 2:
        return []
    values = node["arguments"][1]["expression"]
    return [item["expression"] for item in values["arguments"]] if values.get("function_name") == "list_value" else []

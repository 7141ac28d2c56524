"""Finds the pairs of records that are probably one person, and says what speaks for each."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from klantspoor.errors import LinkageError, MissingExtraError
from klantspoor.lake.connection import limited, literal, view_columns
from klantspoor.linkage import blocking, training
from klantspoor.linkage.comparisons import CLOSE, Comparison, comparisons, one_person
from klantspoor.linkage.expectation import Patterns
from klantspoor.linkage.fields import KINDS, derived_columns, prepare
from klantspoor.linkage.report import LinkageReport, RuleReport

LINKS = pa.schema(
    [
        pa.field("left", pa.string(), nullable=False),
        pa.field("right", pa.string(), nullable=False),
        pa.field("weight", pa.float64(), nullable=False),
        pa.field("probability", pa.float64(), nullable=False),
        pa.field("agreed", pa.list_(pa.string()), nullable=False),
        pa.field("differed", pa.list_(pa.string()), nullable=False),
    ]
)
"""A link's columns: two records (`left` < `right`), the match weight (log2 of the Bayes factor and the prior odds
together, as Splink defines it), the probability it stands for, and the fields that agreed and differed; a field that one
of the two lacks is in neither."""

_ROUNDS = 2
_PROVISIONAL = 0.99
_TRAINING_PAIRS = 1_000_000


@dataclass(frozen=True, slots=True)
class LinkageSettings:
    """How links are found.

    `threshold` is the least probability of a link; `max_pairs` the most pairs that are compared; `seed` chooses the pairs
    on which chance agreement is counted. `memory_mb` bounds DuckDB, which spills to `scratch` (default: a temporary
    folder, removed at the end) beyond it; nothing else is written.
    """

    threshold: float = 0.99
    max_pairs: int = 20_000_000
    seed: int = 1
    memory_mb: int = 1200
    scratch: Path | None = None
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class LinkageResult:
    """The links (see `LINKS`, sorted by left and right) and how they were found."""

    links: pa.Table
    report: LinkageReport


def find_links(records: pa.Table | Sequence[Path], settings: LinkageSettings | None = None) -> LinkageResult:
    """Compares records of persons and returns the pairs that are probably one person's.

    `records` is a table, or the Parquet files of one: `record` (string, unique) and any of `KINDS` (strings, plain); other
    columns are not looked at. The order of the rows does not matter; the same records and settings give the same links.

    Raises:
        MissingExtraError: where the extra `linkage` is not installed.
        LinkageError: where `record` is missing, null or not unique, there is no field or one is no text, or Splink gives up.
    """
    try:
        import splink  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("linkage") from error
    chosen = settings or LinkageSettings()
    if chosen.scratch is not None:
        chosen.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as scratch, _quiet():
        connection = limited(chosen.memory_mb, Path(scratch), chosen.threads)
        try:
            fields = _read(connection, records)
            return _compare(connection, fields, chosen)
        except LinkageError:
            raise
        except Exception as error:
            # The text may hold a value of the data, or SQL that does: only its kind is told.
            raise LinkageError(f"comparing the records failed in Splink or DuckDB: {type(error).__name__}") from None
        finally:
            connection.close()


@contextmanager
def _quiet() -> Iterator[None]:
    """Splink logs its queries and warns as it goes; what matters of it is in the report."""
    loggers = [logging.getLogger(name) for name in ("splink", "sqlglot")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _read(connection: duckdb.DuckDBPyConnection, records: pa.Table | Sequence[Path]) -> tuple[str, ...]:
    """Makes the view `records` and returns its fields, after looking at its columns."""
    if isinstance(records, pa.Table):
        connection.register("records", records)
    else:
        files = ", ".join(literal(str(path)) for path in records)
        connection.execute(f"CREATE VIEW records AS SELECT * FROM read_parquet([{files}], union_by_name = true)")
    columns = view_columns(connection, "records")
    if "record" not in columns:
        raise LinkageError("records: the column 'record' is missing; expected one id per row")
    fields = tuple(kind for kind in KINDS if kind in columns)
    if not fields:
        raise LinkageError(f"records: no field to compare; expected some of {', '.join(KINDS)}")
    wrong = [kind for kind in fields if columns[kind] not in {"VARCHAR", '"NULL"'}]
    if wrong:
        raise LinkageError(f"records: {', '.join(wrong)}: expected text, found {columns[wrong[0]]}")
    [(rows, known, different)] = connection.execute(
        "SELECT count(*), count(record), count(DISTINCT record) FROM records"
    ).fetchall()
    if not rows == known == different:
        raise LinkageError(
            f"records: 'record' must tell the rows apart: {rows - known} rows have none, {known - different} repeat one"
        )
    return fields


def _compare(
    connection: duckdb.DuckDBPyConnection, fields: tuple[str, ...], settings: LinkageSettings
) -> LinkageResult:
    rows = prepare(connection, "records", fields)
    filled = _filled(connection, derived_columns(fields))
    wanted = [comparison for comparison in comparisons(filled) if comparison.name in {*filled, "address"}]
    if rows < 2 or len(wanted) < 2:
        return _nothing(rows, filled, "fewer than two records or two fields with values: nothing to compare")
    learning = blocking.training_rules(filled)
    proposed = zip(learning, blocking.add_keys(connection, learning, _TRAINING_PAIRS), strict=True)
    sessions = training.patterns(connection, wanted, [rule for rule, report in proposed if report.pairs])
    rules = blocking.comparison_rules(filled)
    reports = blocking.add_keys(connection, rules, settings.max_pairs)
    used = [rule for rule, report in zip(rules, reports, strict=True) if report.pairs]
    if not used:
        return _nothing(rows, filled, "no two records share a key: nothing to compare", tuple(reports))
    model, compared = _train(connection, wanted, sessions, used, rows, settings)
    links, held_back = _links(connection, filled, settings.threshold)
    told = [*([] if model.settled else ["the shares of agreement had not settled"]), *_limits(reports)]
    if not {"first_name", "birth_date"} & set(filled):
        told.append(
            "neither a first name nor a birth date: members of a household cannot be told apart, and nobody is linked"
        )
    report = LinkageReport(
        records=rows,
        fields=filled,
        compared=compared,
        links=links.num_rows,
        held_back=held_back,
        prior=model.prior,
        rules=tuple(reports),
        levels=model.levels(),
        trained_on=model.trained_on,
        warnings=tuple(told),
    )
    return LinkageResult(links, report)


def _filled(connection: duckdb.DuckDBPyConnection, fields: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the fields in which there is a value."""
    [counts] = connection.execute(f"SELECT {', '.join(f'count({kind})' for kind in fields)} FROM people").fetchall()
    return tuple(kind for kind, count in zip(fields, counts, strict=True) if count)


def _nothing(rows: int, fields: tuple[str, ...], why: str, rules: tuple[RuleReport, ...] = ()) -> LinkageResult:
    report = LinkageReport(rows, fields, 0, 0, 0, 0.0, rules, (), {}, (why,))
    return LinkageResult(LINKS.empty_table(), report)


def _limits(reports: list[RuleReport]) -> list[str]:
    tightened = [report for report in reports if report.largest_block < blocking.LARGEST_BLOCK]
    return [
        f"rule {report.rule!r}: {'left out' if report.largest_block == 0 else f'blocks of at most {report.largest_block}'},"
        " for want of pairs in the budget"
        for report in tightened
    ]


def _train(
    connection: duckdb.DuckDBPyConnection,
    wanted: list[Comparison],
    sessions: list[Patterns],
    used: list[blocking.Rule],
    rows: int,
    settings: LinkageSettings,
) -> tuple[training.Model, int]:
    """Trains in rounds, each of which counts the persons of the one before; leaves the last one's pairs in `scored`."""
    # To begin with, every second record is taken to have one double, and every record to be a person.
    model = training.Model(wanted, {}, 1 / rows)
    person = np.arange(rows, dtype=np.int32)
    compared = 0
    for number in range(_ROUNDS):
        if number:
            found = connection.execute(
                "SELECT l, r, probability FROM scored WHERE one_person ORDER BY l, r"
            ).fetchnumpy()
            # At least half a pair: a chance of nothing could never be overcome.
            model.prior = max(float(np.sum(found["probability"])), 0.5) / (rows * (rows - 1) / 2)
            sure = found["probability"] >= _PROVISIONAL
            person = training.persons(rows, found["l"][sure], found["r"][sure])
        training.count_persons(connection, person)
        training.count_chances(connection, model, settings.seed)
        training.learn(model, wanted, sessions)
        compared = _score(connection, model, used)
    return model, compared


def _score(connection: duckdb.DuckDBPyConnection, model: training.Model, used: list[blocking.Rule]) -> int:
    """Scores all pairs of the rules into `scored`; returns how many were compared.

    Columns: l, r (ids), weight, probability, and one_person: whether it takes more than a household to explain the pair.
    """
    linker = training.linker_for(connection, model, used)
    pairs = linker.inference.compute_blocked_pairs_for_predict()
    [(compared,)] = connection.execute(f"SELECT count(*) FROM {pairs.physical_name}").fetchall()
    scored = linker.inference.predict(threshold_match_probability=0.01, warning_mode="never")
    names = [comparison.name for comparison in model.comparisons]
    needed = ("first_name", "last_name") * ("first_name" in names) + ("birth_date",) * ("birth_date" in names)
    both = ", ".join(f"p.{name} AS {name}_l, q.{name} AS {name}_r" for name in needed)
    connection.execute(f"""
        CREATE OR REPLACE TABLE scored AS
        SELECT l, r, weight, probability, coalesce({one_person(names)}, false) AS one_person
        FROM (
            SELECT s.id_l AS l, s.id_r AS r, s.match_weight AS weight, s.match_probability AS probability, {both or "0"}
            FROM {scored.physical_name} s JOIN people p ON p.id = s.id_l JOIN people q ON q.id = s.id_r
        )""")
    linker.table_management.delete_tables_created_by_splink_from_db()
    return int(compared)


def _links(connection: duckdb.DuckDBPyConnection, fields: tuple[str, ...], threshold: float) -> tuple[pa.Table, int]:
    """The links above the threshold, and how many pairs above it are held back, for a household explains them as well."""
    both = ", ".join(f"p.{kind} AS {kind}_l, q.{kind} AS {kind}_r" for kind in _columns(fields))
    names = ", ".join(literal(kind) for kind in fields)
    verdicts = ", ".join(
        f"CASE WHEN {kind}_l IS NOT NULL AND {kind}_r IS NOT NULL THEN coalesce({CLOSE[kind]}, false) END"
        for kind in fields
    )
    connection.execute(f"""
        CREATE OR REPLACE TABLE told AS
        WITH pairs AS (
            SELECT p.record AS "left", q.record AS "right", s.weight, s.probability, s.one_person, {both}
            FROM scored s JOIN people p ON p.id = s.l JOIN people q ON q.id = s.r
            WHERE s.probability >= {float(threshold)}
        ), judged AS (
            SELECT "left", "right", weight, probability, one_person, list_zip([{names}], [{verdicts}]) AS verdicts
            FROM pairs
        )
        SELECT "left", "right", weight, probability,
            list_transform(list_filter(verdicts, lambda v: v[2]), lambda v: v[1]) AS agreed,
            list_transform(list_filter(verdicts, lambda v: NOT v[2]), lambda v: v[1]) AS differed, one_person
        FROM judged""")
    [(held_back,)] = connection.execute("SELECT count(*) FROM told WHERE NOT one_person").fetchall()
    links = connection.sql('SELECT * EXCLUDE (one_person) FROM told WHERE one_person ORDER BY "left", "right"')
    return links.to_arrow_table().cast(LINKS), int(held_back)


def _columns(fields: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of `people` that agreement is told from."""
    names = {"first_name", "last_name", "full_name"} & set(fields)
    derived = ("first_name", "last_name", "name_parts", "last_parts") if names else ()
    return tuple(dict.fromkeys((*fields, *derived)))

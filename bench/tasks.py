"""What is measured, each as a process of its own: `python -m bench.tasks TASK FOLDER`.

A task reads the lake that `bench.generate` filled, does its work, and prints one line of JSON: CPU seconds by part (those
of starting Python and importing libraries as "start"), and, for tasks that are compared, a digest of their figures.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.world import MARTS_COPIED, TABLES_COPIED, open_bench, project

Told = dict[str, Any]


class Parts:
    """CPU seconds (user and system, all threads) by part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = 0.0
        self.done("start")

    def done(self, part: str) -> None:
        """Books what was spent since the last call on `part`."""
        now = time.process_time()
        self.seconds[part] = round(now - self._since, 2)
        self._since = now


def floor(root: Path) -> Told:
    """DuckDB sorts the canonical events by person and time and writes them, and copies each table that `ours` made."""
    from klantspoor.lake.connection import limited, literal, table_glob

    memory_mb = project().file.limits.memory_mb
    parts = Parts()
    run, out = root / "work" / "bench", root / "floor"
    out.mkdir(exist_ok=True)
    with limited(memory_mb, out / "scratch") as connection:

        def copy(query: str, name: str) -> None:
            target = literal(str(out / f"{name}.parquet"))
            connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd)")

        events = literal(str(run / "canonical" / "events.parquet"))
        copy(f'SELECT * FROM read_parquet({events}) ORDER BY person, "at"', "sorted")
        parts.done("sort events")
        for name in (*TABLES_COPIED, *MARTS_COPIED):
            files = literal(table_glob(run / "tables" / name))
            copy(f"SELECT * FROM read_parquet({files}, hive_partitioning = false)", name)
        parts.done("copy tables")
    return {"parts": parts.seconds}


def ours(root: Path) -> Told:
    """From the canonical events to all journey tables and marts."""
    from klantspoor import journeys, marts

    with open_bench(root) as staging:
        parts = Parts()
        report = journeys.build(project(), staging)
        parts.done("journeys")
        rows = dict(report.rows)
        for name in marts.MARTS:
            rows[name] = marts.build(name, project(), staging)
            parts.done(name)
    return {"parts": parts.seconds, "rows": rows}


def checks(root: Path) -> Told:
    """The checks of the journey tables and marts as a night runs them: Great Expectations or queries, by size."""
    return _checked(root, project().file.limits.gx_rows)


def queries(root: Path) -> Told:
    """The same checks, all as queries."""
    return _checked(root, 0)


def _checked(root: Path, limit: int) -> Told:
    from expectations.bridge import judge
    from klantspoor.dictionary import TABLES
    from klantspoor.lake.domain_rules import domain_rules, facts_of
    from klantspoor.lake.rules import table_rules

    with open_bench(root) as staging:
        parts, failed = Parts(), 0
        domain = domain_rules(facts_of(project()))
        for name in (*TABLES_COPIED, *MARTS_COPIED):
            rules = [*table_rules(TABLES[name]), *(rule for rule in domain if rule.table == name)]
            failed += sum(not verdict.passed for verdict in judge(staging, TABLES[name], rules, limit))
            parts.done(name)
    return {"parts": parts.seconds, "failed": failed}


def main(task: str, root: Path) -> None:
    """Runs one task and prints what it tells."""
    from bench import figures

    tasks: dict[str, Callable[[Path], Told]] = {
        "floor": floor,
        "ours": ours,
        "checks": checks,
        "queries": queries,
        "figures_ours": figures.ours,
        "figures_sql": figures.with_queries,
        "figures_pandas": figures.with_pandas,
        "figures_pm4py": figures.with_pm4py,
    }
    print(json.dumps(tasks[task](root)))


if __name__ == "__main__":
    os.environ.pop("KLANTSPOOR_PROJECT", None)
    main(sys.argv[1], Path(sys.argv[2]))

"""The measured series as the Markdown tables of docs/benchmarks.md. Standard library only."""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.measure import Run, Series

_LIBRARIES = ("duckdb", "numpy", "pyarrow", "pandas", "pm4py", "great-expectations")
_WAYS = {
    "figures_sql": "two queries on our published tables",
    "figures_ours": "our marts `directly_follows` and `variants`, from the published tables",
    "figures_pandas": "pandas, vectorised",
    "figures_pm4py": "PM4Py",
}


def tables(done: list[Series], command: str) -> str:
    """Everything measured in one run, with the command that made it.

    Raises:
        RuntimeError: where ways that should reckon the same figures do not.
    """
    by_task: dict[str, list[Series]] = {}
    for series in done:
        by_task.setdefault(series.task, []).append(series)
    parts = [_machine(command)]
    if "ours" in by_task:
        parts += [
            _against_floor(by_task["floor"], by_task["ours"]),
            _by_part(by_task["ours"]),
            _by_part(by_task["floor"]),
        ]
    if "figures_ours" in by_task:
        parts.append(_compared(by_task))
    if "checks" in by_task:
        parts.append(_checks(by_task["checks"], by_task["queries"]))
    return "\n\n".join(parts) + "\n"


def identity(lines: list[list[str]], command: str) -> str:
    """What `bench.identity` measured, a line for each part of the whole run and of a night."""
    header = ["CPU s, median", "whole ledger", "/ SciPy", "a night", "night / whole"]
    return f"{_machine(command)}\n\n{_table(header, lines)}\n"


Ran = dict[str, list[Run]]


def nights(done: dict[int, Ran], made: dict[int, dict[str, Any]], command: str) -> str:
    """What `bench.nights` measured: by part, and what a night costs beyond an empty one, as a share of the full run.

    `done` has by years of history the runs of "full", "empty" and the other nights; `made` what their ledgers hold.
    """
    texts = [_machine(command)]
    for years, ran in done.items():
        held = ", ".join(f"{number:,} {what}" for what, number in made[years].items())
        texts += [f"{years} year{'s' * (years > 1)} of history: {held}.", _by_night(ran)]
    return "\n\n".join([*texts, _beyond_empty(done)]) + "\n"


def _by_night(ran: Ran) -> str:
    names = list(dict.fromkeys(part for runs in ran.values() for part in runs[0].told["parts"]))
    rows = [[part, *(f"{_part(runs, part):.1f}" for runs in ran.values())] for part in names]
    rows.append(["all", *(f"{_all(runs):.1f}" for runs in ran.values())])
    rows.append(["peak, MiB", *(f"{max(run.peak_mb for run in runs):.0f}" for runs in ran.values())])
    return _table(["CPU s, least of", *(f"{name} ({len(runs)})" for name, runs in ran.items())], rows)


def _beyond_empty(done: dict[int, Ran]) -> str:
    """What the nights cost beyond an empty one: of the full run of their years, and of the same night after the fewest."""
    rows = []
    first = done[min(done)]
    for years, ran in done.items():
        empty, full = ran["empty"], _all(ran["full"])
        for name in (name for name in ran if name not in ("full", "empty")):
            most = sorted(ran[name][0].told["parts"], key=lambda part: _part(empty, part) - _part(ran[name], part))
            where = ", ".join(f"{part} {_part(ran[name], part) - _part(empty, part):.1f}" for part in most[:5])
            beyond, of_first = _all(ran[name]) - _all(empty), _all(first[name]) - _all(first["empty"])
            shares = (beyond / full, _all(ran[name]) / full, beyond / of_first if of_first > 0 else float("nan"))
            rows.append([f"{name}, {years} y", f"{beyond:.1f}", *(f"{share:.3f}" for share in shares), where])
    header = [
        "beyond an empty night",
        "CPU s",
        "/ full run",
        "whole night / full run",
        f"/ after {min(done)} y",
        "of which most",
    ]
    return _table(header, rows)


def _part(runs: list[Run], part: str) -> float:
    """The least of all rounds: what disturbs a run adds to it, and two nights differ by less than a busy machine adds."""
    return min(float(run.told["parts"].get(part, 0.0)) for run in runs)


def _all(runs: list[Run]) -> float:
    return sum(_part(runs, part) for part in runs[0].told["parts"])


def put(file: Path, text: str, of: str = "measured") -> None:
    """Replaces what stands between the two markers of `file` called `of`; adds them where there are none."""
    begin, end = f"<!-- {of}: begin -->", f"<!-- {of}: end -->"
    old = file.read_text(encoding="utf-8") if file.exists() else "# Benchmarks\n"
    if begin not in old:
        old += f"\n{begin}\n{end}\n"
    head, _, rest = old.partition(begin)
    _, _, tail = rest.partition(end)
    file.write_text(f"{head}{begin}\n{text}{end}{tail}", encoding="utf-8")


def _machine(command: str) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return (
        f"Made by `{command}` on {date.today().isoformat()}, on {os.cpu_count()} cores ({platform.machine()}), Python"
        f" {platform.python_version()}, {libraries}."
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spread(series: Series) -> str:
    least, median, most = series.cpu()
    return f"{median:.1f} ({least:.1f}-{most:.1f})"


def _size(events: int) -> str:
    return f"{events / 1e6:g}M" if events >= 100_000 else f"{events / 1e3:g}k"


def _against_floor(floor: list[Series], ours: list[Series]) -> str:
    header = ["events", "floor, CPU s", "ours, CPU s", "ours / floor", "floor, peak MiB", "ours, peak MiB"]
    rows = [
        [
            _size(b.events),
            _spread(a),
            _spread(b),
            f"{b.cpu()[1] / a.cpu()[1]:.2f}",
            f"{a.peak_mb():.0f}",
            f"{b.peak_mb():.0f}",
        ]
        for a, b in zip(floor, ours, strict=True)
    ]
    return _table(header, rows)


def _by_part(series: list[Series]) -> str:
    names = list(series[0].parts())
    title = "ours" if series[0].task == "ours" else series[0].task
    rows = [[name, *(f"{one.parts()[name]:.1f}" for one in series)] for name in names]
    return _table([f"{title}: CPU s by part", *(_size(one.events) for one in series)], rows)


def _compared(by_task: dict[str, list[Series]]) -> str:
    header = [
        "the same figures",
        "events",
        "CPU s (least-most)",
        "without start-up",
        "PM4Py / this, without start-up",
        "peak MiB",
    ]
    rows = []
    for number, pm4py in enumerate(by_task["figures_pm4py"]):
        digests = {run.told["digest"] for task in _WAYS for run in by_task[task][number].runs}
        if len(digests) != 1:
            raise RuntimeError(f"the ways do not agree about the figures at {pm4py.events} events")
        for task, way in _WAYS.items():
            one = by_task[task][number]
            ratio = pm4py.work() / one.work()
            rows.append(
                [way, _size(one.events), _spread(one), f"{one.work():.2f}", f"{ratio:.1f}", f"{one.peak_mb():.0f}"]
            )
    return _table(header, rows)


def _checks(checks: list[Series], queries: list[Series]) -> str:
    header = ["checks of journey tables and marts", "events", "CPU s", "peak MiB"]
    rows = [
        [way, _size(one.events), _spread(one), f"{one.peak_mb():.0f}"]
        for series, way in (
            (checks, "Great Expectations, queries for the largest tables"),
            (queries, "all as queries"),
        )
        for one in series
    ]
    return _table(header, rows)

"""`python -m bench`: makes events, measures, and writes the tables of docs/benchmarks.md.

What is measured is in `bench.tasks`; this process imports nothing heavy (see `bench.measure`).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from bench import report
from bench.measure import Series, rounds, run

ROOT = Path(__file__).parent.parent
COMPARED = ("figures_ours", "figures_sql", "figures_pandas", "figures_pm4py")


def size(text: str) -> int:
    """A number of events: 2500000, 2.5M, 20k.

    Raises:
        ValueError: for anything else.
    """
    unit = {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    return round(float(text.rstrip("kM")) * unit)


def _sizes(text: str) -> list[int]:
    return [size(part) for part in text.split(",") if part]


def main(arguments: list[str]) -> None:
    """Measures as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures Klantspoor beside others.")
    parser.add_argument("events", nargs="?", type=size, help="events, such as 2.5M; default 10M")
    parser.add_argument("--sizes", type=_sizes, help="several sizes, such as 2.5M,5M,10M,20M")
    parser.add_argument(
        "--compare", type=_sizes, default=None, help="at which of them PM4Py and pandas run; default 1M"
    )
    parser.add_argument("--check", type=_sizes, default=None, help="at which of them the checks run; default 1M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, default=ROOT / "bench-data", help="folder for the data; removed at the end"
    )
    parser.add_argument("--report", type=Path, help="file to write the tables to; default: only printed")
    chosen = parser.parse_args(arguments)
    sizes = chosen.sizes or [chosen.events or size("10M")]
    compare = [size("1M")] if chosen.compare is None else chosen.compare
    check = [size("1M")] if chosen.check is None else chosen.check
    done: list[Series] = []
    for events in sorted({*sizes, *compare, *check}):
        folder = chosen.data / f"{events}"
        print(f"{events:,} events: generating", flush=True)
        made = run("bench.generate", str(folder), str(events))
        print(f"  generated in {made.cpu:.0f} CPU s", flush=True)
        if events in sizes:
            # Ours first: it makes the tables that the floor copies.
            done += rounds(("ours", "floor"), folder, events, chosen.rounds)
        else:
            run("bench.tasks", "ours", str(folder))
        if events in compare:
            done += rounds(COMPARED, folder, events, chosen.rounds)
        if events in check:
            done += rounds(("checks", "queries"), folder, events, 1)
        shutil.rmtree(folder)
    command = f'make bench ARGS="{" ".join(arguments)}"' if arguments else "make bench"
    text = report.tables(done, command)
    print(text)
    if chosen.report:
        report.put(chosen.report, text)


if __name__ == "__main__":
    main(sys.argv[1:])

"""`python -m bench.nights [EVENTS_A_YEAR]`: what a night costs beside a full run, by stage, after one year and after two.

Every line is a process of its own. A full run publishes what the ledger of `bench.delivered` holds; on a copy of that lake
comes an *empty* night, in which only the clock moves on by a day, a *normal* one, which brings one more day, and a
*merging* one, in which 0.1 % of all persons are merged. Taking files in is no part of it: they lie in the ledger already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from bench import measure, report
from bench.__main__ import size

ROOT = Path(__file__).parent.parent
FULL, EMPTY, NORMAL, MERGING = "full", "empty", "normal", "merging"
NIGHTS = (EMPTY, NORMAL, MERGING)
Told = dict[str, Any]


def night(folder: Path, days: int, is_hot: bool) -> Told:
    """One night of the lake in `folder`, `days` after the last one of its history: CPU seconds by part."""
    from bench.daily import LAST
    from bench.delivered import as_of
    from bench.hot import hottest
    from bench.world import project
    from klantspoor import night as stage
    from klantspoor.lake import Lake

    parts: dict[str, float] = {"start": time.process_time()}
    hot: Told = {}
    inside = [0.0]  # of each part that is going on, what parts within it have taken

    @contextmanager
    def booked(name: str) -> Iterator[None]:
        since = time.process_time()
        inside.append(0.0)
        with hottest(hot, name) if is_hot else nullcontext():
            yield
        spent = time.process_time() - since
        parts[name] = parts.get(name, 0.0) + spent - inside.pop()
        inside[-1] += spent

    def timed(of: Any, name: str, part: str) -> None:
        inner = getattr(of, name)

        def outer(*arguments: Any, **named: Any) -> Any:
            with booked(part):
                return inner(*arguments, **named)

        setattr(of, name, outer)

    measured = stage.measured

    @contextmanager
    def step(staging: Any, name: str) -> Iterator[Any]:
        with booked(name), measured(staging, name) as noted:
            yield noted

    stage.measured = step
    timed(stage, "judge", "checks")
    timed(Lake, "publish", "publication")
    mine = project().model_copy(update={"root": str(folder)})
    limits = mine.file.limits
    lake = Lake(folder / "lake", timezone=mine.file.timezone, memory_mb=limits.memory_mb)
    version = stage.night(mine, lake, as_of(LAST + days))
    parts["rest"] = time.process_time() - sum(parts.values())
    return {"parts": parts, "hot": hot, "rows": version.manifest["tables"]}


def restored(kept: Path, lake: Path, laid_aside: Path | None = None) -> None:
    """Makes `lake` a copy of `kept`, all hard links but for `state/`, which nights write in place; adds a night's files."""
    shutil.rmtree(lake, ignore_errors=True)
    shutil.copytree(kept, lake, copy_function=os.link, ignore=shutil.ignore_patterns("work", ".lock"))
    if (kept / "state").is_dir():
        shutil.rmtree(lake / "state")
        shutil.copytree(kept / "state", lake / "state")
    if laid_aside is not None:
        for folder in sorted((laid_aside / "ledger").glob("[0-9]*")):
            shutil.copytree(folder, lake / "ledger" / folder.name, copy_function=os.link)


def rounds(folder: Path, count: int, nights: tuple[str, ...], is_hot: bool) -> dict[str, list[measure.Run]]:
    """The full run once, and the nights on top of it `count` times over, in an order that turns round each time.

    Once is enough of the full run, which is what shares are of; what nights cost beyond an empty one is a small difference.
    """
    ran: dict[str, list[measure.Run]] = {name: [] for name in (FULL, *nights)}
    for number in range(count):
        turned = nights if number % 2 == 0 else nights[::-1]
        for name in (FULL, *turned) if number == 0 else turned:
            if name == FULL:
                restored(folder / "lake", folder / "run" / "lake")
            else:
                aside = None if name == EMPTY else folder / "nights" / name
                restored(folder / "published", folder / "run" / "lake", aside)
            days = "0" if name == FULL else "1"
            one = measure.run("bench.nights", "--task", str(folder / "run"), days, *(["--hot"] if is_hot else []))
            ran[name].append(one)
            print(f"  {name:8} {one.cpu:8.1f} CPU s {one.peak_mb:6.0f} MiB: {_told(one)}", flush=True)
            if name == FULL:
                (folder / "run" / "lake").rename(folder / "published")
    shutil.rmtree(folder / "published")
    shutil.rmtree(folder / "run", ignore_errors=True)
    return ran


def _told(one: measure.Run) -> str:
    lines = ", ".join(f"{part} {seconds:.1f}" for part, seconds in one.told["parts"].items())
    for stage, functions in one.told["hot"].items():
        lines += f"\n    {stage}: " + "; ".join(f"{name} {seconds}" for name, seconds in functions)
    return lines


def main(arguments: list[str]) -> None:
    """Measures as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m bench.nights", description="Measures what a night costs.")
    parser.add_argument("events", nargs="?", type=size, default=size("10M"), help="events a year; default 10M")
    parser.add_argument("--years", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="of the nights; the full run is done once")
    parser.add_argument("--nights", type=lambda text: tuple(text.split(",")), default=NIGHTS, help=", ".join(NIGHTS))
    parser.add_argument(
        "--hot", action="store_true", help="tell by function where the CPU goes, which costs CPU itself"
    )
    parser.add_argument(
        "--data", type=Path, default=ROOT / "bench-data", help="folder for the data; removed at the end"
    )
    parser.add_argument("--report", type=Path, help="file to write the tables to; default: only printed")
    if arguments[:1] == ["--task"]:
        print(json.dumps(night(Path(arguments[1]), int(arguments[2]), "--hot" in arguments)))
        return
    chosen = parser.parse_args(arguments)
    done: dict[int, dict[str, list[measure.Run]]] = {}
    made: dict[int, Told] = {}
    for years in chosen.years:
        folder = chosen.data / f"{chosen.events}-{years}"
        print(f"{chosen.events:,} events a year, {years} years: generating", flush=True)
        generated = measure.run("bench.delivered", str(folder), str(chosen.events), str(years))
        made[years] = generated.told
        print(f"  generated in {generated.cpu:.0f} CPU s: {generated.told}", flush=True)
        done[years] = rounds(folder, chosen.rounds, chosen.nights, chosen.hot)
        shutil.rmtree(folder)
    command = f'make bench-nights ARGS="{" ".join(arguments)}"' if arguments else "make bench-nights"
    text = report.nights(done, made, command)
    print(text)
    if chosen.report:
        report.put(chosen.report, text, "nights")


if __name__ == "__main__":
    main(sys.argv[1:])

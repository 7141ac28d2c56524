"""`python -m bench.identity [LINKS]`: who is who, of a whole ledger and of a night, beside SciPy's bare components.

Every figure is CPU time, all threads, of a process of its own; the ledger is of `bench.links`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import measure, report
from bench.__main__ import size

ROOT = Path(__file__).parent.parent
PARTS = ("reading and encoding", "deciding", "keeping", "naming and writing")
Told = dict[str, Any]


def scipy(folder: Path) -> Told:
    """SciPy's connected components of what the whole run encoded: links from the first of each set to the others."""
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from klantspoor.identity.columns import Columns

    columns = Columns(folder / "lake" / "state" / "identity")
    start, member = columns.read("start"), columns.read("member")
    first = np.repeat(member[start[:-1]], np.diff(start))
    rest = np.flatnonzero(first != member)
    u, v, nodes = first[rest], np.asarray(member[rest]), columns.rows("key")
    since = time.process_time()
    graph = coo_array((np.ones(len(u), np.int8), (u, v)), shape=(nodes, nodes))
    connected_components(graph, directed=False)
    return {"deciding": time.process_time() - since, "links": columns.rows("first"), "pairs": len(u)}


def resolve(folder: Path) -> Told:
    """A night: whole where nothing is remembered."""
    from bench.links import START, TYPES
    from klantspoor.identity import carried, memory
    from klantspoor.identity import resolve as stage
    from klantspoor.lake import Lake
    from klantspoor.project.model import Project, ProjectFile

    told: Told = {}

    def timed(module: Any, name: str, part: str) -> None:
        inner = getattr(module, name)

        def outer(*arguments: Any) -> Any:
            since = time.process_time()
            made = inner(*arguments)
            told[part] = told.get(part, 0.0) + time.process_time() - since
            return made

        setattr(module, name, outer)

    timed(memory, "encode", "reading and encoding")
    timed(carried, "assign", "deciding")
    module = sys.modules["klantspoor.identity.resolve"]
    timed(module, "update", "all but tables")
    file = ProjectFile.model_validate(
        {"name": "b", "timezone": "UTC", "pseudonym_key": {"env": "K"}, "identifiers": TYPES}
    )
    lake = Lake(folder / "lake", timezone="UTC", memory_mb=1200)
    since = time.process_time()
    with lake.open_run("bench", START) as staging:
        found = stage(Project(root=str(folder), file=file, sources={}, journeys={}), lake, staging)
    whole = time.process_time() - since
    update = told.pop("all but tables")
    told["keeping"] = update - told["reading and encoding"] - told["deciding"]
    told["naming and writing"] = whole - update
    return told | {"identifiers": found.identifiers, "persons": found.persons, "shared": found.shared}


def rounds(folder: Path, count: int) -> dict[str, list[measure.Run]]:
    """Whole run, SciPy and night, `count` times over."""
    state, night = folder / "lake" / "state", folder / "lake" / "ledger" / f"{99_999_999:08d}-next"
    done: dict[str, list[measure.Run]] = {"scipy": [], "whole": [], "night": []}
    for number in range(count):
        if state.exists():
            shutil.rmtree(state)
        for task in ("whole", "scipy", "night"):
            if task == "night":
                shutil.copytree(folder / "next", night)
            one = measure.run("bench.identity", "--task", "scipy" if task == "scipy" else "resolve", str(folder))
            done[task].append(one)
            spent = ", ".join(f"{part} {one.told[part]:.2f}" for part in PARTS if part in one.told)
            print(f"  round {number + 1}, {task}: CPU s {spent}; peak {one.peak_mb:.0f} MiB", flush=True)
        shutil.rmtree(night)
    return done


def _median(runs: list[measure.Run], *parts: str) -> float:
    return statistics.median(sum(run.told[part] for part in parts) for run in runs)


def _made(shape: str, folder: Path, links: int) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    measure.run("bench.links", shape, str(folder), str(links))


def _lines(name: str, done: dict[str, list[measure.Run]]) -> list[list[str]]:
    whole, night = done["whole"], done["night"]
    bare = _median(done["scipy"], "deciding")
    lines = []
    named = [(part, (part,)) for part in PARTS] + [("all but naming and writing", PARTS[:3]), ("all", PARTS)]
    for title, parts in named:
        a, b = _median(whole, *parts), _median(night, *parts)
        beside = f"{a / bare:.2f}" if parts == ("deciding",) else ""
        lines.append([f"{name}: {title}", f"{a:.2f}", beside, f"{b:.2f}", f"{b / a:.3f}"])
    lines.append([f"{name}: SciPy's bare components", f"{bare:.2f}", "1", "", ""])
    peaks = [max(run.peak_mb for run in runs) for runs in (whole, night)]
    lines.append([f"{name}: peak, MiB", f"{peaks[0]:.0f}", "", f"{peaks[1]:.0f}", ""])
    return lines


def main(arguments: list[str]) -> None:
    """Measures as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m bench.identity", description="Measures who is who.")
    parser.add_argument("links", nargs="?", type=size, default=size("10M"), help="links, such as 1M; default 10M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--data", type=Path, default=ROOT / "bench-data", help="folder for the data; removed at the end"
    )
    parser.add_argument("--report", type=Path, help="file to write the table to; default: only printed")
    parser.add_argument("--task", choices=("scipy", "resolve"), help=argparse.SUPPRESS)
    if arguments[:1] == ["--task"]:
        tasks: dict[str, Callable[[Path], Told]] = {"scipy": scipy, "resolve": resolve}
        print(json.dumps(tasks[arguments[1]](Path(arguments[2]))))
        return
    chosen = parser.parse_args(arguments)
    lines = []
    shapes = [
        ("world", chosen.links),
        *(("chain", n) for n in (10_000, 100_000)),
        *(("hub", n) for n in (100_000, 1_000_000)),
    ]
    for shape, links in shapes:
        folder = chosen.data / f"{shape}-{links}"
        print(f"{shape} of {links:,} links", flush=True)
        _made(shape, folder, links)
        lines += _lines(f"{shape} of {links:,}", rounds(folder, chosen.rounds))
        shutil.rmtree(folder)
    command = f'make bench-identity ARGS="{" ".join(arguments)}"' if arguments else "make bench-identity"
    text = report.identity(lines, command)
    print(text)
    if chosen.report:
        report.put(chosen.report, text, "identity")


if __name__ == "__main__":
    main(sys.argv[1:])

"""`klantspoor demo`: a demo project with the files of a simulated energy supplier, made by the checkout's simulation.

Nothing of the simulation is here: the library knows nothing of it.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from klantspoor.cli.context import CommandError, checkout, console, open_project, plain, say


def register(app: typer.Typer) -> None:
    """Add the command of this file to the app."""
    app.command("demo")(demo)


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The demo project's folder: absent or empty.")] = Path(
        "demo"
    ),
    customers: Annotated[int, typer.Option(min=1, help="Simulated customers.")] = 2000,
    days: Annotated[int, typer.Option(min=2, help="Simulated days.")] = 180,
    seed: Annotated[int, typer.Option(help="The same seed and days give the same customers.")] = 1,
    end: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The last simulated day.", show_default="yesterday")
    ] = None,
) -> None:
    """Make a demo project: a simulated energy supplier, as its systems would export it.

    Example: klantspoor demo demo --customers 500 --days 90
    """
    root = checkout()
    if root is None or not (root / "simulation" / "project").is_dir():
        raise CommandError(
            "The demo's simulation is not in this installation: the wheel holds the library alone. "
            "Make the demo from a checkout of the source, where the folder 'simulation' is."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} is there already and not empty: name another folder, or remove it first.")
    shutil.copytree(root / "simulation" / "project", folder, dirs_exist_ok=True)
    simulation = _simulation(root)
    # Up to yesterday, so that the night that follows is the one that comes next on the clock, too.
    last = end.date() if end else datetime.now(_zone(root)).date() - timedelta(days=1)
    with console.status(f"Simulating {customers:,} customers for {days} days"):
        made = simulation.generate(folder, customers=customers, days=days, seed=seed, end=last)
    _make_key(folder)
    took = max(1, round(made.seconds))
    say(f"Made the demo project {folder}: {customers:,} customers, {days} days up to {last}, seed {seed}, in {took} s.")
    console.print(plain(f"  {folder}/landing    the files its systems exported", "dim"))
    console.print(plain(f"  {folder}/truth      what really happened; the nightly job never reads it", "dim"))
    night = _night_after(folder, last)
    say("Next, the night after its last day:")
    console.print(plain(f"klantspoor run --project {folder} --as-of {night}"), soft_wrap=True)


def _night_after(folder: Path, last: date) -> str:
    """The first nightly run that has all files: the day after the last, at the project's hour."""
    file = open_project(folder).file
    hour = time.fromisoformat(file.nightly_at)
    night = datetime.combine(last + timedelta(days=1), hour, ZoneInfo(file.timezone))
    return night.isoformat(timespec="minutes")


def _zone(root: Path) -> ZoneInfo:
    return ZoneInfo(open_project(root / "simulation" / "project").file.timezone)


def _simulation(root: Path) -> ModuleType:
    """The checkout's simulation, which lies beside the library and is not installed."""
    sys.path.insert(0, str(root))
    try:
        return importlib.import_module("simulation")
    finally:
        sys.path.remove(str(root))


def _make_key(folder: Path) -> None:
    """The demo's own key for pseudonyms, where its configuration wants one in a file."""
    from klantspoor.project.key import make_key

    name = open_project(folder).file.pseudonym_key.file
    if name is not None and not (folder / name).exists():
        make_key(folder / name)

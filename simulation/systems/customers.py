"""The CRM's customer list: every Sunday all customers again, comma-less semicolon CSV in Latin-1.

Belongs here: this list only. It holds no events.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from simulation.log import World
from simulation.people import Account, Person
from simulation.systems.export import set_landing_time, write_file

COLUMNS = "klantnummer;naam;email;telefoon;contractnummer;segment;mijn_account_id"


def _line(person: Person, account: Account) -> str:
    name = f"{person.first_name} {person.last_name}"
    return (
        f"{account.customer};{name};{account.email_raw};{account.phone_raw};{account.contract};"
        f"{account.segment};{person.login}"
    )


def export_days(world: World) -> list[date]:
    """The first day of the period and every Sunday."""
    days = [world.clock.day(index) for index in range(world.clock.days)]
    return [day for n, day in enumerate(days) if n == 0 or day.isoweekday() == 7]


def write(world: World, root: Path) -> int:
    """Write the lists; returns the number of lines."""
    clock, total = world.clock, 0
    accounts = [
        (account.active_from, _line(person, account))
        for person in world.people.persons
        for account in person.accounts
        if account.active_from is not None
    ]
    accounts.sort()
    folder = root / "klanten"
    folder.mkdir(parents=True, exist_ok=True)
    for day in export_days(world):
        until = clock.at(day, 23, 59)
        lines = [line for active, line in accounts if active <= until]
        path = folder / f"klanten_{day}.csv"
        write_file(path, "\n".join([COLUMNS, *lines, ""]), "latin-1")
        set_landing_time(path, clock, day)
        total += len(lines)
    return total

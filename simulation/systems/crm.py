"""The CRM: a semicolon CSV in Latin-1 with Dutch local times, one row per status change of a case.

Belongs here: the columns, their formats and the texts staff type. Half-way the period a column is renamed and one is
added.
"""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from simulation.clock import Clock
from simulation.log import CrmRow, World
from simulation.people import BLOCKED_CUSTOMER
from simulation.systems.export import Export, FileKind

OLD_COLUMNS = (
    "mutatie_id;zaaknummer;zaaktype;klantnummer;contractnummer;status;team;datum;einddatum;toelichting;email;"
    "telefoon;bedrag"
)
NEW_COLUMNS = OLD_COLUMNS.replace("klantnummer", "klant_nr") + ";kanaal_herkomst"
_NOTES = (
    "",
    "",
    "",
    "Mw./dhr. {name} teruggebeld, akkoord",
    "Klant {name} wacht op bevestiging",
    "Gesproken met {name}; belt liever na 17:00",
    "Zie e-mail van {email}",
    "Bereikbaar op {phone}, café op de hoek is tijdelijk adres",
    "{name} vroeg naar de coördinatie met de netbeheerder",
    'Adres volgens {name}: "Oranjestraße" gecorrigeerd',
)


def file_kind(clock: Clock) -> FileKind:
    """The landing files; the columns depend on the day."""
    change = clock.schema_change

    def header(day: date) -> str:
        return OLD_COLUMNS if day < change else NEW_COLUMNS

    def finish(line: str, day: date) -> str:
        return line.rpartition(";")[0] if day < change else line

    return FileKind("crm", ".csv", "latin-1", header, finish)


def local_texts(clock: Clock, seconds: npt.NDArray[np.int64]) -> list[str]:
    """Local clock readings the Dutch way: dd-mm-yyyy HH:MM:SS."""
    local = clock.local_seconds(seconds)
    days, inverse = np.unique(local // 86400, return_inverse=True)
    names = [datetime.fromordinal(719163 + day).strftime("%d-%m-%Y") for day in days.tolist()]
    rest = (local % 86400).tolist()
    return [
        f"{names[d]} {s // 3600:02d}:{s % 3600 // 60:02d}:{s % 60:02d}"
        for d, s in zip(inverse.tolist(), rest, strict=True)
    ]


def quoted(text: str) -> str:
    """A CSV field, quoted where needed."""
    if ";" in text or "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def _note(row: CrmRow, number: int) -> str:
    pick = (row.person.index * 31 + number * 17) % 40
    template = _NOTES[pick] if pick < len(_NOTES) else ""
    if not template:
        return ""
    name = f"{row.person.first_name} {row.person.last_name}"
    return quoted(template.format(name=name, email=row.account.email, phone=row.account.phone_raw))


def _line(row: CrmRow, case: str, number: int, moment: str, end: str) -> str:
    account = row.account
    active = account.active_from is not None and account.active_from <= row.t
    customer, contract = (account.customer, account.contract) if active else ("", "")
    if active and number % 240 == 7:
        customer = BLOCKED_CUSTOMER  # typed by somebody in a hurry; the contract still tells
    amount = f"{row.amount // 100},{row.amount % 100:02d}" if row.amount else ""
    return (
        f"M{number:08d};{case};{row.case_type};{customer};{contract};{row.status};{row.team};{moment};{end};"
        f"{_note(row, number)};{account.email_raw};{account.phone_raw};{amount};{row.origin}"
    )


def export(world: World) -> tuple[Export, list[CrmRow]]:
    """All lines, in the order in which they were written, with the rows they came from."""
    clock = world.clock
    rows = sorted((row for row in world.log.crm if row.t < clock.end), key=lambda row: row.t)
    times = np.array([row.t for row in rows], dtype=np.int64)
    ends = np.array([row.t_end for row in rows], dtype=np.int64)
    moments, end_texts = local_texts(clock, times), local_texts(clock, ends)
    lines = [
        _line(row, world.case_numbers[row.case], n, moments[n - 1], end_texts[n - 1] if row.t_end else "")
        for n, row in enumerate(rows, start=1)
    ]
    made = Export(
        name="crm",
        lines=lines,
        ids=[f"M{n:08d}" for n in range(1, len(rows) + 1)],
        times_us=times * 1_000_000,
        days=clock.day_index(times),
        keyed=np.array([bool(row.case) for row in rows], dtype=np.bool_),
        late=np.zeros(len(rows), dtype=np.bool_),
    )
    return made, rows

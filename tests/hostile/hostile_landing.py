"""What lands before each of the hostile project's nights: good files, and every kind of bad one. Holds no test."""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile import hostile_rows as rows
from tests.hostile.hostile_canaries import PEOPLE

FIRST = datetime(2026, 4, 2, 1, tzinfo=UTC)
SECOND = FIRST + timedelta(days=1)
THIRD = FIRST + timedelta(days=3)
EVIL_NAME = "evil <img src=x onerror=alert(1)> [red]\x1b[2J\n'; DROP TABLE intake;--.csv"


@dataclass(frozen=True)
class BadFile:
    """A file that is quarantined as a whole, with what is to be said of it."""

    name: str
    content: bytes
    reason: str
    detail: str
    column: str | None = None

    @property
    def source(self) -> str:
        return self.name.split("/")[0]


def _parquet(table: list[dict[str, object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table), sink)
    return sink.getvalue()


def orders_of(day: int, count: int) -> bytes:
    began = datetime(2026, 3, 28, 12) + timedelta(days=day)
    return _parquet([rows.order(100 * day + n, (5 * day + n) % 12, began + timedelta(minutes=n)) for n in range(count)])


def _payments(day: int) -> bytes:
    began = datetime(2026, 3, 28, 20) + timedelta(days=day)
    lines = [f"{rows.person(n).customer},{began + timedelta(minutes=n)},Paid\n" for n in range(10)]
    return rows.csv_file(lines, ("customer", "paid_at", "what"))


def _tickets(day: int) -> bytes:
    return rows.csv_file([rows.line(row) for row in rows.day_of_tickets(day)])


def _clients() -> bytes:
    people = [rows.person(n) for n in range(12)]
    lines = [f'{p.customer},{p.email},"{p.phone}","{p.name}"\n' for p in people]
    # A telephone that two customers share links nobody.
    lines += [f"C-7{n},,06 5555 5555,\n" for n in range(2)]
    lines += ["TEST-2,,,\n", f"{people[0].name},{people[0].phone}\n", f"{people[1].email}\n"]
    return rows.csv_file(lines, ("customer", "email", "phone", "name"))


def _among_good(bad: list[rows.Bad], good: list[str], header: bytes) -> bytes:
    """Bad row, good row, bad row, …: so that each bad one has a good one beside it."""
    return header + "".join(text for pair in zip([b.line for b in bad], good, strict=True) for text in pair).encode()


def good_beside(count: int) -> list[rows.Row]:
    return [rows.ticket(9000 + n, n % 12, f"2026-04-01 13:{n:02d}:00", "Asked beside") for n in range(count)]


def good_chats_beside(count: int) -> list[str]:
    return [rows.json.dumps(rows.chat(300 + n, n % 12, rows.BEGAN + n, "Chatted beside")) + "\n" for n in range(count)]


def first_night() -> dict[str, bytes]:
    """Four ordinary days; of letters nothing ever comes."""
    files = {f"tickets/day-{day}.csv": _tickets(day) for day in range(1, 5)}
    files |= {f"orders/day-{day}.parquet": orders_of(day, 20) for day in range(1, 5)}
    files["chats/day-4.jsonl"] = "".join(rows.day_of_chats()).encode()
    return files | {"payments/day-4.csv": _payments(4), "clients/all.csv": _clients()}


def second_night() -> dict[str, bytes]:
    """What is odd but can be used, row by row or whole; in the order of landing."""
    bad_tickets, bad_chats = rows.bad_tickets(), rows.bad_chats()
    header = (",".join(rows.COLUMNS) + "\n").encode()
    unreadable = [{"number": "9", "customer": PEOPLE[0].customer, "moment": b"\xff\xfe", "what": "Ordered"}] * 2
    odd = [rows.order(900, 1, datetime(2026, 3, 29, 2, 30)), rows.order(901, 1, datetime(2025, 10, 26, 2, 30))]
    return {
        "tickets/bad-rows.csv": _among_good(
            bad_tickets, [rows.line(row) for row in good_beside(len(bad_tickets))], header
        ),
        "tickets/hostile.csv": rows.csv_file([rows.line(row) for row in rows.hostile_tickets()]),
        "tickets/literal.csv": rows.csv_file([rows.line(row) for row in rows.literal_tickets()]),
        "tickets/again.csv": rows.csv_file([rows.line(row) for row in rows.repeated_tickets()]),
        "tickets/day-1-under-another-name.csv": _tickets(1),
        "chats/bad-rows.jsonl": _among_good(bad_chats, good_chats_beside(len(bad_chats)), b""),
        "chats/escapes.jsonl": "".join(rows.escaped_chats()).encode(),
        "orders/odd-times.parquet": _parquet(odd),
        "orders/odd-types.parquet": _parquet(unreadable),
        "orders/small.parquet": orders_of(5, 3),
        "payments/day-5.csv": _payments(5),
    }


def bad_files() -> list[BadFile]:
    """Every way in which a file as a whole cannot be used, each holding values that must not be told."""
    day, chats, orders = _tickets(2), "".join(rows.day_of_chats()).encode(), orders_of(2, 20)
    packed, packed_chats = gzip.compress(day, mtime=0), gzip.compress(chats, mtime=0)
    flipped = bytearray(packed)
    flipped[len(flipped) // 2] ^= 0xFF
    spoilt = bytearray(orders)
    spoilt[20:400] = b"\xff" * 380
    who = PEOPLE[0]
    renamed = day.replace(b",moment,", b",moments,", 1)
    evil = day.replace(b",moment,", b",moment\x1b[31m,", 1)
    # A first line of values, one of them much like the name of a column.
    headerless = f"T9,{who.customer},{who.email},Emil,{who.phone}\n".encode() + day.split(b"\n", 1)[1]
    latin = day.replace(b"Asked", "Gevraagd café".encode("latin-1"))
    unclosed = day + f'T9,"{who.customer},{who.email}\n'.encode() + headerless
    claims = rows.csv_file([f"{p.customer},{p.name},{p.email}\n" for p in PEOPLE], ("customer", "name", "email"))
    return [
        BadFile(f"tickets/{EVIL_NAME}", b"\n", "empty_file", "blank lines only"),
        BadFile("tickets/empty.csv", b"", "empty_file", "holds nothing"),
        BadFile("tickets/blank.csv", b"\n\n \n", "missing_column", "no column"),
        BadFile("tickets/latin.csv", latin, "wrong_encoding", "it is not utf-8 at byte "),
        BadFile("tickets/cut.csv.gz", packed[: len(packed) // 2], "unreadable_file", "ends too early"),
        BadFile("tickets/corrupt.csv.gz", bytes(flipped), "unreadable_file", "gzip"),
        BadFile("tickets/plain.csv.gz", day.replace(b"T2", b"T9"), "unreadable_file", "the gzip is corrupt"),
        BadFile("tickets/packed.csv", packed, "unreadable_file", "deliver it as NAME.gz"),
        BadFile("tickets/unclosed.csv", unclosed, "unreadable_file", "a quote that is never closed"),
        BadFile("tickets/renamed.csv", renamed, "missing_column", "Did you mean 'moments'", "moment"),
        BadFile("tickets/renamed-evil.csv", evil, "missing_column", "Did you mean 'moment\\x1b[31m'", "moment"),
        BadFile("tickets/headerless.csv", headerless, "missing_column", "no column 'activity', nor one"),
        BadFile("chats/wide.jsonl", chats.decode().encode("utf-16"), "wrong_encoding", "it is not utf-8"),
        BadFile("chats/cut.jsonl.gz", packed_chats[:-20], "unreadable_file", "ends too early"),
        BadFile("chats/renamed.jsonl", chats.replace(b'"what"', b'"whats"'), "missing_column", "'whats'", "what"),
        BadFile("orders/empty.parquet", b"", "empty_file", "not even a schema"),
        BadFile("orders/cut.parquet", orders[: len(orders) // 2], "unreadable_file", "cut off or corrupt"),
        BadFile("orders/corrupt.parquet", bytes(spoilt), "unreadable_file", "cut off or corrupt"),
        BadFile("orders/text.parquet", day, "unreadable_file", "not a whole Parquet file"),
        BadFile("orders/renamed.parquet", orders.replace(b"moment", b"Momant"), "missing_column", "'Momant'", "moment"),
        BadFile("claims/all.csv", claims, "expression_failed", "an expression fails (SyntaxException)"),
        # The last of all: it stands in `freshness` and on the pages.
        BadFile(f"tickets/zz {EVIL_NAME}", b"\n\n", "empty_file", "blank lines only"),
    ]


def land(root: Path, files: dict[str, bytes], last: datetime) -> None:
    """Write files below `root`, each landing a minute after the one before, the last of them an hour before `last`."""
    for number, (name, content) in enumerate(files.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        landed = (last - timedelta(hours=1, minutes=len(files) - number)).timestamp()
        os.utime(path, (landed, landed))


def land_second_night(root: Path) -> None:
    """All that lands before the second night; the bad files first, but for one, which is the newest of its source."""
    *bad, last = [(bad.name, bad.content) for bad in bad_files()]
    land(root, {**dict(bad), **second_night(), last[0]: last[1]}, SECOND)
    (root / "tickets" / "link.csv").symlink_to(root.parent / "klantspoor.yaml")

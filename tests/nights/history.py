"""What happens to a lake, as data: rows that come, decisions, changes of configuration, nights. Holds no test.

Every step says by itself what it does: no step refers to another, so that a history that fails can be made smaller by
leaving steps and rows out. `repr` of a history is the code that makes it again.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta

START = datetime(2024, 1, 1, tzinfo=UTC)
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
Moment = int
"""Microseconds since START."""


MOMENTS = ("at", "until", "need")


def instant(moment: Moment) -> datetime:
    return START + timedelta(microseconds=moment)


class _Short:
    """Shows only what differs from the defaults."""

    def __repr__(self) -> str:
        said = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}  # type: ignore[arg-type]
        shown = {name: _moment(value) if name in MOMENTS else repr(value) for name, value in said.items()}
        return f"{type(self).__name__}({', '.join(f'{name}={value}' for name, value in shown.items())})"


def _moment(value: Moment) -> str:
    """As a sum, the nearest minute and what is over."""
    days, rest = divmod(value + MINUTE // 2, DAY)
    minutes, over = divmod(rest, MINUTE)
    parts = [f"{days} * DAY", f"{minutes} * MINUTE" if minutes else "", str(over - MINUTE // 2)]
    return " + ".join(part for part in parts if part not in ("", "0"))


@dataclass(frozen=True, repr=False)
class Row(_Short):
    """A row of a source's file. Empty texts and None are values that are not there; which are used, config.py says."""

    source: str
    at: Moment
    activity: str = ""
    id: str = ""
    version: int | None = None
    until: Moment | None = None
    need: Moment | None = None
    tie: int | None = None
    channel: str = ""
    initiator: str = ""
    team: str = ""
    topic: str = ""
    persona: str = ""
    contract: str = ""
    order: str = ""
    claim: str = ""
    score: int | None = None
    customer: str = ""
    email: str = ""
    phone: str = ""
    tablet: str = ""
    cookie: str = ""


COLUMNS = tuple(field.name for field in fields(Row) if field.name != "source")
IDENTIFIERS = ("customer", "email", "phone", "tablet", "cookie")
Named = tuple[str, str]
"""Type and plain value of an identifier."""


@dataclass(frozen=True)
class Land:
    """These rows are delivered before the next night: one file for each source, or each a file of its own."""

    rows: tuple[Row, ...]
    apart: bool = False


@dataclass(frozen=True)
class Again:
    """A file that was delivered before (counting from 0) is delivered once more, under another name."""

    file: int


@dataclass(frozen=True)
class Decide:
    """What a steward decides: force, forbid, block or withdraw."""

    verb: str
    a: Named
    b: Named | None = None


@dataclass(frozen=True)
class Linkage:
    """A run of the comparison of records that found these pairs, each with its weight."""

    pairs: tuple[tuple[Named, Named, float], ...]


@dataclass(frozen=True)
class Forget:
    """Whoever has this identifier is forgotten."""

    who: Named


@dataclass(frozen=True)
class Configure:
    """From now on a knob of config.py stands at this option."""

    knob: str
    option: int


@dataclass(frozen=True)
class RollBack:
    """The pointer goes back by so many versions, as far as there are any."""

    versions: int


@dataclass(frozen=True)
class Lose:
    """What is only a cache goes: `lake/state`."""


@dataclass(frozen=True)
class ReadAgain:
    """A source's newest file leaves the ledger, and is read again (docs/operations.md)."""

    source: str


@dataclass(frozen=True)
class Sizes:
    """How much goes into a part of settled rows, how many files of state lie beside each other, when it is worth settling,
    and after how many nights that did all is built anew."""

    part: int
    files: int
    worth: float
    generations: int = 24


@dataclass(frozen=True, repr=False)
class Night(_Short):
    """A night at that moment, which may fail: `fails` says before or after what (world.py), and whether it is run again."""

    at: Moment
    fails: str = ""
    again: bool = False


Step = Land | Again | Decide | Linkage | Forget | Configure | RollBack | Lose | ReadAgain | Sizes | Night
History = tuple[Step, ...]


def show(history: History) -> str:
    """The code that makes a history again, a line for each step and row."""
    lines = []
    for step in history:
        if isinstance(step, Land):
            rows = "".join(f"\n        {row!r}," for row in step.rows)
            lines.append(f"    Land(({rows}\n    ), apart={step.apart}),")
        else:
            lines.append(f"    {step!r},")
    return "HISTORY = (\n" + "\n".join(lines) + "\n)\n"

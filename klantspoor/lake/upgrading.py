"""Whether a night may go on from what other software published, and the note by which people say that it may.

A release is told by the first two numbers of its version; what a release changes in the figures is
`klantspoor.upgrade`'s matter.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from klantspoor.dictionary import TABLES, Table
from klantspoor.errors import LakeError
from klantspoor.lake.durable import replace_text
from klantspoor.lake.publishing import dictionary_fingerprint, software
from klantspoor.lake.version import Version

NOTE = "upgrade.json"
_RELEASE = re.compile(r"(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Maker:
    """What makes tables: the software's version ("unknown" where it is not installed), and its dictionary's fingerprint."""

    software: str
    dictionary: str


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One thing that another dictionary changes: a whole table (`column` is None), or a column.

    `was` and `will_be` are types, None where there is none.
    """

    table: str
    column: str | None
    was: str | None
    will_be: str | None


def this_code() -> Maker:
    """The code that is running."""
    return Maker(software(), dictionary_fingerprint())


def maker_of(version: Version) -> Maker:
    """What made a version, by its manifest."""
    return Maker(str(version.manifest.get("software")), str(version.manifest.get("dictionary")))


def is_same(before: Maker, now: Maker) -> bool:
    """Whether figures go on as they were: one dictionary, one release. A version that is no number tells nothing."""
    releases = {found.groups() for maker in (before, now) if (found := _RELEASE.match(maker.software))}
    return before.dictionary == now.dictionary and len(releases) < 2


def refuse_unaccepted(root: Path, current: Version | None) -> None:
    """To be asked before a night begins, with the writer's place in hand.

    Raises:
        LakeError: where the current version is of another release or dictionary, and nobody accepted what that changes.
    """
    if current is None:
        return
    before, now = maker_of(current), this_code()
    if is_same(before, now):
        consume(root)  # a crash left it, or the upgrade was taken back
    elif _accepted(root) != (before, now):
        raise LakeError(
            f"{difference(current.name, before, now)}: published figures may change. `klantspoor upgrade` tells which,"
            " and `klantspoor upgrade --yes` accepts it; nothing was read or published"
        )


def difference(name: str, before: Maker, now: Maker) -> str:
    """In words, how two makers differ; `name` is the version that `before` made."""
    same = before.software == now.software
    made = f"version {name} was made by klantspoor {before.software}"
    parts = [f"{made} too" if same else f"{made}, this is {now.software}"]
    if before.dictionary != now.dictionary:
        parts.append("with another dictionary of tables")
    return ", ".join(parts)


def accept(root: Path, before: Maker, now: Maker, at: datetime) -> None:
    """Notes that the next publication may change what `before` made into what `now` makes."""
    said = {"from": asdict(before), "to": asdict(now), "accepted_at": at.isoformat()}
    replace_text(root / NOTE, json.dumps(said, indent=1) + "\n")


def consume(root: Path) -> None:
    """Takes the note away: what was accepted is published."""
    (root / NOTE).unlink(missing_ok=True)


def _accepted(root: Path) -> tuple[Maker, Maker] | None:
    """What was accepted. A note that cannot be read accepts nothing."""
    try:
        said = json.loads((root / NOTE).read_text("utf-8"))
        return Maker(**said["from"]), Maker(**said["to"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def schema_changes(version: Version) -> list[SchemaChange]:
    """How the dictionary's tables and columns differ from those that a version's files hold."""
    found = []
    before = {name for name in version.manifest["tables"] if (version.root / name).is_dir()}
    for name in sorted(before | set(TABLES)):
        if name not in TABLES:
            found.append(SchemaChange(name, None, "table", None))
        elif name not in before:
            found.append(SchemaChange(name, None, None, "table"))
        else:
            found += _column_changes(TABLES[name], version.root / name)
    return found


def _column_changes(table: Table, folder: Path) -> list[SchemaChange]:
    was = pq.read_schema(next(iter(sorted(folder.rglob("*.parquet")))))
    will_be = table.schema
    types = [{field.name: _words(field) for field in schema} for schema in (was, will_be)]
    names = dict.fromkeys([*was.names, *will_be.names])
    told = [SchemaChange(table.name, name, types[0].get(name), types[1].get(name)) for name in names]
    return [change for change in told if change.was != change.will_be]


def _words(field: pa.Field) -> str:
    """A type as readers see it: how texts are coded, and what the element of a list is called, makes no difference."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    said = f"list of {kind.value_type}" if pa.types.is_list(kind) else str(kind)
    return f"{said}{'' if field.nullable else ', never null'}"

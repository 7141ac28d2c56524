"""A plain identifier that somebody typed: its pseudonym, made exactly as at the gate, and whether a text gives it away.

The plain value goes no further than this module: what is handed back holds it only where `repr` does not show it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field

import pyarrow as pa

from klantspoor.errors import LakeError, NotFoundError
from klantspoor.identity.decisions import Identifier
from klantspoor.intake.identifiers import IdentifierMaker
from klantspoor.intake.ledger import Ledger
from klantspoor.intake.normalise import clean
from klantspoor.intake.pseudonyms import Pseudonymiser
from klantspoor.intake.sandbox import shared_connection
from klantspoor.lake import open_lake
from klantspoor.project.key import load_key
from klantspoor.project.model import Project

_ADDRESS = re.compile(r"[^@\s]@[^@\s]+\.[^@\s]")
_BETWEEN_DIGITS = re.compile(r"[\s().+/-]")
_FEWEST_DIGITS, _TELLING_DIGITS = 6, 8
_TELLING_LETTERS = 5


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed: the identifier, the guard that makes it nobody's (None: none does), and how it may be written."""

    identifier: Identifier
    guard: str | None
    spellings: tuple[str, ...] = field(repr=False)


def made_of(project: Project, kind: str, value: str) -> Typed:
    """The identifier of type `kind` that `value` is, cleaned, judged and pseudonymised as at the gate.

    Raises:
        ConfigError: the project's key cannot be read.
        LakeError: the key is not the one with which the ledger was made: no pseudonym would be found again.
        NotFoundError: the project has no such type, or nothing is left of the value after cleaning.
    """
    types = project.file.identifiers
    if kind not in types:
        # Not repeated: where the type was left out, it is the identifier itself.
        raise NotFoundError(f"That is not a type of identifier of this project; it has {', '.join(sorted(types))}.")
    keys = load_key(project)
    checks = {file.record.key_check for file in Ledger(open_lake(project).root).files()}
    if checks - {keys.check}:
        raise LakeError("the key is not the one with which the ledger was made: no identifier would be found with it")
    con = shared_connection("tools", project.file.limits.memory_mb)
    values = pa.array([value], pa.string())
    made = IdentifierMaker(con, Pseudonymiser(con, keys), types).column(kind, values)
    pseudonym, guard = made.pseudonyms[0].as_py(), made.guards[0].as_py()
    if pseudonym is None:
        raise NotFoundError(f"Nothing was given, or nothing is left of it after cleaning it as {kind}.")
    cleaned = clean(values, types[kind])[0][0].as_py()
    return Typed(Identifier(kind, pseudonym), guard, tuple(dict.fromkeys((value.strip(), cleaned))))


def gives_away(text: str, typed: list[Typed]) -> bool:
    """Whether a text holds one of the identifiers typed, in whatever case and with whatever between its digits."""
    folded = _folded(text)
    digits = _BETWEEN_DIGITS.sub("", folded)
    for spelling in (_folded(spelling) for one in typed for spelling in one.spellings):
        if re.search(rf"(?<!\w){re.escape(spelling)}(?!\w)", folded):
            return True
        if len(spelling) >= _TELLING_LETTERS and spelling in folded:
            return True
        bare = _BETWEEN_DIGITS.sub("", spelling)
        if bare.isdecimal() and len(bare) >= _FEWEST_DIGITS and bare[-_TELLING_DIGITS:] in digits:
            return True
    return False


def holds_address(text: str) -> bool:
    """Whether something in the text looks like an e-mail address."""
    return _ADDRESS.search(text) is not None


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()

"""Every exception Klantspoor raises on purpose, drawn as one tree.

No handling here: rooms raise these, the CLI and the Dagster assets turn them into exit codes and failures.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches


class KlantspoorError(Exception):
    """The root: catch this to catch everything Klantspoor raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a project file.

    `where` is the key inside the file ("phases[7].id"), `value` what stands there, `expected` what is allowed,
    `hint` what to do about it, and `rule` the domain rule it breaks ("R2"), where there is one. `level` is "error" or
    "warning"; `line` counts from 1, where it is known.
    """

    file: str
    where: str
    message: str
    value: str | None = None
    expected: str | None = None
    hint: str | None = None
    rule: str | None = None
    level: str = "error"
    line: int | None = None

    def __str__(self) -> str:
        file = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [f"{file}: {self.where}: {self.message}" if self.where else f"{file}: {self.message}"]
        if self.value is not None:
            parts.append(f"found: {self.value}")
        if self.expected is not None:
            parts.append(f"expected: {self.expected}")
        if self.hint is not None:
            parts.append(self.hint)
        if self.rule is not None:
            parts.append(f"[{self.rule}]")
        return "; ".join(parts)


class ConfigError(KlantspoorError):
    """The project's files hold mistakes; `problems` lists all of them at once."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class IntakeError(KlantspoorError):
    """A whole landing file cannot be used; the caller quarantines it with `reason` and `detail`.

    `reason` is one of the file reasons of the quarantine table ("unreadable", "missing_column", …).
    """

    def __init__(self, reason: str, detail: str, column: str | None = None) -> None:
        self.reason = reason
        self.detail = detail
        self.column = column
        super().__init__(f"{reason}: {detail}")


class UnavailableError(KlantspoorError):
    """A landing file cannot be read to its end, for a reason that lies in the disk or network and not in the file."""


class LakeError(KlantspoorError):
    """The lake is not in the state that was asked for: nothing published yet, a foreign folder, a second writer."""


class BackupError(KlantspoorError):
    """A back-up cannot be made there, is damaged, or cannot be restored there; nothing was changed."""


class TruthError(KlantspoorError):
    """A file that says what really happened cannot be used: it cannot be read, lacks a column, or contradicts itself."""


class NotFoundError(KlantspoorError):
    """What was asked for by name does not exist; the message names the nearest that does."""


class MissingExtraError(KlantspoorError):
    """A part of Klantspoor that is installed on request is asked for and not there; the message says how to get it."""

    def __init__(self, extra: str) -> None:
        self.extra = extra
        super().__init__(
            f"this needs the optional extra {extra!r}, which is not installed: pip install 'klantspoor[{extra}]'"
        )


class LinkageError(KlantspoorError):
    """Records cannot be compared: a column is missing, an id stands twice, or Splink gave up; never with their values."""


class PublicationStoppedError(KlantspoorError):
    """A critical check failed, or a source whose absence stops publication did not come."""


def did_you_mean(name: str, known: list[str] | tuple[str, ...] | set[str]) -> str | None:
    """The hint "Did you mean …?" for the names nearest to `name`, or None where nothing is near."""
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(repr(n) for n in near)}?" if near else None

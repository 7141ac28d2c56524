"""A report as plain values by name, for whoever keeps figures of runs (Dagster's metadata)."""

from __future__ import annotations

from klantspoor.report.model import NightReport
from klantspoor.report.terminal import terminal_lines
from klantspoor.report.words import harmless

Value = str | int | float | list[str]


def report_metadata(report: NightReport) -> dict[str, Value]:
    """The figures that are worth following over the nights, and all the lines under `night report`; unknown ones are left out."""
    values: dict[str, Value | None] = {
        "files": report.files,
        "rows that came": report.rows,
        "complete up to": report.complete_up_to.isoformat() if report.complete_up_to is not None else None,
        "provisional since": report.provisional_since,
        "odd": [harmless(f"{finding.subject}: {finding.says}") for finding in report.findings],
        "warnings": len(report.warnings),
        "seconds": round(report.seconds, 1),
        "peak memory (MiB)": round(report.memory_mb) if report.memory_mb is not None else None,
        "night report": list(terminal_lines(report)),
    }
    return {name: value for name, value in values.items() if value is not None}

"""What the step `ledger` notes of what it took in."""

from __future__ import annotations

from typing import Any

from klantspoor.intake import IntakeReport
from klantspoor.lake.diary import Step


def intake_facts(step: Step, report: IntakeReport) -> None:
    """Write down in the step what the night took in, what could not be used, and what was left for the next night."""
    left = [*report.of("refused"), *report.of("changing")]
    facts: dict[str, Any] = {
        "used": len(report.of("used")),
        "quarantined": [file.detail for file in report.of("quarantined")],
        "left": [f"{file.file}: {file.detail}" for file in left],
        "events": report.total("events_made"),
    }
    step.rows_in = report.total("rows_read")
    step.facts = facts
    step.odd = "; ".join([*facts["quarantined"], *facts["left"]]) or None

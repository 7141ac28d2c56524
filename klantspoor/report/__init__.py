"""The night report: what came in, what did not, what was odd, what changed, what was published, and what it took."""

from klantspoor.report.ending import Ending, close_night
from klantspoor.report.kept import kept, last
from klantspoor.report.mail import mail
from klantspoor.report.metadata import report_metadata
from klantspoor.report.model import NightReport
from klantspoor.report.noting import intake_facts
from klantspoor.report.terminal import terminal_lines

__all__ = [
    "Ending",
    "NightReport",
    "close_night",
    "intake_facts",
    "kept",
    "last",
    "mail",
    "report_metadata",
    "terminal_lines",
]

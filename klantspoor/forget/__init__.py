"""Forgetting a person: erased from all that versions are made from, kept out by tombstones, proved by a search."""

from klantspoor.forget.person import person_with
from klantspoor.forget.request import Request, pending
from klantspoor.forget.scan import Needles, Scan, Trace, needles, scan
from klantspoor.forget.steps import Progress, forget, resume_all

__all__ = [
    "Needles",
    "Progress",
    "Request",
    "Scan",
    "Trace",
    "forget",
    "needles",
    "pending",
    "person_with",
    "resume_all",
    "scan",
]

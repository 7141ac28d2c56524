"""Canonical events: deduplicated, with their person, filed as the tables `events`, `intake` and `quarantine`."""

from klantspoor.events.build import EventsReport, build

__all__ = ["EventsReport", "build"]

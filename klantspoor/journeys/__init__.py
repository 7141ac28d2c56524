"""The kernel: from canonical events to journeys, touchpoints, phases and waits, in linear passes over columns."""

from klantspoor.journeys.build import JourneysReport, build

__all__ = ["JourneysReport", "build"]

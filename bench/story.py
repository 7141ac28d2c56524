"""What happens in the benchmark's journeys: the steps of each type, in order, with their chances and delays.

Data only; `bench.generate` draws events from it, `bench/project` maps the activities.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step: it happens with probability `share`, some `delay` hours (median) after the one before.

    `lasts` is in minutes (median), 0 for none. A step of the crm carries its journey's case key.
    """

    source: str
    activity: str
    channel: str | None
    initiator: str
    team: str | None
    share: float
    delay: float
    lasts: float = 0.0


@dataclass(frozen=True, slots=True)
class Story:
    """One journey type: how many of them a person begins in a year, on average, and their steps."""

    journey: str
    case_key: str | None
    per_person: float
    topic: str
    steps: tuple[Step, ...]


def _web(activity: str, share: float, delay: float) -> Step:
    return Step("web", activity, "web", "customer", None, share, delay)


def _call(activity: str, share: float, delay: float) -> Step:
    return Step("phone", activity, "phone", "customer", None, share, delay, 6.0)


def _sent(activity: str, share: float, delay: float) -> Step:
    return Step("crm", activity, "message", "organisation", "Front Office", share, delay)


def _inside(activity: str, team: str, share: float, delay: float, lasts: float = 0.0) -> Step:
    return Step("crm", activity, None, "organisation", team, share, delay, lasts)


def _rated(activity: str, share: float) -> Step:
    return Step("survey", activity, "survey", "customer", None, share, 30.0)


_MOVING = (
    _web("Moving Info Viewed", 0.7, 0.0),
    _web("Moving Info Viewed", 0.4, 0.05),
    _web("Moving Checklist Viewed", 0.3, 0.1),
    _call("Moving Question", 0.15, 20.0),
    _web("Logged In", 0.6, 30.0),
    _web("Dashboard Viewed", 0.5, 0.02),
    _web("Move Form Started", 0.8, 0.05),
    _web("Move Submitted", 0.85, 0.15),
    _sent("Receipt Sent", 0.95, 0.01),
    _inside("Move Registered", "Intake", 1.0, 0.0),
    _inside("Move Taken Up", "Intake", 0.95, 20.0, 15.0),
    _inside("Address Checked", "Intake", 0.8, 2.0, 10.0),
    _sent("Papers Asked", 0.3, 4.0),
    _web("Papers Sent", 0.27, 40.0),
    _inside("Move Handed Over", "Connections", 0.7, 18.0),
    _inside("Sent To Grid Operator", "Connections", 0.5, 12.0),
    _call("Move Status Asked", 0.2, 60.0),
    _inside("Back From Grid Operator", "Connections", 0.48, 30.0),
    _inside("Contract Changed", "Connections", 0.9, 10.0, 20.0),
    _sent("Move Confirmed", 0.9, 1.0),
    _sent("Move Cancelled", 0.04, 10.0),
    _sent("Reading Asked", 0.85, 90.0),
    _web("Reading Submitted", 0.7, 20.0),
    _inside("Final Bill Prepared", "Billing", 0.85, 70.0, 25.0),
    _sent("Final Bill Sent", 0.85, 5.0),
    _web("Final Bill Viewed", 0.5, 10.0),
    _call("Final Bill Question", 0.08, 30.0),
    _rated("Move Rated", 0.2),
)
_REPAIRING = (
    _web("Fault Page Viewed", 0.5, 0.0),
    _web("Fault Page Viewed", 0.3, 0.02),
    _web("Fault Reported", 0.5, 0.1),
    _call("Fault Call", 0.55, 0.5),
    _sent("Fault Received", 0.9, 0.02),
    _inside("Fault Registered", "Service", 1.0, 0.0),
    _inside("Fault Diagnosed", "Service", 0.9, 3.0, 12.0),
    _inside("Part Ordered", "Stores", 0.25, 4.0),
    _call("Repair Status Asked", 0.2, 30.0),
    _inside("Part Delivered", "Stores", 0.24, 40.0),
    _inside("Engineer Planned", "Planning", 0.8, 6.0, 5.0),
    _sent("Appointment Made", 0.85, 0.1),
    _sent("Appointment Moved", 0.12, 24.0),
    Step("crm", "Engineer Visited", "visit", "organisation", "Field", 0.8, 48.0, 45.0),
    _inside("Repair Closed", "Field", 0.9, 0.2, 3.0),
    _sent("Repair Confirmed", 0.88, 2.0),
    _rated("Repair Rated", 0.15),
)
_PAYING = (
    Step("crm", "Bill Sent", "message", "system", None, 0.95, 0.0),
    _web("Logged In", 0.5, 40.0),
    _web("Bill Viewed", 0.6, 0.02),
    _web("Bill Viewed", 0.2, 0.05),
    _call("Bill Question", 0.25, 20.0),
    _web("Bill Chat", 0.12, 2.0),
    _inside("Bill Checked", "Billing", 0.3, 12.0, 15.0),
    _call("Bill Chased", 0.07, 70.0),
    _inside("Bill Corrected", "Billing", 0.12, 20.0, 8.0),
    Step("crm", "Reminder Sent", "message", "system", None, 0.2, 160.0),
    _web("Bill Paid", 0.5, 60.0),
    _inside("Payment Booked", "Billing", 0.9, 14.0, 1.0),
    Step("crm", "Bill Settled", "message", "system", None, 0.85, 1.0),
    _rated("Bill Rated", 0.05),
)
_RENEWING = (
    _web("Offers Viewed", 0.7, 0.0),
    _web("Offers Viewed", 0.5, 0.03),
    _web("Offers Viewed", 0.4, 60.0),
    _call("Offer Question", 0.2, 20.0),
    _web("Logged In", 0.4, 24.0),
    _web("Dashboard Viewed", 0.3, 0.02),
    _web("Offer Asked", 0.7, 0.1),
    _inside("Renewal Opened", "Sales", 1.0, 0.05),
    _inside("Offer Calculated", "Sales", 0.9, 8.0, 10.0),
    _inside("Offer Approved", "Control", 0.4, 16.0, 4.0),
    _sent("Offer Sent", 0.95, 2.0),
    _sent("Offer Reminder Sent", 0.4, 150.0),
    _web("Offer Accepted", 0.6, 40.0),
    _inside("Contract Written", "Sales", 0.6, 6.0, 20.0),
    _sent("Contract Sent", 0.6, 1.0),
    _web("Contract Viewed", 0.3, 12.0),
    _sent("Contract Ended", 0.25, 100.0),
    _rated("Renewal Rated", 0.15),
)

STORIES: tuple[Story, ...] = (
    Story("moving", "moving_case", 0.5, "moving", _MOVING),
    Story("paying", None, 1.2, "bills", _PAYING),
    Story("renewing", "renewal_case", 0.6, "renewal", _RENEWING),
    Story("repairing", "repair_case", 0.8, "faults", _REPAIRING),
)
TOPICS: tuple[str, ...] = tuple(story.topic for story in STORIES)
PERSONAS: tuple[str, ...] = ("at home", "on the move", "saver", "business")

"""What customers say when asked: who is invited to a survey, who answers, and the score they give.

Belongs here: the invitations and the scores. The words of the comments are the exporter's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.clock import DAY, HOUR
from simulation.log import SurveyRow

if TYPE_CHECKING:
    from simulation.story import Story

_SCALES = {"NPS": (0, 10), "CES": (1, 7), "CSAT": (1, 5)}
_EXPECTED_DAYS = {"moving": 5.0, "joining": 5.0, "outage": 1.0, "billing": 3.0}
_ANSWER_SHARE = {"NPS": 0.24, "CES": 0.18, "CSAT": 0.16}


def satisfaction(story: Story) -> float:
    """How content the customer is by now, 0 to 1: spoilt by waiting for us, by chasing, by what went wrong."""
    late = max(0.0, story.org_seconds / DAY - _EXPECTED_DAYS[story.kind])
    return max(0.0, min(1.0, 0.88 - 0.035 * late - 0.11 * story.chases - story.grief))


def invite(story: Story, instrument: str, *, call: int = -1) -> None:
    """Send a survey; most people never answer it, the discontented a little more often."""
    rng = story.rng
    low, high = _SCALES[instrument]
    feeling = max(0.0, min(1.0, satisfaction(story) + rng.gauss(0, 0.14)))
    sent = story.t + int(rng.uniform(0.2, 1.5 if call >= 0 else 30) * HOUR)
    answers = rng.random() < _ANSWER_SHARE[instrument] * (1.25 if feeling < 0.5 else 1)
    answered = story.world.clock.next_waking(sent + 120 + int(rng.expovariate(1 / (0.8 * DAY)))) if answers else 0
    row = SurveyRow(
        sent=sent,
        answered=answered,
        person=story.person,
        journey=story.key,
        phase=story.phase,
        instrument=instrument,
        score=round(low + feeling * (high - low)) if answers else -1,
        account=story.account,
        case=story.case,
        call=call,
    )
    story.world.log.surveys.append(row)


def after_call(story: Story, call: int) -> None:
    """Two in five calls are followed by the question how satisfied the caller is."""
    if story.rng.random() < 0.4:
        invite(story, "CSAT", call=call)


def after_contact(story: Story) -> None:
    """How hard was it: asked when we have settled something."""
    if story.rng.random() < 0.5:
        invite(story, "CES")


def after_journey(story: Story) -> None:
    """Would you recommend us: asked at the end."""
    if story.rng.random() < 0.7:
        invite(story, "NPS")

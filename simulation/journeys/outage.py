"""Solving an outage: notice it, report it, wait for the repair, check that it works, close (with a compensation)."""

from __future__ import annotations

from simulation import voice
from simulation.clock import BACK_OFFICE, DAY, HOUR, OUTAGE_DESK
from simulation.story import Step, Story, partner
from simulation.vocabulary import NOBODY, ORGANISATION


def tell(story: Story) -> None:
    """The whole story; the desk works day and night until the repair."""
    story.hours = OUTAGE_DESK
    story.patience_days = 0.9
    story.need = story.t
    story.t += int(story.rng.uniform(180, 5400))
    _noticing(story)
    _reporting(story)
    _repair(story)
    _checking(story)
    _closing(story)


def _noticing(story: Story) -> None:
    rng = story.rng
    story.phase = "noticing"
    if rng.random() < 0.7:
        story.browse("Outage Map Viewed", *["Outage Info Viewed"] * (rng.random() < 0.6), login=rng.random() < 0.08)
        story.wait(NOBODY, rng.uniform(60, 2 * HOUR))


def _reporting(story: Story) -> None:
    rng = story.rng
    story.phase = "reporting"
    by_phone = rng.random() < 0.6
    if by_phone:
        story.call("storing melden", minutes=5, since=story.need)
    else:
        story.browse("Outage Reported", login=rng.random() < 0.45, since=story.need)
    story.open_case("Storing geregistreerd", "telefoon" if by_phone else "web")
    story.wait(ORGANISATION, rng.uniform(30, 600))
    story.message("Meldingsbevestiging verstuurd", "Storingsdienst")


def _repair(story: Story) -> None:
    rng = story.rng
    story.phase = "repair"
    story.work(Step("Storing beoordeeld", "Storingsdienst", 1.5, 20), chase="storing status")
    if rng.random() < 0.35:
        story.visit("Outage Status Viewed", login=rng.random() < 0.7)
    if rng.random() < 0.65:
        story.work(partner(1.2), chase="storing status")
    else:
        story.work(Step("Overgedragen aan Monteursplanning", "Monteursplanning", 5), chase="storing status")
        story.message("Monteur ingepland", "Monteursplanning")
        story.wait(ORGANISATION, rng.uniform(4, 40) * HOUR)
        story.wait(ORGANISATION, story.world.clock.next_open(story.t, BACK_OFFICE) - story.t)
        story.message("Monteursbezoek uitgevoerd", "Monteursplanning")
    story.wait(ORGANISATION, rng.uniform(600, 5 * HOUR))


def _checking(story: Story) -> None:
    rng = story.rng
    story.phase = "checking"
    story.message("Storing verholpen gemeld", "Storingsdienst")
    voice.after_contact(story)
    if rng.random() < 0.17:
        story.grief += 0.25
        story.wait(NOBODY, rng.uniform(0.5, 20) * HOUR)
        story.call("storing niet opgelost", minutes=7)
        story.work(
            Step("Storing beoordeeld", "Storingsdienst", 3, 25),
            *[partner(1)] * (rng.random() < 0.7),
            chase="storing status",
        )
        story.message("Storing verholpen gemeld", "Storingsdienst")
    elif rng.random() < 0.25:
        story.wait(NOBODY, rng.uniform(0.3, 8) * HOUR)
        story.visit("Outage Status Viewed", login=rng.random() < 0.6)


def _closing(story: Story) -> None:
    rng = story.rng
    story.phase = "closing"
    story.hours = BACK_OFFICE
    story.patience_days = 7
    if rng.random() < 0.35:
        story.think(1.5)
        by_phone = rng.random() < 0.4
        if by_phone:
            story.call("compensatie aanvragen", minutes=8)
        else:
            story.visit("Compensation Info Viewed", "Compensation Requested", login=rng.random() < 0.85)
        story.work(
            Step("Overgedragen aan Klachtenteam", "Klachtenteam", 8),
            Step("Compensatie beoordeeld", "Klachtenteam", 60, 75),
            chase="compensatie status",
        )
        granted = rng.random() < 0.65
        story.grief += -0.15 if granted else 0.2
        status = "Compensatie toegekend" if granted else "Compensatie afgewezen"
        story.message(status, "Klachtenteam", amount=rng.randint(1500, 9000) if granted else 0)
    else:
        story.wait(NOBODY, rng.uniform(0.5, 2) * DAY)
        story.message("Afsluitbericht verstuurd", "Storingsdienst")
    story.internal("Zaak gesloten", "Klantenservice")
    voice.after_journey(story)

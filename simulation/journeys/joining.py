"""Becoming a customer, or taking a new contract: orientation, comparing, ordering, switching, the first bill."""

from __future__ import annotations

from datetime import timedelta

from simulation import voice
from simulation.clock import DAY, HOUR
from simulation.story import Step, Story, partner
from simulation.vocabulary import CUSTOMER, NOBODY, ORGANISATION

_CAMPAIGNS = ("", "", "", "google_ads", "vergelijker", "voorjaarsactie", "buurtactie")


def tell(story: Story) -> None:
    """The whole story; those who drop out keep the phase in which they did."""
    _orientation(story)
    if not _comparing(story):
        return
    _ordering(story)
    if _switching(story):
        _first_bill(story)


def _orientation(story: Story) -> None:
    rng = story.rng
    story.phase = "orientation"
    for _ in range(rng.choices((1, 2, 3), (0.45, 0.35, 0.2))[0]):
        pages = ["Landing Page Viewed"] * (rng.random() < 0.6) + ["Tariffs Viewed"]
        pages += ["Green Energy Viewed"] * (rng.random() < 0.4)
        story.visit(*pages, campaign=rng.choice(_CAMPAIGNS), login=story.known and rng.random() < 0.25)
        story.think(3)


def _comparing(story: Story) -> bool:
    rng = story.rng
    story.phase = "comparing"
    for _ in range(1 + (rng.random() < 0.35)):
        story.visit("Offer Calculated", "Offers Compared", login=story.known and rng.random() < 0.3)
        story.think(1.5)
    if rng.random() < 0.2:
        story.call("overstap vraag", minutes=9)
        story.think(1.5)
    if rng.random() < 0.4:
        story.visit("Offers Compared", "Offer Saved")
        story.open_case("Overstap geregistreerd", "web")
        story.message("Aanbod verstuurd", "Verkoop", amount=rng.randint(9000, 26000))
        if rng.random() < 0.2:
            story.outcome = "abandoned"
            return False
        story.think(4, CUSTOMER)
    elif rng.random() < 0.22:
        story.outcome = "abandoned"
        return False
    return True


def _ordering(story: Story) -> None:
    rng = story.rng
    story.phase = "ordering"
    if rng.random() < 0.15:
        story.visit("Order Started", "Order Details Completed", login=story.known)
        story.think(1.5)
    was_known = story.known
    pages = ["Order Started", "Order Details Completed", "Order Placed"]
    if not was_known and rng.random() < 0.8:
        pages.append("Account Created")
    story.visit(*pages, login=was_known)
    story.known = True
    if story.account.active_from is None:
        story.account.active_from = story.t
    if story.case:
        story.wait(ORGANISATION, rng.uniform(5, 90))
    else:
        story.open_case("Overstap geregistreerd", "web")
    story.wait(ORGANISATION, rng.uniform(60, 900))
    story.message("Opdrachtbevestiging verstuurd", "Verkoop")


def _switching(story: Story) -> bool:
    rng = story.rng
    story.phase = "switching"
    story.work(Step("Kredietcheck uitgevoerd", "Acceptatie", 16, 25), chase="overstap status")
    if rng.random() < 0.05:
        story.message("Aanvraag afgewezen", "Acceptatie")
        story.outcome = "rejected"
        story.grief += 0.4
        voice.after_journey(story)
        return False
    if rng.random() < 0.22:
        story.ask_customer("Gegevens opgevraagd bij klant", "Document Uploaded", "gegevens aanvullen", 3)
    if rng.random() < 0.3:
        story.wait(ORGANISATION, rng.uniform(0.3, 1.5) * DAY)
        story.visit("Dashboard Viewed", "Switch Status Viewed", login=True)
    story.work(
        Step("Overgedragen aan Aansluitingen", "Aansluitingen", 8),
        partner(5),
        Step("Contract aangepast", "Aansluitingen", 16 if rng.random() < 0.85 else 96, 30),
        chase="overstap status",
    )
    story.message("Startdatum bevestigd", "Aansluitingen")
    voice.after_contact(story)
    story.wait(NOBODY, rng.uniform(4, 14) * DAY)
    story.message("Levering gestart", "Aansluitingen")
    return True


def _first_bill(story: Story) -> None:
    rng, clock = story.rng, story.world.clock
    story.phase = "first_bill"
    story.wait(NOBODY, rng.uniform(24, 31) * DAY)
    day = clock.day((story.t - clock.start) // DAY + 1)
    run = clock.at(day, 1, 30) + int(rng.uniform(0, 2.5) * HOUR)  # the nightly run: 01:30 to 04:00
    story.wait(NOBODY, max(1, run - story.t))
    story.internal("Termijnnota aangemaakt in nachtrun", "Systeem")
    sent = clock.at(day + timedelta(days=rng.choice((0, 1))), 9, rng.randrange(60))
    story.wait(ORGANISATION, sent - story.t)
    story.message("Eerste nota verstuurd", "Facturatie", amount=rng.randint(8000, 28000))
    if rng.random() < 0.6:
        story.think(2)
        story.visit("Dashboard Viewed", "Invoice Viewed", login=True)
        if rng.random() < 0.25:
            story.wait(NOBODY, rng.uniform(600, DAY))
            story.call("eerste nota vraag", minutes=7)
    story.internal("Zaak gesloten", "Klantenservice")
    voice.after_journey(story)

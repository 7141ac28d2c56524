"""Moving house: look around, report the move, have it arranged, move in and read the meter, get the final bill."""

from __future__ import annotations

from simulation import voice
from simulation.clock import DAY
from simulation.story import Step, Story, partner
from simulation.vocabulary import CUSTOMER, NOBODY, ORGANISATION


def tell(story: Story) -> None:
    """The whole story; every part moves the cursor on."""
    _orientation(story)
    _reporting(story)
    if not _arranging(story):
        return
    _moving_in(story)
    _final_bill(story)


def _orientation(story: Story) -> None:
    rng = story.rng
    story.phase = "orientation"
    for _ in range(rng.choices((0, 1, 2, 3), (0.15, 0.4, 0.3, 0.15))[0]):
        pages = ["Moving Info Viewed"]
        if rng.random() < 0.3:
            pages.insert(0, rng.choice(("Site Searched", "Landing Page Viewed")))
        pages += ["Moving Checklist Viewed"] * (rng.random() < 0.5) + ["FAQ Viewed"] * (rng.random() < 0.25)
        story.visit(*pages, login=rng.random() < 0.15)
        story.think(2.5)
    if rng.random() < 0.12:
        story.call("verhuizing vraag", minutes=5)
        story.think(2)


def _reporting(story: Story) -> None:
    rng = story.rng
    story.phase = "reporting"
    origin = "telefoon"
    if rng.random() < 0.7:
        origin = "web"
        fails = rng.random() < 0.18
        if fails:
            story.visit("Move Form Started", "Move Form Step Completed", "Move Form Failed", login=True)
            story.grief += 0.12
            story.wait(NOBODY, rng.uniform(300, 5000))
            origin = "telefoon"
        else:
            story.visit("Move Form Started", "Move Form Step Completed", "Move Submitted", login=rng.random() < 0.8)
    if origin == "telefoon":
        story.call("verhuizing doorgeven", minutes=10)
    story.open_case("Verhuizing geregistreerd", origin)
    story.wait(ORGANISATION, rng.uniform(60, 1800))
    story.message("Ontvangstbevestiging verstuurd")


def _arranging(story: Story) -> bool:
    rng = story.rng
    story.phase = "arranging"
    story.work(
        Step("In behandeling genomen", "Klantenservice", 20),
        Step("Adres gecontroleerd", "Klantenservice", 2, 40),
        chase="verhuizing status",
    )
    if rng.random() < 0.28:
        story.ask_customer("Gegevens opgevraagd bij klant", "Document Uploaded", "gegevens aanvullen", 2.5)
    if rng.random() < 0.04:
        story.message("Verhuizing geannuleerd")
        story.outcome = "cancelled"
        return False
    steps = [Step("Overgedragen aan Aansluitingen", "Aansluitingen", 6)]
    if rng.random() < 0.75:
        steps.append(partner(4.5))
    steps.append(Step("Contract aangepast", "Aansluitingen", 26 if rng.random() < 0.8 else 120, 50))
    if rng.random() < 0.25:
        story.work(*steps[:1])
        story.visit("Dashboard Viewed", "Move Status Viewed", login=True)
        steps = steps[1:]
    story.work(*steps, chase="verhuizing status")
    story.message("Verhuizing bevestigd", "Aansluitingen")
    voice.after_contact(story)
    return True


def _moving_in(story: Story) -> None:
    rng = story.rng
    story.phase = "moving_in"
    story.wait(NOBODY, rng.uniform(2, 16) * DAY)
    if rng.random() < 0.45:
        story.message("Meterstanden opgevraagd")
        story.think(3, CUSTOMER)
    if rng.random() < 0.8:
        story.visit("Dashboard Viewed", "Meter Reading Submitted", login=True)
    else:
        story.call("meterstanden doorgeven", minutes=4)
    if rng.random() < 0.12:
        story.work(Step("Meterstanden afgekeurd", "Facturatie", 20))
        story.grief += 0.08
        story.call("terugbellen meterstanden", minutes=4, outbound=True)
        story.think(1, CUSTOMER)
        story.visit("Dashboard Viewed", "Meter Reading Submitted", login=True)
    story.work(Step("Meterstanden verwerkt", "Facturatie", 14, 20))


def _final_bill(story: Story) -> None:
    rng = story.rng
    story.phase = "final_bill"
    story.work(
        Step("Overgedragen aan Facturatie", "Facturatie", 6),
        Step("Eindnota in voorbereiding", "Facturatie", 70, 90),
        chase="verhuizing status",
    )
    story.message("Eindnota verstuurd", "Facturatie", amount=rng.randint(1500, 42000))
    if rng.random() < 0.65:
        story.think(1.5)
        story.visit("Dashboard Viewed", "Final Bill Viewed", login=True)
        if rng.random() < 0.25:
            story.wait(NOBODY, rng.uniform(600, 2 * DAY))
            story.call("eindnota vraag", minutes=8)
    story.internal("Zaak gesloten", "Klantenservice")
    voice.after_journey(story)

"""A billing question: notice the bill, look for yourself, ask, get an answer, have it settled."""

from __future__ import annotations

from simulation import voice
from simulation.clock import DAY, HOUR
from simulation.story import Step, Story
from simulation.vocabulary import NOBODY, ORGANISATION


def tell(story: Story) -> None:
    """The whole story; a third find the answer on the website and never ask."""
    story.patience_days = 5
    _noticing(story)
    if _self_service(story):
        story.outcome = "self_served"
        return
    _asking(story)
    if _answer(story):
        _correction(story)
    else:
        _settled(story)
    story.internal("Zaak gesloten", "Klantenservice")
    voice.after_journey(story)


def _noticing(story: Story) -> None:
    story.phase = "noticing"
    if story.rng.random() < 0.85:
        story.visit("Dashboard Viewed", "Invoice Viewed", login=True)
        story.wait(NOBODY, story.rng.choice((30, 200, 0.6 * DAY, 2 * DAY)) * story.rng.uniform(0.5, 1.5))


def _self_service(story: Story) -> bool:
    rng = story.rng
    story.phase = "self_service"
    if rng.random() < 0.1:
        return False
    pages = ["Invoice Explanation Viewed"]
    pages += ["Usage Viewed"] * (rng.random() < 0.5) + ["FAQ Viewed"] * (rng.random() < 0.3)
    pages += ["Chatbot Asked"] * (rng.random() < 0.35)
    story.visit(*pages, login="Usage Viewed" in pages or rng.random() < 0.3)
    if rng.random() < 0.3:
        return True
    story.grief += 0.08
    story.wait(NOBODY, rng.choice((0.2 * HOUR, 4 * HOUR, DAY)) * rng.uniform(0.3, 1.8))
    return False


def _asking(story: Story) -> None:
    rng = story.rng
    story.phase = "asking"
    by_phone = rng.random() < 0.68
    if by_phone:
        story.call("factuur vraag", minutes=9)
    else:
        story.visit("Billing Question Submitted", login=rng.random() < 0.7)
    story.open_case("Factuurvraag geregistreerd", "telefoon" if by_phone else "web")
    story.wait(ORGANISATION, rng.uniform(60, 1200))
    story.message("Ontvangstbevestiging verstuurd")


def _recalculation_hours(story: Story) -> float:
    """How long a recalculation lies waiting: the journey's bottleneck, until more staff came (a planted finding)."""
    improved = story.t >= story.world.clock.billing_speedup
    usual, bad_luck = (24, 70) if improved else (60, 170)
    return usual if story.rng.random() < 0.75 else bad_luck


def _answer(story: Story) -> bool:
    """Wait for the answer; returns whether it promises a correction of the bill."""
    rng = story.rng
    story.phase = "answer"
    story.work(
        Step("In behandeling genomen", "Klantenservice", 22),
        Step("Overgedragen aan Facturatie", "Facturatie", 3),
        chase="factuur status",
    )
    if rng.random() < 0.22:
        story.ask_customer("Meterstanden opgevraagd", "Meter Reading Submitted", "meterstanden doorgeven", 2.5)
    if rng.random() < 0.2:
        story.wait(ORGANISATION, rng.uniform(0.2, 2) * DAY)
        story.visit("Dashboard Viewed", "Billing Status Viewed", login=True)
    story.work(
        Step("Factuur herberekend", "Facturatie", _recalculation_hours(story), 110),
        Step("Antwoord opgesteld", "Klantenservice", 12, 20),
        chase="factuur status",
    )
    correction = rng.random() < 0.45
    story.message("Correctie toegezegd" if correction else "Antwoord verstuurd")
    voice.after_contact(story)
    return correction


def _correction(story: Story) -> None:
    rng = story.rng
    story.phase = "settled"
    story.work(Step("Correctienota in voorbereiding", "Facturatie", 40, 45), chase="factuur status")
    story.message("Correctienota verstuurd", "Facturatie", amount=rng.randint(500, 21000))
    if rng.random() < 0.5:
        story.think(1)
        story.visit("Dashboard Viewed", "Invoice Viewed", login=True)


def _settled(story: Story) -> None:
    rng = story.rng
    story.phase = "settled"
    if rng.random() < 0.25:
        story.grief += 0.2
        story.think(1.5)
        story.call("factuur nogmaals", minutes=10)
        story.work(
            Step("In behandeling genomen", "Klantenservice", 10),
            Step("Antwoord opgesteld", "Klantenservice", 14, 25),
            chase="factuur status",
        )
        story.message("Antwoord verstuurd")

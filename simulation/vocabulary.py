"""The words of the simulated systems: every activity name, who can see it, and what it does to the turn.

Belongs here: names and their fixed meaning. When and how often they occur is behaviour (`journeys/`). The tables in
README.md list the same names; a test compares them.
"""

from __future__ import annotations

from typing import NamedTuple

ORGANISATION, PARTNER, CUSTOMER, NOBODY = "organisation", "partner", "customer", "nobody"

PHASES: dict[str, tuple[str, ...]] = {
    "moving": ("orientation", "reporting", "arranging", "moving_in", "final_bill"),
    "joining": ("orientation", "comparing", "ordering", "switching", "first_bill"),
    "outage": ("noticing", "reporting", "repair", "checking", "closing"),
    "billing": ("noticing", "self_service", "asking", "answer", "settled"),
}
CASE_PREFIX = {"moving": "VH", "joining": "SW", "outage": "ST", "billing": "FA"}
CASE_TYPE = {"moving": "Verhuizing", "joining": "Overstap", "outage": "Storing", "billing": "Factuurvraag"}


class Activity(NamedTuple):
    """One activity name: whether the customer sees it, and what it declares about the turn (empty: nothing)."""

    visible: bool
    turn: str = ""


_ASKS_US, _ASKS_CUSTOMER, _PROMISES, _SETTLES = "asks_us", "asks_customer", "promises", "settles"
_CHASES = "chases"

CRM: dict[str, Activity] = {
    "Ontvangstbevestiging verstuurd": Activity(True, _PROMISES),
    "Gegevens opgevraagd bij klant": Activity(True, _ASKS_CUSTOMER),
    "Verhuizing bevestigd": Activity(True, _SETTLES),
    "Verhuizing geannuleerd": Activity(True, _SETTLES),
    "Meterstanden opgevraagd": Activity(True, _ASKS_CUSTOMER),
    "Eindnota verstuurd": Activity(True, _SETTLES),
    "Aanbod verstuurd": Activity(True, _ASKS_CUSTOMER),
    "Opdrachtbevestiging verstuurd": Activity(True, _PROMISES),
    "Aanvraag afgewezen": Activity(True, _SETTLES),
    "Startdatum bevestigd": Activity(True, _SETTLES),
    "Levering gestart": Activity(True, _SETTLES),
    "Eerste nota verstuurd": Activity(True, _SETTLES),
    "Meldingsbevestiging verstuurd": Activity(True, _PROMISES),
    "Monteur ingepland": Activity(True, _PROMISES),
    "Monteursbezoek uitgevoerd": Activity(True),
    "Storing verholpen gemeld": Activity(True, _SETTLES),
    "Compensatie toegekend": Activity(True, _SETTLES),
    "Compensatie afgewezen": Activity(True, _SETTLES),
    "Afsluitbericht verstuurd": Activity(True, _SETTLES),
    "Antwoord verstuurd": Activity(True, _SETTLES),
    "Correctie toegezegd": Activity(True, _PROMISES),
    "Correctienota verstuurd": Activity(True, _SETTLES),
    "Nieuwsbrief verzonden": Activity(True),
    "Verhuizing geregistreerd": Activity(False),
    "Overstap geregistreerd": Activity(False),
    "Storing geregistreerd": Activity(False),
    "Factuurvraag geregistreerd": Activity(False),
    "In behandeling genomen": Activity(False),
    "Gegevens ontvangen": Activity(False),
    "Adres gecontroleerd": Activity(False),
    "Kredietcheck uitgevoerd": Activity(False),
    "Overgedragen aan Aansluitingen": Activity(False),
    "Overgedragen aan Monteursplanning": Activity(False),
    "Overgedragen aan Klachtenteam": Activity(False),
    "Overgedragen aan Facturatie": Activity(False),
    "Uitgezet bij netbeheerder": Activity(False, "hands_to_partner"),
    "Retour van netbeheerder": Activity(False, "returns_from_partner"),
    "Contract aangepast": Activity(False),
    "Meterstanden verwerkt": Activity(False),
    "Meterstanden afgekeurd": Activity(False),
    "Eindnota in voorbereiding": Activity(False),
    "Termijnnota aangemaakt in nachtrun": Activity(False),
    "Storing beoordeeld": Activity(False),
    "Compensatie beoordeeld": Activity(False),
    "Factuur herberekend": Activity(False),
    "Antwoord opgesteld": Activity(False),
    "Correctienota in voorbereiding": Activity(False),
    "Zaak gesloten": Activity(False),
}

CALLS: dict[str, Activity] = {
    "verhuizing vraag": Activity(True),
    "verhuizing doorgeven": Activity(True, _ASKS_US),
    "verhuizing status": Activity(True, _CHASES),
    "gegevens aanvullen": Activity(True, _ASKS_US),
    "meterstanden doorgeven": Activity(True, _ASKS_US),
    "terugbellen meterstanden": Activity(True, _ASKS_CUSTOMER),
    "eindnota vraag": Activity(True),
    "overstap vraag": Activity(True),
    "overstap status": Activity(True, _CHASES),
    "eerste nota vraag": Activity(True),
    "storing melden": Activity(True, _ASKS_US),
    "storing status": Activity(True, _CHASES),
    "storing niet opgelost": Activity(True, _ASKS_US),
    "compensatie aanvragen": Activity(True, _ASKS_US),
    "compensatie status": Activity(True, _CHASES),
    "factuur vraag": Activity(True, _ASKS_US),
    "factuur status": Activity(True, _CHASES),
    "factuur nogmaals": Activity(True, _ASKS_US),
    "tarief vraag": Activity(True),
    "correspondentie": Activity(True),
    "verkeerd verbonden": Activity(True),
    "overig": Activity(True),
}

WEB_PATHS: dict[str, str] = {
    "Landing Page Viewed": "/",
    "News Article Viewed": "/nieuws/energie-besparen",
    "Site Searched": "/zoeken",
    "FAQ Viewed": "/klantenservice/veelgestelde-vragen",
    "Logged In": "/mijn/inloggen",
    "Dashboard Viewed": "/mijn",
    "Invoice Viewed": "/mijn/facturen",
    "Usage Viewed": "/mijn/verbruik",
    "Meter Reading Submitted": "/mijn/meterstanden",
    "Document Uploaded": "/mijn/documenten",
    "Moving Info Viewed": "/verhuizen",
    "Moving Checklist Viewed": "/verhuizen/checklist",
    "Move Form Started": "/verhuizen/doorgeven",
    "Move Form Step Completed": "/verhuizen/doorgeven/adres",
    "Move Form Failed": "/verhuizen/doorgeven/fout",
    "Move Submitted": "/verhuizen/doorgeven/klaar",
    "Move Status Viewed": "/verhuizen/status",
    "Final Bill Viewed": "/mijn/facturen/eindnota",
    "Tariffs Viewed": "/overstappen/tarieven",
    "Green Energy Viewed": "/overstappen/groene-energie",
    "Offer Calculated": "/overstappen/berekenen",
    "Offers Compared": "/overstappen/vergelijken",
    "Offer Saved": "/overstappen/bewaren",
    "Order Started": "/overstappen/bestellen",
    "Order Details Completed": "/overstappen/bestellen/gegevens",
    "Order Placed": "/overstappen/bestellen/klaar",
    "Account Created": "/mijn/aanmaken",
    "Switch Status Viewed": "/overstappen/status",
    "Outage Map Viewed": "/storing/actueel",
    "Outage Info Viewed": "/storing/wat-te-doen",
    "Outage Reported": "/storing/melden",
    "Outage Status Viewed": "/storing/status",
    "Compensation Info Viewed": "/storing/compensatie",
    "Compensation Requested": "/storing/compensatie/aanvragen",
    "Invoice Explanation Viewed": "/factuur/uitleg",
    "Chatbot Asked": "/factuur/chatbot",
    "Billing Question Submitted": "/factuur/vraag-stellen",
    "Billing Status Viewed": "/factuur/status",
}

WEB_TURNS: dict[str, str] = {
    "Move Submitted": _ASKS_US,
    "Meter Reading Submitted": _ASKS_US,
    "Document Uploaded": _ASKS_US,
    "Order Placed": _ASKS_US,
    "Outage Reported": _ASKS_US,
    "Compensation Requested": _ASKS_US,
    "Billing Question Submitted": _ASKS_US,
}

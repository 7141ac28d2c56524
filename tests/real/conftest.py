"""The two nights on public data, and what pandas makes of the same files; each once per test run."""

from __future__ import annotations

import pytest

from tests.real import incidents_by_hand, olist_by_hand
from tests.real.by_hand import Figures
from tests.real.nights import Night, run_night


@pytest.fixture(scope="session")
def olist(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return run_night("olist", olist_by_hand.AS_OF, {"*.csv.gz": "2018-11-30T12:00:00+00:00"}, tmp_path_factory)


@pytest.fixture(scope="session")
def shop(olist: Night) -> olist_by_hand.Shop:
    return olist_by_hand.read(olist.raw)


@pytest.fixture(scope="session")
def shop_figures(shop: olist_by_hand.Shop) -> Figures:
    return olist_by_hand.figures(shop)


@pytest.fixture(scope="session")
def incidents(tmp_path_factory: pytest.TempPathFactory) -> Night:
    # The old form landed a day before the new one, which repeats all that the old one held.
    landed = {
        "tickets_original_header.csv.gz": "2017-02-19T12:00:00+00:00",
        "incident_event_log.csv.gz": "2017-02-20T12:00:00+00:00",
    }
    return run_night("incidents", incidents_by_hand.AS_OF, landed, tmp_path_factory)


@pytest.fixture(scope="session")
def desk(incidents: Night) -> incidents_by_hand.Desk:
    return incidents_by_hand.read(incidents.raw)


@pytest.fixture(scope="session")
def desk_figures(desk: incidents_by_hand.Desk) -> Figures:
    return incidents_by_hand.figures(desk)

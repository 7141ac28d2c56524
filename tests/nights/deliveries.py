"""The public data as systems would have delivered it: month by month, as far as it was known, the last days late. No test.

A delivery holds the rows that are new since the one before it, or say more: of an order what had happened by then.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

LATE_DAYS = 4
"""The last days of a month are delivered with the next one."""
Tables = dict[str, pd.DataFrame]
_ORDER_TIMES = [
    "order_purchase_timestamp",
    "order_approved_at",
    "order_delivered_carrier_date",
    "order_delivered_customer_date",
]
_FILES = {
    "orders": "olist_orders_dataset",
    "customers": "olist_customers_dataset",
    "reviews": "olist_order_reviews_dataset",
    "leads": "olist_marketing_qualified_leads_dataset",
    "deals": "olist_closed_deals_dataset",
    "sellers": "olist_sellers_dataset",
}


@dataclass(frozen=True)
class Delivery:
    """What lands at one moment: by the stem of a file's name its rows."""

    landed: pd.Timestamp
    files: dict[str, pd.DataFrame]


def months(first: str, last: str) -> list[pd.Timestamp]:
    """The first moments of months, in UTC: when what came before is delivered."""
    return list(pd.date_range(first, last, freq="MS", tz="UTC"))


def known_by(landed: pd.Timestamp, *, last: bool) -> str:
    """Up to when a delivery tells, as the files write times; the last one tells all."""
    return "9999" if last else f"{landed - pd.Timedelta(days=LATE_DAYS):%Y-%m-%d %H:%M:%S}"


# --- Olist -----------------------------------------------------------------------------------------------------------


def olist(raw: Path, one_of: int) -> Tables:
    """The files as text, or those of one in so many persons."""
    tables = {
        name: pd.read_csv(raw / f"{stem}.csv.gz", dtype=str, keep_default_na=False) for name, stem in _FILES.items()
    }
    customers = _sample(tables["customers"], "customer_unique_id", one_of)
    orders = _among(tables["orders"], "customer_id", customers)
    leads = _sample(tables["leads"], "mql_id", one_of)
    return tables | {
        "customers": customers,
        "orders": orders,
        "reviews": _among(tables["reviews"], "order_id", orders),
        "leads": leads,
        "deals": _among(tables["deals"], "mql_id", leads),
        "sellers": _sample(tables["sellers"], "seller_id", one_of),
    }


def _sample(table: pd.DataFrame, column: str, one_of: int) -> pd.DataFrame:
    return table[[zlib.crc32(value.encode()) % one_of == 0 for value in table[column]]]


def _among(table: pd.DataFrame, column: str, others: pd.DataFrame) -> pd.DataFrame:
    return table[table[column].isin(others[column])]


def olist_deliveries(tables: Tables, moments: list[pd.Timestamp]) -> Iterator[Delivery]:
    """Orders again and again as they get further, reviews when they are answered, customers with their first order."""
    told = dict.fromkeys(tables["orders"]["order_id"], "")
    before = ""
    for landed in moments:
        until = known_by(landed, last=landed == moments[-1])
        orders = _orders_known(tables["orders"], until)
        said = orders.apply("|".join, axis=1) if len(orders) else pd.Series(dtype=str)
        fresh = orders[[told[order] != text for order, text in zip(orders["order_id"], said, strict=True)]]
        told |= dict(zip(orders["order_id"], said, strict=True))
        is_first = before == ""
        files = {
            "orders": fresh,
            "customers": tables["customers"][
                tables["customers"]["customer_id"].isin(
                    _between(tables["orders"], _ORDER_TIMES[0], before, until)["customer_id"]
                )
            ],
            "reviews": _between(tables["reviews"], "review_answer_timestamp", before, until),
            "leads": _between(tables["leads"], "first_contact_date", before, until),
            "deals": _between(tables["deals"], "won_date", before, until),
            "sellers": tables["sellers"] if is_first else tables["sellers"][:0],
        }
        yield Delivery(landed, {_FILES[name]: rows for name, rows in files.items() if len(rows)})
        before = until


def olist_at_once(tables: Tables, landed: pd.Timestamp) -> Delivery:
    return Delivery(landed, {_FILES[name]: rows for name, rows in tables.items()})


def _orders_known(orders: pd.DataFrame, until: str) -> pd.DataFrame:
    """The orders placed by then, with what had happened by then; how an order ended is known when nothing more follows."""
    known = orders[orders[_ORDER_TIMES[0]] <= until].copy()
    later = known[_ORDER_TIMES] > until
    known[_ORDER_TIMES] = known[_ORDER_TIMES].mask(later, "")
    known.loc[later.any(axis=1), "order_status"] = "processing"
    return known


def _between(table: pd.DataFrame, column: str, after: str, until: str) -> pd.DataFrame:
    return table[(table[column] > after) & (table[column] <= until)]


# --- incidents -------------------------------------------------------------------------------------------------------


def incidents(raw: Path, one_of: int) -> pd.DataFrame:
    """The updates of tickets as text, or those of one in so many tickets; its header has one name twice, so none is used."""
    rows = pd.read_csv(raw / "incident_event_log.csv.gz", dtype=str, keep_default_na=False, header=None)
    header, updates = rows[:1], rows[1:]
    return pd.concat([header, _sample(updates, updates.columns[0], one_of)])


def incidents_deliveries(rows: pd.DataFrame, moments: list[pd.Timestamp]) -> Iterator[Delivery]:
    """The updates of each month, in their order in the log."""
    header, updates = rows[:1], rows[1:]
    place = list(header.iloc[0]).index("sys_updated_at")
    at = pd.to_datetime(updates[place], format="%d/%m/%Y %H:%M").dt.strftime("%Y-%m-%d %H:%M:%S")
    before = ""
    for landed in moments:
        until = known_by(landed, last=landed == moments[-1])
        fresh = updates[(at > before) & (at <= until)]
        yield Delivery(landed, {"incident_event_log": pd.concat([header, fresh])} if len(fresh) else {})
        before = until


def incidents_at_once(rows: pd.DataFrame, landed: pd.Timestamp) -> Delivery:
    return Delivery(landed, {"incident_event_log": rows})

"""The Olist files read with pandas alone: who bought what when, what they said of it, who came to sell. Holds no test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tests.real.by_hand import NOBODYS, OURS, PARTNERS, Figures, Rules, work_out

AS_OF = "2018-12-01T03:00:00+00:00"
ZONE = "America/Sao_Paulo"
BUYING = Rules(
    phases={
        "Order placed": "ordering",
        "Payment approved": "ordering",
        "Parcel sent": "receiving",
        "Parcel delivered": "receiving",
        "Review asked for": "looking_back",
    },
    turns={"Order placed": OURS, "Parcel sent": PARTNERS, "Parcel delivered": NOBODYS},
    completes="Parcel delivered",
    closes=None,
    abandoned_after=pd.Timedelta(days=150),
    contact_gap=pd.Timedelta(0),
    as_of=pd.Timestamp(AS_OF),
)
SELLING = Rules(
    phases={"Interest shown": "interest", "Contract signed": "contract"},
    turns={"Interest shown": OURS, "Contract signed": NOBODYS},
    completes="Contract signed",
    closes=None,
    abandoned_after=pd.Timedelta(days=365),
    contact_gap=pd.Timedelta(0),
    as_of=pd.Timestamp(AS_OF),
)
TIMES = {
    "order_purchase_timestamp": ("Order placed", "shop", "customer"),
    "order_approved_at": ("Payment approved", "mail", "system"),
    "order_delivered_carrier_date": ("Parcel sent", "mail", "organisation"),
    "order_delivered_customer_date": ("Parcel delivered", "door", "partner"),
}


@dataclass(frozen=True)
class Shop:
    """The raw files, all columns as text, nulls where a value is empty; `reviews` has one row per row of the file."""

    orders: pd.DataFrame
    customers: pd.DataFrame
    reviews: pd.DataFrame
    leads: pd.DataFrame
    deals: pd.DataFrame
    sellers: pd.DataFrame

    @property
    def person_of(self) -> pd.Series:
        """The person (customer_unique_id) by order_id."""
        owned = self.orders.merge(self.customers, on="customer_id", validate="1:1")
        return owned.set_index("order_id")["customer_unique_id"]

    @property
    def answers(self) -> pd.DataFrame:
        """One row per review, about the order in its last row: order_id, score, asked_at, at."""
        told = self.reviews.drop_duplicates("review_id", keep="last")
        return pd.DataFrame(
            {
                "order_id": told["order_id"],
                "score": told["review_score"].astype(float),
                "asked_at": instants(told["review_creation_date"]),
                "at": instants(told["review_answer_timestamp"]),
            }
        )


def read(folder: Path) -> Shop:
    def one(name: str) -> pd.DataFrame:
        return pd.read_csv(folder / f"olist_{name}_dataset.csv.gz", dtype=str, keep_default_na=False, na_values=[""])

    names = ("orders", "customers", "order_reviews", "marketing_qualified_leads", "closed_deals", "sellers")
    return Shop(*(one(name) for name in names))


def instants(local: pd.Series) -> pd.Series:
    """Local times in UTC: of one that exists twice the first, of one that does not exist the first that does."""
    times = pd.to_datetime(local, format="ISO8601")
    is_summer = pd.Series(True, index=times.index).to_numpy()
    return times.dt.tz_localize(ZONE, ambiguous=is_summer, nonexistent="shift_forward").dt.tz_convert("UTC")


def figures(shop: Shop) -> Figures:
    """Both kinds of journeys together; `journey_type` tells them apart."""
    buying, selling = _buying(shop), _selling(shop)

    def joined(name: str) -> pd.DataFrame:
        parts = ((buying, "buying"), (selling, "becoming_seller"))
        return pd.concat([getattr(part, name).assign(journey_type=kind) for part, kind in parts], ignore_index=True)

    return Figures(*(joined(name) for name in ("members", "touchpoints", "visits", "journeys", "waits")))


def _buying(shop: Shop) -> Figures:
    steps = [
        pd.DataFrame(
            {
                "journey": shop.orders["order_id"],
                "at": instants(shop.orders[column]),
                "activity": activity,
                "channel": channel,
                "initiator": initiator,
                "position": position,
                "source": "orders",
            }
        ).dropna(subset=["at"])
        for position, (column, (activity, channel, initiator)) in enumerate(TIMES.items(), start=1)
    ]
    answers = shop.answers
    asked = pd.DataFrame(
        {
            "journey": answers["order_id"],
            "at": answers["asked_at"],
            "activity": "Review asked for",
            "channel": "mail",
            "initiator": "organisation",
            "position": 1,
            "source": "reviews",
        }
    )
    members = pd.concat([*steps, asked], ignore_index=True).assign(team=None)
    members["person"] = members["journey"].map(shop.person_of)
    members = members.sort_values(["journey", "at", "position", "source"], kind="stable")
    seen = pd.concat([members[["journey", "at"]], answers[["order_id", "at"]].rename(columns={"order_id": "journey"})])
    return work_out(members, seen.groupby("journey")["at"].max(), BUYING)


def _selling(shop: Shop) -> Figures:
    leads = pd.DataFrame(
        {
            "journey": shop.leads["mql_id"],
            "at": instants(shop.leads["first_contact_date"]),
            "activity": "Interest shown",
            "channel": shop.leads["origin"],
        }
    )
    deals = pd.DataFrame(
        {
            "journey": shop.deals["mql_id"],
            "at": instants(shop.deals["won_date"]),
            "activity": "Contract signed",
            "channel": "sales",
        }
    )
    members = pd.concat([leads, deals], ignore_index=True).assign(team=None, initiator="customer")
    members["person"] = members["journey"]
    members = members.sort_values(["journey", "at"], kind="stable")
    found = work_out(members, members.groupby("journey")["at"].max(), SELLING)
    found.journeys["persona"] = found.journeys["journey"].map(shop.deals.set_index("mql_id")["lead_behaviour_profile"])
    return found

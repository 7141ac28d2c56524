"""The two forms of the incident log read with pandas alone, as one log. Holds no test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from tests.real.by_hand import CUSTOMERS, NOBODYS, OURS, PARTNERS, Figures, Rules, work_out

AS_OF = "2017-03-01T03:00:00+00:00"
STATES = {
    "New": "Queued",
    "Active": "Worked on",
    "Awaiting User Info": "Information asked",
    "Awaiting Vendor": "With the vendor",
    "Awaiting Problem": "Waiting for a known problem",
    "Awaiting Evidence": "Waiting for evidence",
    "Resolved": "Solution given",
    "Closed": "Ticket closed",
}
RULES = Rules(
    phases={
        "Incident reported": "reporting",
        "Incident reported again": "reporting",
        "Information asked": "explaining",
        "Solution given": "working_again",
        "Ticket closed": "working_again",
    },
    turns={
        "Incident reported": OURS,
        "Incident reported again": OURS,
        "Worked on": OURS,
        "Information asked": CUSTOMERS,
        "With the vendor": PARTNERS,
        "Solution given": NOBODYS,
        "Ticket closed": NOBODYS,
    },
    completes="Solution given",
    closes="Ticket closed",
    abandoned_after=pd.Timedelta(days=60),
    contact_gap=pd.Timedelta(minutes=30),
    as_of=pd.Timestamp(AS_OF),
)
UPDATE = ["ticket", "updates", "sys_updated_at"]


@dataclass(frozen=True)
class Desk:
    """Both files with the same columns and values: `old` landed first, and `new` repeats it; a null caller is unknown."""

    old: pd.DataFrame
    new: pd.DataFrame

    @property
    def updates(self) -> pd.DataFrame:
        """Every update once, of tickets whose caller is known."""
        both = pd.concat([self.old, self.new], ignore_index=True).drop_duplicates(UPDATE)
        return both[both["caller"].notna()]


def read(folder: Path) -> Desk:
    old = _text(folder / "tickets_original_header.csv.gz").rename(columns={"incident_state": "state"})
    new = _text(folder / "incident_event_log.csv.gz").rename(columns={"ident_state": "state"})
    old["number"] = old["number"].str.removeprefix("INC")
    for column, label in (("caller_id", "Caller"), ("assignment_group", "Group"), ("category", "Category")):
        old[column] = old[column].str.removeprefix(label).str.strip()
    return Desk(_tidy(old), _tidy(new))


def _text(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_values=["?", ""])


def _tidy(log: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ticket": log["number"],
            "caller": log["caller_id"],
            "state": log["state"],
            "updates": log["sys_mod_count"].astype(int),
            "reopened": log["reopen_count"].astype(int),
            "sys_updated_at": log["sys_updated_at"],
            "at": _instants(log["sys_updated_at"]),
            "opened_at": _instants(log["opened_at"]),
            "channel": log["contact_type"],
            "team": log["assignment_group"],
            "category": log["category"],
        }
    )


def _instants(texts: pd.Series) -> pd.Series:
    return pd.to_datetime(texts, format="%d/%m/%Y %H:%M", utc=True)


def reports(updates: pd.DataFrame) -> pd.DataFrame:
    """A ticket's first update tells when it was reported; its number is 1 where there is no 0."""
    first = updates[updates["updates"] <= 1].sort_values("updates", kind="stable").drop_duplicates("ticket")
    return first.assign(at=first["opened_at"], activity="Incident reported", position=1, tie=0)


def reopenings(updates: pd.DataFrame) -> pd.DataFrame:
    """The first update with a number of reopenings is the moment of that reopening."""
    again = updates[updates["reopened"] > 0].sort_values("updates", kind="stable")
    again = again.drop_duplicates(["ticket", "reopened"])
    return again.assign(activity="Incident reported again", position=2, tie=again["updates"])


def events(desk: Desk) -> pd.DataFrame:
    """Every event once, in order: by time, then the update's number, then its place among the events of its row."""
    updates = desk.updates
    state = updates["state"].map(STATES).fillna("state " + updates["state"])
    states = updates.assign(activity=state, position=3, tie=updates["updates"])
    visible = [reports(updates).assign(team=None), reopenings(updates).assign(team=None)]
    found = pd.concat([*visible, states.assign(team=("group " + states["team"]))], ignore_index=True)
    found["team"] = found["team"].astype(object).where(found["team"].notna(), None)
    found["initiator"] = (found["position"] < 3).map({True: "customer", False: "organisation"})
    found["person"] = found["caller"]
    found["journey"] = found["caller"] + " " + found["ticket"]
    return found.sort_values(["journey", "at", "tie", "position"], kind="stable").reset_index(drop=True)


def figures(desk: Desk) -> Figures:
    mapped = events(desk)
    mapped = mapped[~mapped["activity"].str.startswith("state ")]
    return work_out(mapped, mapped.groupby("journey")["at"].max(), RULES)

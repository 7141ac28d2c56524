"""How `klantspoor who` prints what is told of a person or an identifier. Times are in the project's zone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table as Grid

from klantspoor.cli.context import clean, console, plain
from klantspoor.page import units

_SHORT = 8
_LONGEST_CHAIN = 6
_RULES = {
    "anchor": "the oldest identifier: the person's id is made of it",
    "linked": "tied to the others by evidence",
    "in_turn": "theirs for these stretches alone: others had it too",
}
_SAID = {"force": "one person's", "forbid": "not one person's", "block": "nobody's"}
Document = dict[str, Any]


def show_person(told: Document, zone: str, chain_only: bool) -> None:
    """Print a person; `chain_only`: the evidence between two identifiers, and no more."""
    _head(f"Person {told['person_id']}", told, zone)
    asked = told["asked"]
    if asked.get("person_id") not in (None, told["person_id"]):
        console.print(plain(f"{asked['person_id']} was asked for: it is this person's former id."))
    for one in told["former_ids"]:
        console.print(
            plain(f"Until {_day(one['since'], zone)} also known as {one['former_person_id']} ({one['why']}).")
        )
    _identifiers(told, zone)
    if chain_only:
        _chain(told, zone)
        return
    shown, total = len(told["identifiers"]), told["identifiers_total"]
    if shown < total:
        console.print(plain(f"{shown} of {total:,} identifiers; --most {total} lists all.", "dim"))
    _chains(told)
    _refused("What guards refused of these identifiers", told["refused"], told["refused_total"], zone)
    beside = "Seen beside these identifiers, and not theirs because a guard decided so"
    _refused(beside, told["refused_beside"], told["refused_beside_total"], zone)
    _decisions(told, zone)


def show_identifier(told: Document, zone: str) -> None:
    """Print an identifier that is nobody's, or that several persons had in turn."""
    one = told["asked"]
    if told["persons"]:
        _head(f"{_named(one)}: several persons' in turn", told, zone)
        for held in told["persons"]:
            console.print(plain(f"  {_span(held['from'], held['to'], zone)}  person {held['person_id']}"))
        console.print(plain("For one of them: klantspoor who PERSON", "dim"))
    else:
        _head(f"{_named(one)} is nobody's", told, zone)
        for why in told["why"]:
            console.print(plain(f"  {why}"))
    seen = told["seen"]
    if seen["first_seen"]:
        rows = units.plural(seen["rows"] + seen["later_rows"], "row")
        span = _span(seen["first_seen"], seen["last_seen"], zone)
        console.print(plain(f"Seen in {rows} of {', '.join(seen['sources'])}, {span}."))
    _refused("What guards decided about it", told["refused"], len(told["refused"]), zone)
    _decisions(told, zone)


def _head(title: str, told: Document, zone: str) -> None:
    console.print(plain(title, "bold"))
    console.print(plain(f"Version {told['version']}, as of {told['as_of']}. Times are in {zone}.", "dim"))


def _identifiers(told: Document, zone: str) -> None:
    console.print()
    grid = Grid(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("#", "type", "pseudonym", "rule", "theirs", "rows", "seen by"):
        grid.add_column(name, justify="right" if name in ("#", "rows") else "left", overflow="fold")
    for one in told["identifiers"]:
        spans = "\n".join(_span(held["from"], held["to"], zone) for held in one["held"])
        sources = clean(", ".join(one["sources"])) or units.NOTHING
        pseudonym = _pseudonym(one["identifier"])
        grid.add_row(str(one["number"]), plain(one["type"]), pseudonym, plain(one["rule"].replace("_", " ")), spans,
                     f"{one['rows']:,}", sources)  # fmt: skip
    console.print(grid)
    for rule in dict.fromkeys(one["rule"] for one in told["identifiers"]):
        if rule in _RULES:
            console.print(plain(f"{rule.replace('_', ' ')}: {_RULES[rule]}", "dim"))


def _chains(told: Document) -> None:
    """From the anchor to each other identifier, a line each."""
    if not told["chains"]:
        return
    console.print()
    console.print(plain("How each is tied to number 1, over the fewest steps", "bold"))
    for chain in told["chains"]:
        console.print(plain(f"  {chain['to']:>3}  {_line(chain)}"))
    console.print(plain("For all evidence between two of them: --between A B", "dim"))


def _line(chain: Document) -> str:
    hops = chain["hops"]
    if hops is None:
        return "no evidence is left that ties it: the next night decides anew"
    steps = [f" –{_label(hop)}→ {hop['to']}" for hop in hops]
    if len(steps) > _LONGEST_CHAIN:
        half = _LONGEST_CHAIN // 2
        left_out = len(steps) - 2 * half
        before = hops[-half]["from"]
        steps = [*steps[:half], f" … {left_out:,} steps more … {before}", *steps[-half:]]
    return f"{chain['from']}{''.join(steps)}"


def _label(hop: Document) -> str:
    """The strongest evidence of a step, in a few words."""
    if hop["seen_together"]:
        first = hop["seen_together"][0]
        return f"{first['source']}, {units.plural(sum(one['rows'] for one in hop['seen_together']), 'row')}"
    if hop["decisions"]:
        return f"decision {hop['decisions'][0]['number']}"
    return f"alike, weight {hop['alike'][0]['weight']:.1f}"


def _chain(told: Document, zone: str) -> None:
    """The one chain that was asked for, with all evidence for each step."""
    [chain] = told["chains"]
    names = {one["number"]: f"{one['number']}  {_named(one)}" for one in told["identifiers"]}
    console.print()
    if chain["hops"] is None:
        console.print(plain("No evidence is left that ties these two: the next night decides anew."))
        return
    console.print(plain(f"From {chain['from']} to {chain['to']}: {units.plural(len(chain['hops']), 'step')}", "bold"))
    console.print(plain(f"  {names[chain['from']]}"))
    for hop in chain["hops"]:
        for evidence in _evidence(hop, zone):
            console.print(plain(f"   │  {evidence}"))
        console.print(plain(f"  {names[hop['to']]}"))


def _evidence(hop: Document, zone: str) -> list[str]:
    together = [
        f"together in {units.plural(one['rows'], 'row')} of {one['source']} ({one['mapping']}),"
        f" {_span(one['first_seen'], one['last_seen'], zone)}"
        for one in hop["seen_together"]
    ]
    decided = [
        f"decision {one['number']}: {one['who']} decided on {_day(one['decided_at'], zone)} that they are one person's:"
        f" {one['why']}"
        for one in hop["decisions"]
    ]
    return together + decided + [_likeness(one, zone) for one in hop["alike"]]


def _likeness(one: Document, zone: str) -> str:
    differed = f", not on {', '.join(one['differed'])}" if one["differed"] else ""
    return (
        f"their records agree on {', '.join(one['agreed'])}{differed}: weight {one['weight']:.1f},"
        f" {one['probability']:.1%} sure; found on {_day(one['found_at'], zone)}"
    )


def _refused(title: str, refused: list[Document], total: int, zone: str) -> None:
    if not refused:
        return
    console.print()
    console.print(plain(title, "bold"))
    for one in refused:
        other = f", with {_named(one['other'])}" if one["other"] else ""
        console.print(
            plain(
                f"  {_day(one['decided_at'], zone)}  {one['guard']}: {_named(one)}{other} {one['decision']}: {one['reason']}"
            )
        )
    if len(refused) < total:
        console.print(plain(f"{len(refused)} of {total:,}; --most {total} lists all.", "dim"))


def _decisions(told: Document, zone: str) -> None:
    if not told["decisions"]:
        return
    console.print()
    console.print(plain("What stewards decided about these identifiers", "bold"))
    for one in told["decisions"]:
        about = " and ".join(_named(each) for each in (one["a"], one["b"]) if each)
        later = "" if one["counted"] == one["stands"] else (
            "; counts from the next night on" if one["stands"] else "; no longer stands, from the next night on"
        )  # fmt: skip
        console.print(
            plain(f"  {one['number']}  {about}: {_SAID[one['verb']]} ({one['who']}, {_day(one['decided_at'], zone)}:"
                  f" {one['why']}){later}")
        )  # fmt: skip


def _named(one: Document) -> str:
    return f"{one['type']} {_pseudonym(one['identifier'])}"


def _pseudonym(text: str) -> str:
    return clean(f"{text[:_SHORT]}…")


def _day(value: datetime, zone: str) -> str:
    return f"{units.local(value, zone):%Y-%m-%d}"


def _span(since: datetime, to: datetime | None, zone: str) -> str:
    begin = f"{units.local(since, zone):%Y-%m-%d %H:%M}"
    return (
        f"since {begin}"
        if to is None
        else begin
        if to == since
        else f"{begin} to {units.local(to, zone):%Y-%m-%d %H:%M}"
    )

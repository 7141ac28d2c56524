"""How much disk a night will need, from what earlier nights wrote and what has landed since: told before it begins.

Figures only: pure functions over numbers of bytes. Where these come from is `klantspoor.lake.disk`'s matter, and that of
`klantspoor.intake.waiting`.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST_NIGHT = 1.5
"""Bytes that a night writes for each byte of the ledger, where no earlier one tells: measured up to 1.2."""
SPILL = 0.5
"""Bytes that DuckDB spills, and tables take while they are written aside, for each byte that a night keeps: measured 0.4, with
5M events (which `limits.memory_mb` of 1200 just holds) and with 10M."""
SPARE = 64 * 2**20
"""Bytes that are always to be left: for the pointer, notes, `klantspoor.duckdb` and the orchestrator's log."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a night needs and what there is, in bytes.

    `taken_in` is what the ledger grows by, `built` what the night keeps besides, `spilled` what it needs for a while;
    `whole` is all that it needs if everything has to be built anew; `free` is what the disk of the lake has.
    """

    taken_in: int
    built: int
    spilled: int
    whole: int
    free: int

    @property
    def needed(self) -> int:
        """All that a usual night needs."""
        return self.taken_in + self.built + self.spilled + SPARE

    @property
    def fits(self) -> bool:
        """Whether the night can be begun."""
        return self.needed <= self.free

    @property
    def fits_anew(self) -> bool:
        """Whether it would fit if everything were built anew."""
        return self.whole <= self.free

    @property
    def is_near(self) -> bool:
        """Whether it fits, but not twice, or not if everything has to be built anew."""
        return self.fits and (self.free < 2 * self.needed or not self.fits_anew)

    def __str__(self) -> str:
        return (
            f"needs about {told(self.needed)} on the disk of the lake ({told(self.taken_in)} for what landed,"
            f" {told(self.built)} for tables, {told(self.spilled)} for a while), where {told(self.free)} are free"
        )


def forecast(*, landed: int, ledger: int, written: int | None, whole: int | None, free: int) -> Forecast:
    """What the next night needs.

    With g = `landed` / `ledger`, the share by which the ledger grows, everything together will be (1 + g) × `whole`; the
    night keeps `written` + g × `whole` of it, at most all, and spills SPILL times what it keeps.

    Args:
        landed: bytes that the ledger will hold of files that wait in the landing folder.
        ledger: bytes that it holds now.
        written: bytes that a usual night writes; None where none tells: then everything is taken to be built.
        whole: bytes that a night writes that builds everything; None where none tells: then FIRST_NIGHT times the ledger
            with what landed.
        free: bytes that the disk of the lake has.
    """
    share = landed / ledger if ledger else 0.0
    everything = whole * (1 + share) if whole is not None else FIRST_NIGHT * (ledger + landed)
    usual = everything if written is None or whole is None else min(everything, written + share * whole)
    return Forecast(
        taken_in=landed,
        built=round(usual),
        spilled=round(SPILL * usual),
        whole=landed + round((1 + SPILL) * everything) + SPARE,
        free=free,
    )


def told(number: int) -> str:
    """A number of bytes in words: "812 MB", "1.4 TB"."""
    value, unit = number / 1e6, "MB"
    for larger in ("GB", "TB"):
        if value >= 1000:
            value, unit = value / 1000, larger
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"

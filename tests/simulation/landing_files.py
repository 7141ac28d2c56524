"""Readers of the landing files that share no code with the simulation."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

END = date(2026, 6, 30)
ID_COLUMN = {"crm": "mutatie_id", "calls": "ContactId", "web": "messageId", "surveys": "response_id"}


@dataclass
class Simulated:
    """A generated world."""

    root: Path
    counts: dict[str, Any]

    def truth(self, name: str) -> pd.DataFrame:
        return pd.read_parquet(self.root / "truth" / f"{name}.parquet")

    def files(self, system: str) -> list[Path]:
        return sorted((self.root / "landing" / system).iterdir())


def _csv_rows(path: Path, encoding: str, separator: str) -> Iterator[dict[str, str]]:
    with path.open(encoding=encoding, newline="") as handle:
        reader = csv.reader(handle, delimiter=separator)
        header = next(reader)
        for cells in reader:
            if len(cells) == len(header):
                yield dict(zip(header, cells, strict=True))


def _json_rows(path: Path) -> Iterator[dict[str, Any]]:
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole rows of a landing file; what cannot be read is left out."""
    if path.name.startswith("surveys"):
        return _csv_rows(path, "utf-8", ",")
    if path.suffix == ".csv":
        return _csv_rows(path, "latin-1", ";")
    return _json_rows(path)

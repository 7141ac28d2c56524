"""Command line: python -m simulation --customers 2000 --days 180 --seed 1 --out data/."""

from __future__ import annotations

import argparse
import json
from datetime import date
from pathlib import Path

from simulation import DEFAULT_END, generate


def main() -> None:
    """Generate and print the summary."""
    parser = argparse.ArgumentParser(prog="simulation", description="Simulate an energy supplier's systems.")
    parser.add_argument("--customers", type=int, default=2000)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--end", type=date.fromisoformat, default=DEFAULT_END, help="last day, YYYY-MM-DD")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets landing/ and truth/")
    given = parser.parse_args()
    summary = generate(given.out, customers=given.customers, days=given.days, seed=given.seed, end=given.end)
    print(json.dumps({"seconds": round(summary.seconds, 1), **summary.counts}, indent=2))


if __name__ == "__main__":
    main()

"""`python tests/demo DEMO`: the demo's published version held against its truth, as a table (docs/demo.md)."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from known_persons import rebuild
from scoring import identity_scores, journey_figures, lines

from klantspoor.lake import open_lake
from klantspoor.project.load import load_project


def main(folder: Path) -> None:
    """Prints the figures of the demo project in `folder`."""
    project = load_project(folder)
    lake = open_lake(project)
    version = lake.current()
    if version is None or not (folder / "truth").is_dir():
        sys.exit(f"{folder}: no published demo. Make one with: klantspoor demo {folder}, then klantspoor run")
    truth = folder / "truth"
    with version.connect() as connection:
        figures = journey_figures(connection, truth)
    with TemporaryDirectory() as apart:
        as_of = datetime.fromisoformat(version.manifest["as_of"])
        with rebuild(project, lake, truth, Path(apart) / "lake", as_of) as staging, staging.connect() as connection:
            known = journey_figures(connection, truth)
    rows = [("figure", "reached", "with all persons known"), ("---", "---", "---")]
    rows += lines(identity_scores(project, lake, version, truth), figures, known)
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in rows))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python tests/demo DEMO, the demo project's folder")
    main(Path(sys.argv[1]))

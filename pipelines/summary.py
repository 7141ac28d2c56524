"""The end of a run in a few lines: the night's report, kept now if the night was not published. Prints nothing itself."""

from collections.abc import Iterator

from klantspoor.lake import Lake, Staging
from klantspoor.report import close_night, terminal_lines
from pipelines.resources import named_project


def summary(lake: Lake, staging: Staging, published: bool) -> Iterator[str]:
    """The lines to print at the end of the run."""
    del published  # the report knows
    yield from terminal_lines(close_night(named_project(), lake, staging), lake.root)

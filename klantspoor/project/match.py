"""What a matcher of a journey file means: names, globs, regular expressions, and which of two is more specific.

The rule is that of `docs/journeys.md`, "Roles". Which role an event gets is for the kernel; here are only the matchers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from klantspoor.project.model import ActivityMatcher

EXACT, GLOB, REGEX = 2, 1, 0


def pattern_kind(activity: str) -> int:
    """EXACT, GLOB or REGEX: larger is more specific."""
    if len(activity) > 1 and activity.startswith("/") and activity.endswith("/"):
        return REGEX
    return GLOB if "*" in activity or "?" in activity else EXACT


@lru_cache(maxsize=4096)
def activity_test(activity: str) -> Callable[[str], bool]:
    """The test whether an activity's whole name fits; upper and lower case differ, and only * and ? are special.

    Raises:
        re.error: for a regular expression that is none.
    """
    kind = pattern_kind(activity)
    if kind == EXACT:
        return lambda text: text == activity
    parts = {"*": ".*", "?": "."}
    pattern = activity[1:-1] if kind == REGEX else "".join(parts.get(sign, re.escape(sign)) for sign in activity)
    expression = re.compile(pattern, 0 if kind == REGEX else re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def specificity(matcher: ActivityMatcher) -> tuple[int, int]:
    """Larger is more specific: exact name, glob, regular expression; then by whether source and channel are named."""
    return pattern_kind(matcher.activity), (matcher.source is not None) + (matcher.channel is not None)


def fits(matcher: ActivityMatcher, source: str, activity: str, channel: str | None) -> bool:
    """Whether the matcher means events of this source, activity and channel."""
    if matcher.source is not None and matcher.source != source:
        return False
    if matcher.channel is not None and matcher.channel != channel:
        return False
    return activity_test(matcher.activity)(activity)

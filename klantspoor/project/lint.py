"""All rules that a project's files must keep beyond their single fields, in one call.

The rules themselves are in `rules_file`, `rules_sources`, `rules_sql` and `rules_journeys`.
"""

from __future__ import annotations

from klantspoor.errors import Problem
from klantspoor.project.model import Project
from klantspoor.project.rules_file import check_file
from klantspoor.project.rules_journeys import check_journeys
from klantspoor.project.rules_sources import check_sources
from klantspoor.project.scope import Scope


def lint(project: Project) -> list[Problem]:
    """Every error and warning (see `Problem.level`) of a project; what `load_project` gave has warnings at most."""
    return lint_scope(Scope.of(project))


def lint_scope(scope: Scope) -> list[Problem]:
    """Like `lint`, for files that may hold mistakes."""
    return [*check_file(scope), *check_sources(scope), *check_journeys(scope)]

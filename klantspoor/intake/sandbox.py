"""DuckDB connections that see nothing but what is registered on them, and literals for the SQL put into them.

No files, no network, no extensions, no Python variables, and a configuration that can no longer be changed.
"""

from __future__ import annotations

from functools import lru_cache

import duckdb

_SETTINGS = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)


def locked_connection(memory_mb: int = 1200) -> duckdb.DuckDBPyConnection:
    """A new in-memory database, one thread (so rows keep their order), locked down as this module says."""
    con = duckdb.connect(
        config={
            "threads": 1,
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
        }
    )
    for setting in _SETTINGS:
        con.execute(setting)
    return con


@lru_cache(maxsize=8)
def shared_connection(_role: str, memory_mb: int = 1200) -> duckdb.DuckDBPyConnection:
    """The one locked connection of this process for a role ("gate", "tools", "json").

    A night reads hundreds of small files, and opening a database costs more than reading one of them. Roles are apart:
    the project's expressions run on "gate" and see nothing that is registered on another.
    """
    return locked_connection(memory_mb)


def literal(text: str) -> str:
    """A text of the project's configuration as an SQL literal (data goes in as tables and parameters)."""
    return "'" + text.replace("'", "''") + "'"

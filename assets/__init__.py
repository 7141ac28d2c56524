"""Thin Dagster assets, one file per stage: each makes one call of the library and reports what came of it."""

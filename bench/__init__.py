"""The benchmark: `python -m bench` (or `make bench`). What it measures and what came out: docs/benchmarks.md."""

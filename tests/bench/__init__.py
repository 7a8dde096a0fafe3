"""Benchmarks, one per file, run by `python -m tests.bench`."""

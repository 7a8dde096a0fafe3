"""Stored results: files, catalog, run log, dependencies and upkeep."""

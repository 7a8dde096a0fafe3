"""Data sets and environments, one source per file."""

"""Algorithmic tasks made in code, with known circuits."""

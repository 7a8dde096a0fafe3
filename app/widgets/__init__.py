"""Widgets shared by pages, one per file."""

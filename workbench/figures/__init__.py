"""Figures, tables and sentences for results: one file per kind of result, registered by its type."""

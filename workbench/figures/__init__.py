"""Figures, tables and sentences for results, drawn from their coordinates or registered by type."""

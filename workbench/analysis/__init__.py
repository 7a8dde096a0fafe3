"""Interpretability techniques, one per file."""

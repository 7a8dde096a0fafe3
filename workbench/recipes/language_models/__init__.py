"""Recipes of decoder-only transformers."""

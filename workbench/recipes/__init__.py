"""Recipes of the committed checkpoints, one file each."""

"""Recipes of encoder-decoder transformers."""

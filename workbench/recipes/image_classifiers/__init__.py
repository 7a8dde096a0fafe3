"""Recipes of image classifiers."""

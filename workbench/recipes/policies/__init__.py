"""Recipes of reinforcement-learning policies, tabular and deep."""

"""Circuits: which edges of a computation graph carry a behaviour, and how we know."""

"""Circuits: edges of a computation graph that carry a behaviour, and the evidence for them."""

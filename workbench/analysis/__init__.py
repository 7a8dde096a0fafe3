"""Techniques: one file each, a pure function from a model and inputs to a frozen result."""

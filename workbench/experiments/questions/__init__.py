"""Specifications of an analysis: parameters, defaults, spelling and limits."""

"""Experiments: run an analysis on a trained network and its inputs, and store the result."""

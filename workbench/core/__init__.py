"""Hooks, axes, sites, stages, interventions, metrics and the computation graph of every family of models."""

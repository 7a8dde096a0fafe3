"""Hooks, axes, sites, stages, interventions, metrics, the computation graph: what every family shares."""

"""Interpretability of policies: representations, interventions and their effect on the return."""

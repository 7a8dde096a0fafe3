"""Feature visualization: parametrizations, searches and quality measures for activation maximization."""

"""Fixtures: the models and analyses of the experiment tests."""

from tests.experiments.conftest import tiny_models, workspace

__all__ = ["tiny_models", "workspace"]

"""Fixtures: the models and analyses of the experiment tests."""

from tests.experiments.conftest import network_file, tiny_models, workspace

__all__ = ["network_file", "tiny_models", "workspace"]

"""The same models and analyses as the experiments are tested on."""

from tests.experiments.conftest import tiny_models, workspace

__all__ = ["tiny_models", "workspace"]

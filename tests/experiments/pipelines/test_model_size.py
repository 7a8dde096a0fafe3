"""Tests of the parameter counts of recipes."""

import sys

import pytest

from workbench.core.registry import MODELS, RECIPES
from workbench.experiments.pipelines.model_size import count_parameters


def test_no_recipe_imports_the_compiler_to_be_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    counts = {name: count_parameters(RECIPES[name]) for name in RECIPES.names()}
    for name in ("digits_mlp", "shapes_vae", "induction_gpt", "cartpole_dqn"):
        model = MODELS[RECIPES[name].architecture](RECIPES[name].config)
        assert counts[name] == sum(parameter.numel() for parameter in model.parameters())

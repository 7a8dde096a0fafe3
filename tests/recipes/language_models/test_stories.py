"""Tests of models tuned from `stories_gpt`: the base's network, except for dropout and adapters."""

from dataclasses import asdict

import pytest

from workbench.core.registry import RECIPES

TUNED = [name for name in RECIPES if name.startswith("stories_gpt_")]


@pytest.mark.parametrize("name", TUNED)
def test_a_tuned_recipe_starts_from_the_base_and_keeps_its_network(name: str) -> None:
    base, tuned = RECIPES["stories_gpt"], RECIPES[name]
    assert tuned.based_on == base.name
    added = {"base", "dropout", "rank", "alpha", "scale"}
    kept = {key: value for key, value in asdict(tuned.config).items() if key not in added}
    assert kept == {key: value for key, value in asdict(base.config).items() if key not in added}
    assert (tuned.architecture == "lora_gpt") is name.endswith("_lora")

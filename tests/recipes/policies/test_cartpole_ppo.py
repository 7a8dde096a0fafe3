"""Tests of the CartPole recipe, shortened, evaluated in gymnasium's environment."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from workbench.checkpoints.store import load_folder
from workbench.recipes.policies.cartpole_ppo import RECIPE
from workbench.recipes.recipe import make


@pytest.mark.slow
def test_the_recipe_makes_a_policy_with_its_card(tmp_path: Path) -> None:
    short = replace(RECIPE.with_settings({"steps": 4096, "keep_updates": (0, 1)}), targets={"return_mean": 9.0})
    card = make(short, tmp_path / "m")
    score = card.metrics["return_mean"]
    assert score.n == 100
    assert score.interval is not None and score.interval[0] <= score.value <= score.interval[1]
    assert card.data.name == "CartPole-v1" and len(card.data.sha256) == 64
    assert sorted(path.stem for path in (tmp_path / "m" / "steps" / card.run).iterdir()) == ["0", "1"]
    model = load_folder(tmp_path / "m")
    assert model(torch.zeros(3, 4)).logits.shape == (3, 2)

"""Tests of preference learning with the recipes' own functions, in a few steps on the committed model."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.core.progress import silent
from workbench.data.text.preferences import Preference, append
from workbench.recipes.preferences import tales_dpo, tales_ppo
from workbench.recipes.trainings import tales_preferences
from workbench.recipes.trainings.tales_preferences import (
    copy_model,
    label_pairs,
    load_setting,
    read_labelled,
    scorer_from,
)
from workbench.recipes.trainings.tales_seeds import find_worst, join_rewards
from workbench.training.curve import Curve


@pytest.fixture(scope="module")
def at() -> Any:
    return load_setting()


def test_pairs_are_two_tales_for_each_order_with_one_preferred(at: Any) -> None:
    pairs = label_pairs(at, at.prompts[:6], seed=0)
    assert pairs.first.prompts == pairs.second.prompts == at.prompts[:6]
    assert pairs.first.tales != pairs.second.tales and len(pairs.prefers_first) == 6
    assert label_pairs(at, at.prompts[:6], seed=0).first.tales == pairs.first.tales


def test_a_persons_preferences_are_pairs_too(at: Any, tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    for chosen in ("left", "right", "equal"):
        append(file, Preference("Tell of Ada.", "one", "other", chosen, False, "m", 0, 0, "me"))  # type: ignore[arg-type]
    pairs = read_labelled(at, file)
    assert list(pairs.first.tales) == ["one", "other"] and list(pairs.second.tales) == ["other", "one"]
    assert pairs.prefers_first.all()


def test_ppo_and_dpo_take_a_step_from_the_reference(at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tales_dpo, "training_pairs", lambda at, seed: label_pairs(at, at.prompts[:4], seed))
    monkeypatch.setattr(tales_dpo, "PAIR_BATCH", 4)
    scorer = scorer_from(at, copy_model(at.reference).requires_grad_(False))
    ppo = replace(tales_ppo.RECIPE.training, updates=1, batch=4, minibatch=4, epochs=1)
    dpo = replace(tales_dpo.RECIPE.training, fit=replace(tales_dpo.RECIPE.training.fit, steps=1))
    for learn, cfg in ((tales_ppo.learn, ppo), (tales_dpo.learn, dpo)):
        policy = copy_model(at.reference)
        curve = learn(cfg, at, policy, scorer, 0, silent, tmp_path / f"{learn.__module__}")
        moved = [
            (p - q).abs().max().item() for p, q in zip(policy.parameters(), at.reference.parameters(), strict=True)
        ]
        assert max(moved) > 0
    assert curve.last("train_loss") > math.log(2) - 1e-4


def test_a_policy_that_is_the_reference_has_moved_nowhere(at: Any) -> None:
    scorer = scorer_from(at, at.reference)
    metrics = tales_preferences.policy_metrics(at, at.reference, scorer, 0, at.new_prompts[:8])
    assert metrics["kl"]["value"] == pytest.approx(0, abs=1e-4)
    assert 0 <= metrics["win_rate"]["value"] <= 1 and metrics["length_error"]["value"] < 0.5


def test_gates_are_those_of_the_worst_seed() -> None:
    def seed(true_reward: float, grammatical: float, length_error: float) -> Any:
        values = {"true_reward": true_reward, "best_of_16_true_reward": 3.0, "grammatical": grammatical,
                  "unique": 1.0, "length_error": length_error}  # fmt: skip
        return {name: {"value": value} for name, value in values.items()}

    found = {name: score["value"] for name, score in find_worst([seed(4, 0.99, 0.1), seed(3.5, 0.95, 0.3)]).items()}
    assert found == {"worst_margin": 0.5, "worst_grammatical": 0.95, "worst_unique": 1.0, "worst_length_error": 0.3}


def test_the_curve_has_every_seeds_reward() -> None:
    one, two = (Curve([1, 2], {"reward": [i, i + 1.0], "kl": [0.0, 0.0]}) for i in (0.0, 5.0))
    assert join_rewards([one, two], 7).series == {"reward": [0.0, 1.0], "kl": [0.0, 0.0], "reward_seed_8": [5.0, 6.0]}

"""Tests of data-parallel training: two processes against one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from workbench.checkpoints.store import load_folder
from workbench.core.errors import ConfigError
from workbench.core.registry import RECIPES
from workbench.recipes.recipe import require_shareable
from workbench.training import parallel
from workbench.training.curve import Curve
from workbench.training.parallel import average_gradients, share

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "-m", "workbench"]
TRAIN = ["train", "digits_mlp", "--set", "steps=30", "evaluate_every=10", "log_every=5", "ema=0.9", "keep_steps=(10,)"]


def trained(start: list[str], folder: Path) -> tuple[dict[str, torch.Tensor], Curve]:
    done = subprocess.run([*start, *TRAIN, "--folder", str(folder)], capture_output=True, text=True, check=False)
    assert "missed its target" in done.stderr, done.stderr  # 30 steps are few
    weights = load_folder(folder).state_dict()
    return weights, Curve.from_json((folder / "curve.json").read_text(encoding="utf-8"))


def test_two_processes_learn_what_one_learns_from_the_whole_batch(tmp_path: Path) -> None:
    one, alone = trained([sys.executable, "-m", "workbench"], tmp_path / "one")
    two, together = trained(LAUNCH, tmp_path / "two")
    assert together.step == alone.step
    for name in ("train_loss", "gradient_norm"):
        assert together.series[name] == pytest.approx(alone.series[name], rel=1e-5, nan_ok=True)
    assert_close(two, one, rtol=1e-4, atol=1e-6)
    assert alone.last("train_loss") < alone.points("train_loss")[0][1]
    kept = [sorted(path.name for path in (tmp_path / folder).rglob("*") if path.is_file()) for folder in ("one", "two")]
    assert kept[0] == kept[1] and "10.safetensors" in kept[0]
    cards = [json.loads((tmp_path / folder / "card.json").read_text()) for folder in ("one", "two")]
    assert [card["processes"] for card in cards] == [1, 2]
    scores = [card["metrics"] for card in cards]
    assert scores[0]["test_accuracy"]["value"] == pytest.approx(scores[1]["test_accuracy"]["value"], abs=0.005)


def test_parts_of_a_batch_put_together_are_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, targets = (torch.rand(12, 2), torch.rand(12)), torch.arange(12)
    parts = []
    for index in range(3):
        monkeypatch.setattr(parallel, "place", lambda index=index: (index, 3))
        parts.append(share(pairs, targets))
    assert torch.equal(torch.cat([part[1] for part in parts]), targets)
    for i in range(2):
        assert torch.equal(torch.cat([part[0][i] for part in parts]), pairs[i])


def test_a_batch_that_does_not_part_equally_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "place", lambda: (0, 2))
    with pytest.raises(ConfigError, match="7 examples do not part equally among 2"):
        share(torch.zeros(7, 3), torch.zeros(7))


@pytest.mark.parametrize("targets", [torch.tensor([4, 4]), torch.tensor(1)])
def test_a_batch_whose_examples_have_no_targets_of_their_own_is_refused(
    monkeypatch: pytest.MonkeyPatch, targets: torch.Tensor
) -> None:
    monkeypatch.setattr(parallel, "place", lambda: (0, 2))
    with pytest.raises(ConfigError, match="8 inputs and targets of shape"):
        share(torch.zeros(8, 3), targets)


def test_a_training_without_batches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.recipes.recipe.place", lambda: (0, 2))
    require_shareable(RECIPES["digits_mlp"])
    with pytest.raises(ConfigError, match="cartpole_ppo trains in one process: PPOConfig"):
        require_shareable(RECIPES["cartpole_ppo"])


def test_one_process_keeps_batch_gradients_and_loss_as_they_are() -> None:
    inputs, targets, weight = torch.zeros(7, 3), torch.zeros(7), torch.nn.Parameter(torch.ones(2))
    weight.grad = torch.full((2,), 3.0)
    assert share(inputs, targets)[0] is inputs and average_gradients([weight], 2.0) == 2.0
    assert torch.equal(weight.grad, torch.full((2,), 3.0))
